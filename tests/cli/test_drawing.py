"""The picture of a network: everything is in it, inside its module, and nothing lies on anything else."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import torch2trt
from torch2trt.cli.drawing import Item, lay_out, to_html, to_svg
from torch2trt.cli.view import LayerView, NetworkView, TensorView, scope_of, view_network


def layer(index, name, kind="UNARY"):
    tensor = TensorView(f"t{index}", "float32", (1, 2))
    return LayerView(index, name, kind, scope_of(name), (), (tensor,))


def view(layers, edges):
    ends = [TensorView(name, "float32", (1, 2)) for name in ("x", "y")]
    return NetworkView("net", (ends[0],), (ends[1],), tuple(layers), tuple(edges))


# Two ways through the module `a`, one of them past `b` alone, and a tensor that enters it from outside, past both.
DIAMOND = view(
    [
        layer(0, "a.b/one.0"),
        layer(1, "a.<c>/two.0"),
        layer(2, "a.<c>/<three>.0"),
        layer(3, "a.d/beside.0"),
        layer(4, "a/four.0"),
        layer(5, "five.0"),
    ],
    [
        (-1, 0, "x"),
        (0, 1, "t0"),
        (1, 2, "t1"),
        (0, 3, "t0"),
        (0, 4, "t0"),
        (2, 4, "t2"),
        (3, 4, "t3"),
        (-1, 4, "x"),
        (4, 5, "t4"),
        (5, -1, "y"),
    ],
)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return x + self.second(torch.relu(self.first(x)))


@pytest.fixture(scope="module")
def residual():
    module = nn.Sequential(Block(), Block(), nn.Flatten(1), nn.Linear(64, 3)).eval()
    converted = torch2trt.convert(module, torch.randn(1, 4, 4, 4))
    return view_network(converted.network)


def inside(inner: Item, outer: Item) -> bool:
    return outer.x <= inner.x and inner.right <= outer.right and outer.y <= inner.y and inner.bottom <= outer.bottom


def overlap(one: Item, other: Item) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


@pytest.mark.parametrize("case", ["diamond", "residual"])
def test_nothing_overlaps_and_edges_go_down(case, request):
    drawing = lay_out(DIAMOND if case == "diamond" else request.getfixturevalue("residual"))
    for box in drawing.root.walk():
        assert box.width > 0 and box.height > 0
        assert all(inside(item, box) for item in box.items)
        assert not any(overlap(*pair) for pair in itertools.combinations(box.items, 2))
    assert all(edge.source.bottom <= edge.target.y for edge in drawing.edges)


def test_edges_pass_beside_what_lies_between():
    drawing = lay_out(DIAMOND)
    sides = {(edge.source.hint.split("\n")[0], edge.target.hint.split("\n")[0]): edge for edge in drawing.edges}
    assert len(drawing.edges) == 10
    for edge, names in (
        (sides["a.b/one.0", "a/four.0"], ["a.<c>/two.0", "a.<c>/<three>.0", "a.d/beside.0"]),
        (sides["input x", "a/four.0"], ["a.b/one.0", "a.<c>/two.0", "a.<c>/<three>.0", "a.d/beside.0"]),
    ):
        between = [
            item
            for item in drawing.root.walk()
            if item.kind and edge.source.bottom <= item.y and item.bottom <= edge.target.y
        ]
        assert [item.hint.split("\n")[0] for item in between] == names
        assert all(item.right < edge.side for item in between)
    straight = [names for names, edge in sides.items() if edge.side is None]
    assert set(straight) >= {("input x", "a.b/one.0"), ("a/four.0", "five.0"), ("five.0", "output y")}


def test_modules_are_boxes():
    root = lay_out(DIAMOND).root
    titles = {item.title: [inner.title for inner in item.items] for item in root.walk() if not item.kind}
    assert titles["a"] == ["b", "<c>", "d", "unary"] and titles["net"] == ["x", "a", "unary", "y"]
    assert scope_of("/layer1/conv/Conv") == ("layer1", "conv") and scope_of("relu.0") == ()


def test_a_module_that_is_entered_again_has_two_boxes():
    layers = [layer(0, "a/one.0"), layer(1, "two.0"), layer(2, "a/three.0")]
    edges = [(-1, 0, "x"), (0, 1, "t0"), (1, 2, "t1"), (2, -1, "y")]
    assert [item.title for item in lay_out(view(layers, edges)).root.items] == ["x", "a", "unary", "a", "y"]


def test_svg_is_valid_and_complete(residual):
    root = ElementTree.fromstring(to_svg(residual))
    space = {"s": "http://www.w3.org/2000/svg"}
    layers = [item for item in residual.layers if item.kind != "CONSTANT"]
    assert len(root.findall(".//s:g[@class='layer']", space)) == len(layers) + 2
    shown = sum(1 for producer, _, _ in residual.edges if producer < 0 or residual.layers[producer].kind != "CONSTANT")
    assert len(root.findall(".//s:path[@class='tensor']", space)) == shown
    hints = [title.text for title in root.findall(".//s:g[@class='layer']/s:title", space)]
    assert any("kernel_size_nd: [3, 3]" in hint for hint in hints)


def test_names_are_escaped():
    for text in (to_svg(DIAMOND), to_html(DIAMOND)):
        assert "<three>" not in text and "&lt;three&gt;" in text and "<c>" not in text and ">&lt;c&gt;<" in text
    ElementTree.fromstring(to_svg(DIAMOND))


def test_a_constant_that_is_an_output_is_shown():
    layers = [layer(0, "c.0", "CONSTANT")]
    drawing = lay_out(NetworkView("net", (), (TensorView("y", "int64", ()),), tuple(layers), ((0, -1, "y"),)))
    assert {item.kind for item in drawing.root.walk()} == {"", "CONSTANT", "OUTPUT"} and len(drawing.edges) == 1
