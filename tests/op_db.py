"""PyTorch's own operator database through the converter: ``python -m tests.op_db [op ...] [--dtype float32]``.

Every sample input of every operator (up to ``--most`` an operator) is converted, evaluated and held against eager.
"""

from __future__ import annotations

import argparse
import collections
import json
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db

import torch2trt
from tests import harness
from torch2trt import structure

# Importing the database forbids the whole process to set backend flags, which other tests do.
setattr(torch.backends, "__allow_nonbracketed_mutation_flag", True)

RIGHT, WRONG, REFUSED, UNUSABLE = "right", "wrong", "refused", "unusable"


def samples(op: Any, dtype: torch.dtype, most: int) -> Iterator[Any]:
    """Up to ``most`` sample inputs, spread evenly over what the database gives."""
    torch.manual_seed(0)
    found = list(op.sample_inputs("cpu", dtype, requires_grad=False))
    step = max(1, len(found) // most) if most else 1
    yield from found[::step][: most or None]


def run_sample(op: Any, sample: Any, build: bool) -> tuple[str, str]:
    """What came of one sample, and why."""
    leaves, nesting = structure.flatten(((sample.input, *sample.args), dict(sample.kwargs)))
    if not leaves:
        return UNUSABLE, "no tensor among the inputs"

    def function(*tensors: torch.Tensor) -> Any:
        args, kwargs = structure.unflatten(tensors, nesting)
        return op(*args, **kwargs)

    inputs = tuple(leaf.detach().clone() for leaf in leaves)
    try:
        expected = harness.call(function, inputs)
        torch.jit.trace(function, harness.clone(inputs), check_trace=False, strict=False)
    except Exception as error:
        return UNUSABLE, f"eager or trace: {type(error).__name__}: {str(error)[:150]}"
    if not structure.flatten(expected)[0]:
        return UNUSABLE, "no tensor among the outputs"
    try:
        converted = torch2trt.convert(function, harness.clone(inputs))
        actual = converted.evaluate(*inputs)
        harness.assert_same(actual, expected, rtol=1e-4, atol=1e-5)
        if build:
            converted.serialize(optimization_level=0)
    except AssertionError as error:
        return WRONG, str(error).replace("\n", " ")[:300]
    except torch2trt.errors.InternalError as error:
        return WRONG, str(error).replace("\n", " ")[:300]
    except torch2trt.errors.Torch2TRTError as error:
        return REFUSED, f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
    except Exception as error:
        return WRONG, f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
    return RIGHT, ""


def _time_out(*_: Any) -> None:
    raise TimeoutError("a sample took more than 60 s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ops", nargs="*", help="names of operators; all by default; a trailing . takes a prefix")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--most", type=int, default=8, help="samples an operator; 0 for all")
    parser.add_argument("--build", action="store_true", help="build an engine of each too")
    parser.add_argument("--shard", default="0/1", help="this part of so many, such as 2/8")
    parser.add_argument("--json", help="write every result here")
    parser.add_argument("--quiet", action="store_true", help="print the totals only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _time_out)
    dtype = getattr(torch, options.dtype)
    results: dict[str, list[tuple[str, str]]] = {}
    part, parts = map(int, options.shard.split("/"))
    for op in op_db[part::parts]:
        name = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
        wanted = not options.ops or any(
            want in (op.name, name) or (want.endswith(".") and name.startswith(want)) for want in options.ops
        )
        if not wanted or dtype not in op.dtypes:
            continue
        rows = results[name] = []
        try:
            for sample in samples(op, dtype, options.most):
                signal.alarm(60)
                rows.append(run_sample(op, sample, options.build))
                signal.alarm(0)
        except Exception as error:
            rows.append((UNUSABLE, f"samples: {error}"))
        bad = collections.Counter(row for row in rows if row[0] in (WRONG, REFUSED))
        if bad and not options.quiet:
            for (status, why), count in bad.items():
                print(f"{name}: {count}x {status}: {why}", flush=True)
    totals = collections.Counter(status for rows in results.values() for status, _ in rows)
    usable = sum(totals.values()) - totals[UNUSABLE]
    clean = sum(all(status in (RIGHT, UNUSABLE) for status, _ in rows) for rows in results.values())
    print(
        f"{options.dtype}: {totals[RIGHT]} of {usable} right, {totals[WRONG]} wrong, {totals[REFUSED]} refused; "
        f"{clean} of {len(results)} operators clean; {totals[UNUSABLE]} samples unusable"
    )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
