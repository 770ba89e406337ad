"""The commands of a README, in order, with what each prints."""

from __future__ import annotations

import re
from dataclasses import dataclass

GPU = "# needs a GPU"
FULL = "# needs the full TensorRT"
FAILS = "# fails"
_BLOCK = re.compile(r"```bash\n(.*?)```(?:\s*```text\n(.*?)```)?", flags=re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One console block: commands with the lines that their output holds."""

    commands: tuple[str, ...]
    expected: tuple[str, ...]
    mark: str


def blocks(text):
    found = []
    for match in _BLOCK.finditer(text):
        lines = [line for line in match[1].splitlines() if line.strip()]
        mark = lines.pop(0) if lines[0].startswith("#") else ""
        assert mark in ("", GPU, FULL, FAILS), mark
        assert not any(line.startswith("#") or line.endswith("\\") for line in lines), lines
        found.append(Block(tuple(lines), tuple((match[2] or "").split("\n")[:-1]), mark))
    return found
