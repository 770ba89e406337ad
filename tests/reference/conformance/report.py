"""What became of each case on a GPU, and the table of it.

TORCH2TRT_CONFORMANCE_RESULTS=results.jsonl python -m pytest tests/reference -m gpu
python -m tests.reference.conformance.report results.jsonl > table.md
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .case import Case

RESULTS = "TORCH2TRT_CONFORMANCE_RESULTS"
STATUSES = (("agrees",), ("differs", "fails"), ("known",), ("refused",))
DTYPES = ("float32", "float16", "bfloat16")
HEADING = """The last three columns: the greatest difference of those that agree or differ, relative to the greater of
value and root mean square of the tensor. TensorRT for RTX multiplies float32 in TF32 on the tensor cores whether
BuilderFlag.TF32 is set or not; so convolution, deconvolution, matrix multiplication and attention get values that TF32
holds exactly: the table tells whether both mean the same, not how they round."""


@dataclass
class Outcome:
    """What became of one case on the GPU: agrees, differs, known (differs as listed), fails or refused."""

    id: str
    status: str
    worst: float = 0.0
    dtype: str = ""
    said: str = ""

    def append(self) -> None:
        """Add it to the results, if a file is named for them; several processes may."""
        path = os.environ.get(RESULTS)
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(self)) + "\n")


def reason(outcome: Outcome, case: Case) -> str:
    """Why it is not among those that agree."""
    listed = {"known": case.known, "refused": case.refused}.get(outcome.status)
    return listed or outcome.said or f"{outcome.worst:.2e}"


def _row(kind: str, outcomes: Sequence[Outcome]) -> str:
    counts = [sum(outcome.status in names for outcome in outcomes) for names in STATUSES]
    worst = [
        max((o.worst for o in outcomes if o.dtype == dtype and o.status in ("agrees", "differs")), default=None)
        for dtype in DTYPES
    ]
    cells = [kind, len(outcomes), *counts, *("" if w is None else f"{w:.1e}" for w in worst)]
    return "| " + " | ".join(map(str, cells)) + " |"


def markdown(outcomes: Iterable[Outcome], cases: Mapping[str, Case]) -> str:
    """The table, a row a layer type, and the cases that do not agree; in the order of ``cases``."""
    found = {outcome.id: outcome for outcome in outcomes}
    ordered = [found[name] for name in cases if name in found]
    lines = [HEADING, "", "| layer | cases | agree | differ | known | not built | " + " | ".join(DTYPES) + " |"]
    lines.append("|---" * 9 + "|")
    for kind in dict.fromkeys(outcome.id.split("-")[0] for outcome in ordered):
        lines.append(_row(kind, [outcome for outcome in ordered if outcome.id.split("-")[0] == kind]))
    lines.append(_row("**all**", ordered))
    for title, names in zip(("Differing", "Known differences", "Not built"), STATUSES[1:], strict=True):
        rows = [outcome for outcome in ordered if outcome.status in names]
        lines += ["", f"{title} ({len(rows)}):", ""]
        lines += [f"- `{outcome.id}`: {reason(outcome, cases[outcome.id])}" for outcome in rows]
    return "\n".join(lines) + "\n"


def main(path: str) -> None:
    """Print the table of the results in a file."""
    from . import CASES

    outcomes = [Outcome(**json.loads(line)) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    print(markdown(outcomes, {case.id: case for case in CASES}), end="")


if __name__ == "__main__":
    main(sys.argv[1])
