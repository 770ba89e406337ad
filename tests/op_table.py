"""Write what the tests see every op do: ``python -m tests.op_table`` makes ``torch2trt/ops.json`` and ``docs/ops.md``.

Rows of tests/cases tell most; with ``--database`` PyTorch's operator database in every dtype adds the rest, in minutes.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db

import torch2trt
from tests import harness
from tests.op_db import RIGHT, convert_sample, samples
from torch2trt import optable, registry, structure
from torch2trt.graph import Value, operand_values, walk_nodes
from torch2trt.passes.fold import fold

ROOT = Path(__file__).parents[1]
FACTS = ROOT / "torch2trt" / "ops.json"
PAGE = ROOT / "docs" / "ops.md"
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool)

Facts = dict[str, dict[str, object]]


class Seen:
    """For every handler the dtypes of its first tensor, and whether a size was unknown."""

    def __init__(self) -> None:
        self.dtypes: dict[str, set[str]] = collections.defaultdict(set)
        self.dynamic: set[str] = set()

    def add(self, converted: torch2trt.Converted) -> None:
        """Note a conversion that was right."""
        for node in walk_nodes(fold(converted.graph).nodes):
            handler = registry.find(node)
            if handler is None or not handler.builtin:
                continue
            first = next(operand_values(node.args), None)
            if first is not None and first.dtype is not None:
                self.dtypes[handler.name].add(str(first.dtype).removeprefix("torch."))
            else:
                self.dtypes[handler.name].update()
            if any(_is_dynamic(value) for value in (*operand_values(node.args), *node.outputs)):
                self.dynamic.add(handler.name)

    def facts(self, before: Facts) -> Facts:
        """What was seen now, together with what was seen before."""
        found: Facts = {}
        for name, handler in registry.handlers().items():
            if handler.builtin:
                old = before.get(name, {"dtypes": [], "dynamic": False})
                dtypes = sorted(self.dtypes[name] | set(old["dtypes"]))  # type: ignore[call-overload]
                found[name] = {"dtypes": dtypes, "dynamic": name in self.dynamic or bool(old["dynamic"])}
        return found


def _is_dynamic(value: Value) -> bool:
    return value.shape is not None and None in value.shape


def from_cases() -> Seen:
    """What the rows of tests/cases show; their results are other tests' affair."""
    seen = Seen()
    for case in harness.load_cases():
        seen.add(harness.convert(case))
    return seen


def _from_database(seen: Seen, most: int) -> Iterator[str]:
    """Add what PyTorch's operator database shows; names what it goes through."""
    for dtype in DTYPES:
        yield str(dtype)
        for op in op_db:
            if dtype in op.dtypes:
                for sample in samples(op, dtype, most):
                    status, _, converted = convert_sample(op, sample)
                    if status == RIGHT and converted is not None:
                        seen.add(converted)
                        if dtype == torch.float32 and (other := _other_size(op, sample)) is not None:
                            seen.add(other)


def _other_size(op: Any, sample: Any) -> torch2trt.Converted | None:
    """The sample's network with axis 0 of its first tensor dynamic, if it is right at a size one larger."""
    leaves, nesting = structure.flatten(((sample.input, *sample.args), dict(sample.kwargs)))
    count = leaves[0].shape[0] if leaves and leaves[0].dim() else 0
    if count < 2:
        return None

    def function(*tensors: torch.Tensor) -> Any:
        args, kwargs = structure.unflatten(tensors, nesting)
        return op(*args, **kwargs)

    growing = [leaf.dim() > 0 and leaf.shape[0] == count for leaf in leaves]
    names = [f"tensors_{index}" for index in range(len(leaves))]
    ranges = {name: {0: (1, count, count + 4)} for name, grows in zip(names, growing, strict=True) if grows}
    inputs = tuple(leaf.detach().clone() for leaf in leaves)
    larger = tuple(torch.cat((leaf, leaf[:1])) if grows else leaf for leaf, grows in zip(inputs, growing, strict=True))
    try:
        converted = torch2trt.convert(function, harness.clone(inputs), input_names=names, dynamic_shapes=ranges)
        expected = harness.call(function, larger)
        harness.assert_same(converted.evaluate(*larger), expected, rtol=1e-4, atol=1e-5)
    except Exception:  # not at every size, not in PyTorch, or not equal: nothing to note
        return None
    return converted


def write(facts: Facts) -> None:
    """Write both files."""
    rows = [f"  {json.dumps(name)}: {json.dumps(fact)}" for name, fact in sorted(facts.items())]
    FACTS.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    PAGE.write_text(optable.markdown(optable.rows()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", action="store_true", help="go through PyTorch's operator database too")
    parser.add_argument("--most", type=int, default=2, help="samples an operator")
    parser.add_argument("--afresh", action="store_true", help="forget what was seen before")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    seen = from_cases()
    if options.database:
        for dtype in _from_database(seen, options.most):
            print(dtype, flush=True)
    write(seen.facts({} if options.afresh or not FACTS.exists() else json.loads(FACTS.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
