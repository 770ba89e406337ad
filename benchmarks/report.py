"""Results as a Markdown table and as a bar chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

Results = dict[str, dict[str, dict[str, Any]]]
"""What was measured, by model and precision, and by road; a road that failed has an ``error`` alone."""

COLOURS = ("#9aa0a6", "#c58af9", "#8430ce", "#fbbc04", "#f29900", "#4285f4", "#188038", "#81c995")


def value_of(row: dict[str, Any], key: str) -> float | None:
    found = row.get(key)
    return float(found) if isinstance(found, (int, float)) and not math.isnan(found) else None


def best(row: dict[str, Any]) -> float | None:
    """A road's latency: through a CUDA graph where that is faster."""
    times = [value_of(row, key) for key in ("graph_ms", "plain_ms")]
    return min((time for time in times if time is not None), default=None)


def table(results: Results, roads: Sequence[str], key: str, digits: int = 2) -> str:
    """One number a road and model as Markdown; the smallest of a row is bold, a road that failed is a dash."""
    lines = [f"| model | {' | '.join(roads)} |", f"| --- |{' --- |' * len(roads)}"]
    for model, rows in results.items():
        numbers = [_number(rows.get(road, {}), key) for road in roads]
        known = [number for number in numbers if number is not None]
        cells = [
            "-" if number is None else f"**{number:.{digits}f}**" if number == min(known) else f"{number:.{digits}f}"
            for number in numbers
        ]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(row: dict[str, Any], key: str) -> float | None:
    if key == "ms":
        return best(row)
    if key == "ready_s":
        return sum(row["stages"].values()) if row.get("stages") else None
    return value_of(row, key)


def ratios(results: Results, ours: str = "ours") -> dict[str, float]:
    """The geometric mean, over the models, of our latency by each other road's, and by that of each model's fastest."""
    roads = sorted({road for rows in results.values() for road in rows} - {ours})
    found = {}
    for name, others in {**{road: [road] for road in roads}, "the fastest other": roads}.items():
        logs = []
        for rows in results.values():
            mine, times = best(rows.get(ours, {})), [best(rows.get(road, {})) for road in others]
            known = [time for time in times if time]
            if mine and known:
                logs.append(math.log(mine / min(known)))
        if logs:
            found[name] = math.exp(sum(logs) / len(logs))
    return found


def chart(results: Results, roads: Sequence[str], key: str = "ms", title: str = "") -> str:
    """Horizontal bars, a group a model, as SVG; within a group the longest bar is full, the numbers stand beside."""
    height, width, left, bar = 14, 420, 180, 12
    parts = []
    y = 50
    for model, rows in results.items():
        numbers = [(road, _number(rows.get(road, {}), key)) for road in roads]
        shown = [(road, number) for road, number in numbers if number is not None]
        if not shown:
            continue
        longest = max(number for _, number in shown) or 1
        parts.append(f'<text x="{left - 8}" y="{y + 10}" text-anchor="end" font-weight="bold">{escape(model)}</text>')
        for road, number in shown:
            colour = COLOURS[list(roads).index(road) % len(COLOURS)]
            length = max(1.0, width * number / longest)
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar}" fill="{colour}"/>')
            parts.append(f'<text x="{left + length + 4:.1f}" y="{y + 10}">{number:.3g}</text>')
            y += height
        y += 8
    legend = []
    for index, road in enumerate(roads):
        x = 10 + 110 * index
        legend.append(f'<rect x="{x}" y="26" width="10" height="10" fill="{COLOURS[index % len(COLOURS)]}"/>')
        legend.append(f'<text x="{x + 14}" y="35">{escape(road)}</text>')
    total = max(left + width + 70, 10 + 110 * len(roads))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{y + 10}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="white"/><text x="10" y="16" font-size="13">'
        f"{escape(title)}</text>{''.join(legend)}{''.join(parts)}</svg>\n"
    )
