"""``torch2trt check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..options import ModelArgument, ModelOptions, MutatedInputsOption, parse_mutated_inputs
from ..output import Output, describe_error

if TYPE_CHECKING:
    from ...coverage import CheckReport


def check(
    out: Output,
    model: ModelArgument,
    source: ModelOptions,
    float64_as_float32: Annotated[
        bool, typer.Option("--float64-as-float32", help="Convert instead of refusing.")
    ] = False,
    allow_random: Annotated[bool, typer.Option("--allow-random", help="Let random ops pass.")] = False,
    allow_other_signs: Annotated[
        bool, typer.Option("--allow-other-signs", help="Let singular and eigenvectors pass.")
    ] = False,
    mutated_inputs: MutatedInputsOption = "error",
) -> None:
    """List everything that would not convert; status 1 if there is anything."""
    from ...convert import check as check_module

    with out.working("loading the model"):
        named = source.load(model)
        bound = source.bind(named)
    with out.working("checking"):
        report = check_module(
            named.module,
            bound.inputs,
            dynamic_shapes=bound.dynamic_shapes,
            allow_float64_as_float32=float64_as_float32,
            allow_random=allow_random,
            allow_other_signs=allow_other_signs,
            mutated_inputs=parse_mutated_inputs(mutated_inputs),
        )
    _print(out, model, report)
    out.stop(report.ok)


def _print(out: Output, model: str, report: CheckReport) -> None:
    total = sum(report.counts.values())
    rows = [
        (
            "no handler",
            op.kind,
            op.count,
            op.first.scope or "(root)",
            op.first.source,
            op.reason or ", ".join(op.nearest),
        )
        for op in report.missing
    ]
    rows += [
        (
            "refused",
            error.location.kind if error.location else "",
            1,
            (error.location.scope or "(root)") if error.location else "",
            error.location.source if error.location else "",
            error.message,
        )
        for error in report.refused
    ]
    out.table(f"{model}: what would not convert", ("why", "op", "nodes", "first in module", "source", "details"), rows)
    answer = "all convert" if report.ok else f"{len(report.missing)} ops have no handler, {len(report.refused)} nodes "
    out.line(f"{total} nodes of {len(report.counts)} kinds: {answer}" + ("" if report.ok else "are refused"))
    if not report.complete:
        out.note("TensorRT is not installed: arguments were not checked")
    if out.verbose:
        out.table("nodes", ("op", "nodes"), list(report.counts.items()))
    out.result(
        {
            "ok": report.ok,
            "complete": report.complete,
            "nodes": total,
            "counts": report.counts,
            "missing": [
                {
                    "kind": op.kind,
                    "count": op.count,
                    "first": vars(op.first),
                    "nearest": op.nearest,
                    "reason": op.reason,
                }
                for op in report.missing
            ],
            "refused": [describe_error(error) for error in report.refused],
        }
    )
