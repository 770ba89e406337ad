"""A network as a picture: layers from top to bottom, modules as boxes around them; SVG, or HTML to move around in."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .view import LayerView, NetworkView, TensorView

_CHARACTER, _LINE, _PADDING, _GAP, _TITLE = 6.6, 15.0, 10.0, 22.0, 18.0
_COLOURS = {
    "CONVOLUTION": "#9ec5fe",
    "DECONVOLUTION": "#9ec5fe",
    "MATRIX_MULTIPLY": "#9ec5fe",
    "ACTIVATION": "#ffe69c",
    "POOLING": "#a6e9d5",
    "REDUCE": "#a6e9d5",
    "NORMALIZATION": "#c5b3e6",
    "SOFTMAX": "#ffe69c",
    "ELEMENTWISE": "#f1aeb5",
    "UNARY": "#f1aeb5",
    "SHUFFLE": "#dee2e6",
    "CAST": "#fecba1",
    "QUANTIZE": "#fecba1",
    "DEQUANTIZE": "#fecba1",
    "INPUT": "#ffffff",
    "OUTPUT": "#ffffff",
}
_OTHER = "#e9ecef"


@dataclass
class Item:
    """A layer, or a module around several items.

    Args:
        title: the first line of its text.
        lines: further lines; a module has none.
        hint: shown when the mouse rests on it.
        kind: the layer's type; empty for a module.
        items: what a module holds.
    """

    title: str
    lines: tuple[str, ...] = ()
    hint: str = ""
    kind: str = ""
    items: list[Item] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    rank: int = 0

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.y + self.height

    def walk(self) -> Iterator[Item]:
        """Itself and everything in it, outer ones first."""
        yield self
        for item in self.items:
            yield from item.walk()


@dataclass(frozen=True)
class Edge:
    """A tensor between two items, with the x at which it runs past what lies between; None: straight."""

    source: Item
    target: Item
    hint: str
    side: float | None = None


@dataclass(frozen=True)
class Drawing:
    """Everything with its place."""

    root: Item
    edges: tuple[Edge, ...]


def lay_out(view: NetworkView) -> Drawing:
    """Place the layers of a network. Constants are left out: they are listed with the layers that read them."""
    hidden = {layer.index for layer in view.layers if layer.kind == "CONSTANT"} - {
        producer for producer, consumer, _ in view.edges if consumer < 0
    }
    root = Item(view.name)
    shown: dict[int, Item] = {}
    for layer in view.layers:
        if layer.index not in hidden:
            shown[layer.index] = _item(layer)
            _place_in_scope(root, layer.scope, shown[layer.index])
    ends = {("in", tensor.name): _end(tensor, "INPUT") for tensor in view.inputs}
    ends |= {("out", tensor.name): _end(tensor, "OUTPUT") for tensor in view.outputs}
    root.items = (
        [item for (side, _), item in ends.items() if side == "in"]
        + root.items
        + [item for (side, _), item in ends.items() if side == "out"]
    )
    pairs = [
        (
            shown[producer] if producer >= 0 else ends["in", name],
            shown[consumer] if consumer >= 0 else ends["out", name],
            name,
        )
        for producer, consumer, name in view.edges
        if producer not in hidden
    ]
    parents = _parents(root)
    _measure(root, pairs, parents)
    _move(root, 0.0, 0.0)
    return Drawing(root, tuple(_route(pairs, parents)))


def _item(layer: LayerView) -> Item:
    shape = str(layer.outputs[0]) if layer.outputs else ""
    details = [f"{layer.name}", *(f"{key}: {value}" for key, value in layer.attributes.items())]
    details += [f"{role}: {array}" for role, array in layer.weights.items()]
    details += [f"in: {tensor.name} {tensor}" for tensor in layer.inputs]
    details += [f"out: {tensor.name} {tensor}" for tensor in layer.outputs]
    operation = layer.attributes.get("type", layer.attributes.get("op", ""))
    title = f"{layer.kind} {operation}".strip().lower()
    return Item(title, (shape,), "\n".join(details), layer.kind)


def _end(tensor: TensorView, kind: str) -> Item:
    return Item(tensor.name, (str(tensor),), f"{kind.lower()} {tensor.name}", kind)


def _place_in_scope(root: Item, scope: Sequence[str], item: Item) -> None:
    """Put an item into the module boxes that are open: a module that is left and entered again has two boxes."""
    box = root
    for name in scope:
        last = box.items[-1] if box.items else None
        if last is None or last.kind or last.title != name:
            last = Item(name)
            box.items.append(last)
        box = last
    box.items.append(item)


def _parents(root: Item) -> dict[int, Item]:
    return {id(item): box for box in root.walk() for item in box.items}


def _chain(item: Item, parents: Mapping[int, Item]) -> list[Item]:
    """The item and the boxes around it, the innermost first."""
    chain = [item]
    while id(chain[-1]) in parents:
        chain.append(parents[id(chain[-1])])
    return chain


def _siblings(source: Item, target: Item, parents: Mapping[int, Item]) -> tuple[Item, Item, Item]:
    """The innermost box around both, and what holds each of them in it."""
    left, right = _chain(source, parents)[::-1], _chain(target, parents)[::-1]
    depth = 0
    while left[depth] is right[depth]:
        depth += 1
    return left[depth - 1], left[depth], right[depth]


def _measure(box: Item, pairs: Sequence[tuple[Item, Item, str]], parents: Mapping[int, Item]) -> None:
    """Sizes of everything, and places relative to the box around it."""
    readers: dict[int, list[Item]] = {}
    for source, target, _ in pairs:
        _, left, right = _siblings(source, target, parents)
        readers.setdefault(id(right), []).append(left)
    # Inner boxes are measured before those around them.
    for item in reversed(list(box.walk())):
        if item.items:
            _arrange(item, readers)
        else:
            longest = max([len(item.title), *map(len, item.lines)])
            item.width = longest * _CHARACTER + 2 * _PADDING
            item.height = (1 + len(item.lines)) * _LINE + _PADDING


def _arrange(box: Item, readers: Mapping[int, list[Item]]) -> None:
    rows: dict[int, list[Item]] = {}
    for item in box.items:  # in execution order, so that what an item reads has its rank
        item.rank = 1 + max((other.rank for other in readers.get(id(item), ())), default=-1)
        rows.setdefault(item.rank, []).append(item)
    outputs = [item for item in box.items if item.kind == "OUTPUT"]
    if outputs:  # all at the bottom
        last = max(item.rank for item in box.items)
        for item in outputs:
            rows[item.rank].remove(item)
            item.rank = last
            rows[last].append(item)
    widths = {rank: sum(i.width for i in row) + _GAP * (len(row) - 1) for rank, row in rows.items() if row}
    inner = max([*widths.values(), len(box.title) * _CHARACTER])
    y = _TITLE + _PADDING
    for rank in sorted(widths):
        x = _PADDING + (inner - widths[rank]) / 2
        for item in rows[rank]:
            item.x, item.y = x, y
            x += item.width + _GAP
        y += max(item.height for item in rows[rank]) + _GAP
    box.width, box.height = inner + 2 * _PADDING, y - _GAP + _PADDING


def _move(item: Item, x: float, y: float) -> None:
    item.x, item.y = item.x + x, item.y + y
    for inner in item.items:
        _move(inner, item.x, item.y)


def _route(pairs: Sequence[tuple[Item, Item, str]], parents: Mapping[int, Item]) -> Iterator[Edge]:
    taken: dict[int, int] = {}
    for source, target, name in pairs:
        box, left, right = _siblings(source, target, parents)
        obstacles = [item for item in box.items if left.rank < item.rank < right.rank]
        obstacles += [other for item, around in _inside(source, left, parents) for other in _after(item, around)]
        obstacles += [other for item, around in _inside(target, right, parents) for other in _before(item, around)]
        side = None
        if obstacles:
            taken[id(box)] = taken.get(id(box), 0) + 1
            side = max(item.right for item in obstacles) + 4 + 3 * (taken[id(box)] % 5)
        yield Edge(source, target, name, side)


def _inside(item: Item, outermost: Item, parents: Mapping[int, Item]) -> Iterator[tuple[Item, Item]]:
    """The item and the box around it, that box and the one around it, and so on to ``outermost``."""
    while item is not outermost:
        yield item, parents[id(item)]
        item = parents[id(item)]


def _before(item: Item, box: Item) -> list[Item]:
    return [other for other in box.items if other.rank < item.rank]


def _after(item: Item, box: Item) -> list[Item]:
    return [other for other in box.items if other.rank > item.rank]


def to_svg(view: NetworkView) -> str:
    """The network as an SVG document."""
    drawing = lay_out(view)
    width, height = drawing.root.width + 2 * _GAP, drawing.root.height + 2 * _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_GAP} {-_GAP} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="monospace" font-size="11">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#6c757d"/></marker></defs>',
    ]
    items = list(drawing.root.walk())
    parts += [_box(item) for item in items if not item.kind]
    parts += [_curve(edge) for edge in drawing.edges]
    parts += [_node(item) for item in items if item.kind]
    return "\n".join([*parts, "</svg>", ""])


def _rectangle(item: Item, style: str) -> str:
    return f'<rect x="{item.x:.1f}" y="{item.y:.1f}" width="{item.width:.1f}" height="{item.height:.1f}" {style}/>'


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{html.escape(text)}</text>'


def _box(item: Item) -> str:
    frame = _rectangle(item, 'rx="8" fill="#0d6efd" fill-opacity="0.04" stroke="#adb5bd"')
    title = _text(item.x + _PADDING, item.y + 14, item.title, 'fill="#6c757d"')
    return f'<g class="module">{frame}{title}</g>'


def _node(item: Item) -> str:
    colour = _COLOURS.get(item.kind, _OTHER)
    rows = [_rectangle(item, f'rx="4" fill="{colour}" stroke="#495057"')]
    for index, line in enumerate((item.title, *item.lines)):
        style = 'text-anchor="middle"' + (' font-weight="bold"' if index == 0 else "")
        rows.append(_text(item.x + item.width / 2, item.y + _LINE * (index + 1), line, style))
    return f'<g class="layer"><title>{html.escape(item.hint)}</title>{"".join(rows)}</g>'


def _curve(edge: Edge) -> str:
    x1, y1 = edge.source.x + edge.source.width / 2, edge.source.bottom
    x2, y2 = edge.target.x + edge.target.width / 2, edge.target.y
    if edge.side is None:
        bend = max((y2 - y1) / 2, 8)
        path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    else:
        bend, x = _GAP, edge.side
        path = (
            f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x:.1f} {y1:.1f} {x:.1f} {y1 + bend:.1f}"
            f"V{y2 - bend:.1f}C{x:.1f} {y2:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
        )
    style = 'fill="none" stroke="#6c757d" marker-end="url(#arrow)"'
    return f'<path class="tensor" d="{path}" {style}><title>{html.escape(edge.hint)}</title></path>'


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>html,body{{margin:0;height:100%;overflow:hidden}}svg{{width:100%;height:100%;cursor:grab}}</style></head><body>
{svg}
<script>
const svg = document.querySelector("svg");
const view = svg.viewBox.baseVal;
svg.addEventListener("wheel", event => {{
  event.preventDefault();
  const factor = Math.exp(event.deltaY / 500);
  const box = svg.getBoundingClientRect();
  const scale = Math.max(view.width / box.width, view.height / box.height);
  const x = view.x + view.width / 2 + (event.clientX - box.width / 2) * scale;
  const y = view.y + view.height / 2 + (event.clientY - box.height / 2) * scale;
  view.x = x + (view.x - x) * factor; view.y = y + (view.y - y) * factor;
  view.width *= factor; view.height *= factor;
}}, {{passive: false}});
svg.addEventListener("pointermove", event => {{
  if (!event.buttons) return;
  const box = svg.getBoundingClientRect();
  const scale = Math.max(view.width / box.width, view.height / box.height);
  view.x -= event.movementX * scale; view.y -= event.movementY * scale;
}});
</script></body></html>
"""


def to_html(view: NetworkView) -> str:
    """The network as a page: the wheel zooms, dragging moves, resting on a layer tells about it."""
    return _PAGE.format(title=html.escape(view.name or "network"), svg=to_svg(view))
