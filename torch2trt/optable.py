"""The table of ops: what converts, in which dtypes, with dynamic sizes or not; and what is refused, and why.

What an op takes is not claimed but seen: ``ops.json`` holds the dtypes and sizes at which the tests found each op's
result equal to PyTorch's (``python -m tests.op_table`` writes it).
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

import torch

from . import registry, torch_compat
from .refusals import REASONS

_MEMORY = re.compile(
    r",? (?:Layout|Device|bool|MemoryFormat)\?? (?:layout|device|pin_memory|memory_format|non_blocking)(?:=\w+)?"
)
_QUOTED = re.compile(r"^``[^`]*``[.:;,]?\s*")
_DTYPES = ("float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "float64", "complex64")


@dataclass(frozen=True)
class OpRow:
    """One op.

    Args:
        name: as a handler is registered, ``namespace::op`` or ``namespace::op.overload``.
        schema: PyTorch's, of its first overload, without what says how memory lies; empty where PyTorch has none.
        overloads: how many overloads it stands for.
        dtypes: of its first tensor, those that were seen to convert.
        dynamic: whether it was seen to convert with sizes that are known at run time only.
        note: what is particular about it; for one that is refused, why.
        refused: whether it is.
    """

    name: str
    schema: str
    overloads: int
    dtypes: tuple[str, ...]
    dynamic: bool
    note: str
    refused: bool = False

    @property
    def status(self) -> str:
        """``static``, ``dynamic`` or ``refused``."""
        return "refused" if self.refused else "dynamic" if self.dynamic else "static"


def rows() -> list[OpRow]:
    """Every op that has a handler of torch2trt's or of the user's, and those that are refused on purpose."""
    for module in ("torchvision", "torch.ao.quantization.fx._decomposed"):  # which register ops
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    seen = json.loads(resources.files(__package__).joinpath("ops.json").read_text())
    handlers = registry.handlers()
    found = []
    for name, handler in handlers.items():
        evidence = seen.get(name, {}) if handler.builtin else {}
        dtypes = evidence.get("dtypes", ())
        schema, count = _schema(name, handlers)
        note = "" if not handler.builtin else _note(handler.implementation.__doc__)
        ordered = tuple(dtype for dtype in _DTYPES if dtype in dtypes)
        found.append(OpRow(name, schema, count, ordered, bool(evidence.get("dynamic")), note))
    for name, reason in REASONS.items():
        if name not in handlers:
            found.append(OpRow(name, *_schema(name, handlers), (), False, reason, refused=True))
    return sorted(found, key=lambda row: row.name)


def _schema(name: str, handlers: Iterable[str]) -> tuple[str, int]:
    """The schema to show, and how many overloads the name stands for."""
    if name.startswith("torch2trt::"):  # registered only where the kernels' library is loaded
        return "", 1
    kind, _, overload = name.partition(".")
    schemas = [
        schema
        for schema in torch_compat.schemas_of(kind)
        if (schema.overload == overload if overload else f"{kind}.{schema.overload}" not in handlers)
        and not schema.mutates
    ]
    return (
        (_MEMORY.sub("", schemas[0].text).replace("(, ", "(").replace(", *)", ")"), len(schemas))
        if schemas
        else ("", 0)
    )


def _note(text: str | None) -> str:
    """What a handler's docstring says beyond its schema, in one line."""
    said = " ".join(inspect.cleandoc(text or "").split())
    rest = _QUOTED.sub("", said)
    return rest[:1].upper() + rest[1:]


def markdown(table: Iterable[OpRow]) -> str:
    """The rows as a page."""
    table = list(table)
    taken = [row for row in table if not row.refused]
    refused = [row for row in table if row.refused]
    lines = [
        "# Ops",
        "",
        f"{len(taken)} ops have a handler; schemas are those of torch {torch.__version__.partition('+')[0]}. A name "
        "without an overload stands for all overloads that have no row of their own, with the schema of the first. "
        "In-place variants are made functional before handlers run, and aliases are replaced. `dtypes` and `dynamic` "
        "list what the tests saw to give PyTorch's result: the dtypes of the first tensor, and whether sizes may be "
        "known at run time only. Whatever depends on no input runs in PyTorch and needs no handler.",
        "",
        "| op | schema | dtypes | dynamic | notes |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in taken:
        more = f" (and {row.overloads - 1} more)" if row.overloads > 1 else ""
        schema = f"`{row.schema}`{more}" if row.schema else ""
        cells = (f"`{row.name}`", schema, ", ".join(row.dtypes), "yes" if row.dynamic else "no", row.note)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "## Refused", "", "| op | why |", "| --- | --- |"]
    lines += [f"| `{row.name}` | {row.note} |" for row in refused]
    return "\n".join(lines) + "\n"
