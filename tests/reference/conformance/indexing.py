"""Gather, scatter, one-hot, non-zero, reverse sequence and non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from torch2trt.trt_compat import to_trt_dtype, trt

from .case import Case, Net, short, sizes
from .rows import BF16, BOOL, F16, F32, I32, I64, data


def gather_case(
    mode: str,
    shape: tuple[int, ...],
    indices: Any,
    axis: int = 0,
    shared: int = 0,
    dtype: torch.dtype = F32,
    index: torch.dtype = I32,
    tag: str = "",
) -> Case:
    x, places = data("gather", shape, dtype, -9, 9), torch.tensor(indices, dtype=index)

    def build(net: Net) -> None:
        layer = net.network.add_gather_v2(net.input(x), net.input(places), getattr(trt.GatherMode, mode))
        if mode != "ND":
            layer.axis = axis
        layer.num_elementwise_dims = shared
        net.output(layer.get_output(0))

    def default(v: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        if shared:
            return torch.stack([default_one(row, at, axis - 1) for row, at in zip(v, p, strict=True)])
        return default_one(v, p, axis)

    def default_one(v: torch.Tensor, p: torch.Tensor, at: int) -> torch.Tensor:
        if p.dim() == 0:
            return v.select(at, int(p))
        return torch.stack([default_one(v, part, at) for part in p], at)

    def nd(v: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        if shared:
            return torch.stack([nd_one(row, at) for row, at in zip(v, p, strict=True)])
        return nd_one(v, p)

    def nd_one(v: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        if p.dim() == 1:
            return v[tuple(p.tolist())]
        return torch.stack([nd_one(v, part) for part in p])

    functions = {"DEFAULT": default, "ND": nd, "ELEMENT": lambda v, p: torch.gather(v, axis, p.long() % v.shape[axis])}
    label = f"{mode}-{sizes(shape)}-{sizes(places.shape)}-axis{axis}-shared{shared}-{short(dtype)}-{short(index)}{tag}"
    return Case(f"gather-{label}", build, functions[mode])


GATHERS = [
    gather_case("DEFAULT", (4, 3), [2, 0, 3]),
    gather_case("DEFAULT", (4, 5), [[2, 0], [3, 1]], 1),
    gather_case("DEFAULT", (2, 3, 4), [1, 0], 1),
    gather_case("DEFAULT", (2, 3, 4), 2, 2),
    gather_case("DEFAULT", (4, 3), [-1, -4, 1], tag="-negative"),
    gather_case("DEFAULT", (2, 4, 3), [[2, 0], [1, 3]], 1, 1),
    gather_case("DEFAULT", (4, 3), [2, 0], index=I64),
    *(gather_case("DEFAULT", (4, 3), [2, 0], dtype=dtype) for dtype in (F16, BF16, I32, I64, BOOL)),
    gather_case("ELEMENT", (3, 4), [[0, 2, 1, 1], [2, 0, 0, 1]], 0),
    gather_case("ELEMENT", (3, 4), [[0, 3], [2, 0], [1, 1]], 1),
    gather_case("ELEMENT", (3, 4), [[0, -1], [-2, 0], [1, 1]], 1, tag="-negative"),
    gather_case("ELEMENT", (2, 3, 2), [[[1, 0], [2, 2]], [[0, 0], [1, 2]]], 1, dtype=F16, index=I64),
    gather_case("ND", (3, 4), [[0, 1], [2, 3]]),
    gather_case("ND", (3, 4, 2), [[0, 1], [2, 3]]),
    gather_case("ND", (3, 4, 2), [[2], [0]]),
    gather_case("ND", (2, 3, 4), [[1], [2]], shared=1),
    gather_case("ND", (2, 3, 4), [[[1, 2]], [[2, 0]]], shared=1),
    gather_case("ND", (3, 4), [[0, 1], [2, 3]], dtype=I32, index=I64),
]


def scatter_case(
    mode: str, shape: tuple[int, ...], indices: Any, updates: tuple[int, ...], axis: int = 0, dtype: torch.dtype = F32
) -> Case:
    x, new = data("scatter", shape, dtype, -9, 9), data("updates", updates, dtype, -9, 9)
    places = torch.tensor(indices, dtype=I32)

    def build(net: Net) -> None:
        kind = getattr(trt.ScatterMode, mode)
        layer = net.network.add_scatter(net.input(x), net.input(places), net.input(new), kind)
        if mode == "ELEMENT":
            layer.axis = axis
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor, p: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        result = v.clone()
        if mode == "ELEMENT":
            return result.scatter(axis, p.long() % v.shape[axis], u)
        for at, value in zip(p.reshape(-1, p.shape[-1]), u.reshape(-1, *v.shape[p.shape[-1] :]), strict=True):
            result[tuple(at.tolist())] = value
        return result

    label = f"{mode}-{sizes(shape)}-{sizes(places.shape)}-axis{axis}-{short(dtype)}"
    return Case(f"scatter-{label}", build, expected)


SCATTERS = [
    scatter_case("ELEMENT", (3, 4), [[0, 2, 1, 0]], (1, 4), 0),
    scatter_case("ELEMENT", (3, 4), [[0, 3], [2, 1]], (2, 2), 1),
    scatter_case("ELEMENT", (2, 3, 2), [[[2, 0]], [[1, 2]]], (2, 1, 2), 1),
    scatter_case("ELEMENT", (3, 4), [[0, -1, 1], [-2, 1, 0]], (2, 3), 1),
    scatter_case("ND", (3, 4), [[0, 1], [2, 3]], (2,)),
    scatter_case("ND", (3, 4), [[2], [0]], (2, 4)),
    scatter_case("ND", (3, 4, 2), [[[0, 1]], [[2, 3]]], (2, 1, 2)),
    *(scatter_case("ELEMENT", (3, 4), [[0, 3], [2, 1]], (2, 2), 1, dtype) for dtype in (F16, BF16, I32, I64)),
    *(scatter_case("ND", (3, 4), [[0, 1], [2, 3]], (2,), 0, dtype) for dtype in (F16, I32, I64)),
]


def one_hot_case(indices: Any, axis: int, dtype: torch.dtype, tag: str = "") -> Case:
    places = torch.tensor(indices, dtype=I32)
    values = torch.tensor([2, 7]).to(dtype)

    def build(net: Net) -> None:
        layer = net.network.add_one_hot(net.input(places), net.constant(values), net.constant(4, I32), axis)
        net.output(layer.get_output(0))

    def expected(p: torch.Tensor) -> torch.Tensor:
        hot = torch.full((p.numel(), 4), 2).to(dtype)
        for row, place in enumerate(p.reshape(-1).tolist()):
            if 0 <= place < 4:
                hot[row, place] = 7
        return hot.reshape(*p.shape, 4).movedim(-1, axis)

    return Case(f"one_hot-{sizes(places.shape)}-axis{axis}-{short(dtype)}{tag}", build, expected)


def non_zero_case(x: torch.Tensor, index: torch.dtype) -> Case:
    def build(net: Net) -> None:
        net.output(net.network.add_non_zero(net.input(x), to_trt_dtype(index)).get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        return (
            torch.tensor(
                [
                    place
                    for place in torch.cartesian_prod(*map(torch.arange, v.shape)).reshape(-1, v.dim()).tolist()
                    if v[tuple(place)]
                ]
            )
            .t()
            .to(index)
        )

    label = f"{sizes(x.shape)}-{short(x.dtype)}-{short(index)}"
    return Case(f"non_zero-{label}", build, expected, "TensorRT for RTX has no non-zero layer")


def reverse_case(shape: tuple[int, ...], lengths: list[int], batch: int, sequence: int, dtype: torch.dtype) -> Case:
    x, ends = data("reverse", shape, dtype, -9, 9), torch.tensor(lengths, dtype=I32)

    def build(net: Net) -> None:
        layer = net.network.add_reverse_sequence(net.input(x), net.input(ends))
        layer.batch_axis, layer.sequence_axis = batch, sequence
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor, limit: torch.Tensor) -> torch.Tensor:
        moved = v.movedim((batch, sequence), (0, 1)).clone()
        for row, end in enumerate(limit.tolist()):
            moved[row, :end] = moved[row, :end].flip(0)
        return moved.movedim((0, 1), (batch, sequence))

    return Case(f"reverse_sequence-{sizes(shape)}-batch{batch}-seq{sequence}-{short(dtype)}", build, expected)


# Two overlapping pairs and one box far away, as (x1, y1, x2, y2).
BOXES = [
    [0.0, 0.0, 1.0, 1.0],
    [0.0, 0.1, 1.0, 1.1],
    [0.0, 10.0, 1.0, 11.0],
    [0.0, 10.1, 1.0, 11.1],
    [0.0, 100.0, 1.0, 101.0],
]
SCORES = [0.9, 0.75, 0.6, 0.95, 0.3]


def nms_case(
    label: str,
    rows: Sequence[Sequence[int]],
    *,
    scores: Any = None,
    form: str = "CORNER_PAIRS",
    most: int = 5,
    iou: float | None = 0.5,
    least: float | None = 0.0,
    dtype: torch.dtype = F32,
    index: torch.dtype = I32,
    per_class: bool = False,
    limit: int = 0,
) -> Case:
    boxes = torch.tensor([BOXES], dtype=F32)
    if form == "CENTER_SIZES":
        low, high = boxes.split(2, -1)
        boxes = torch.cat(((low + high) / 2, high - low), -1)
    marks = torch.tensor([SCORES], dtype=F32).unsqueeze(-1) if scores is None else torch.tensor([scores], dtype=F32)
    if per_class:
        boxes = boxes.unsqueeze(2).repeat(1, 1, marks.shape[-1], 1)

    def build(net: Net) -> None:
        layer = net.network.add_nms(
            net.input(boxes.to(dtype)), net.input(marks.to(dtype)), net.constant(most, I32), to_trt_dtype(index)
        )
        layer.bounding_box_format = getattr(trt.BoundingBoxFormat, form)
        if limit:
            layer.topk_box_limit = limit
        for place, value in ((3, iou), (4, least)):
            if value is not None:
                layer.set_input(place, net.constant(value, F32))
        net.output(layer.get_output(0), layer.get_output(1))

    def expected(*_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(rows, dtype=index).reshape(-1, 3), torch.tensor(len(rows), dtype=I32)

    return Case(f"nms-{label}-{short(dtype)}-{short(index)}", build, expected, "TensorRT for RTX has no NMS kernel")


TWO_CLASSES = [[0.9, 0.1], [0.75, 0.8], [0.6, 0.2], [0.95, 0.3], [0.3, 0.85]]

NMS = [
    nms_case("corners", [[0, 0, 3], [0, 0, 0], [0, 0, 4]]),
    nms_case("centres", [[0, 0, 3], [0, 0, 0], [0, 0, 4]], form="CENTER_SIZES"),
    nms_case("most", [[0, 0, 3], [0, 0, 0]], most=2),
    nms_case("score", [[0, 0, 3], [0, 0, 0]], least=0.4),
    nms_case("iou", [[0, 0, 3], [0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 0, 4]], iou=0.95),
    nms_case("defaults", [[0, 0, 3], [0, 0, 0], [0, 0, 4]], iou=None, least=None),
    nms_case("limit", [[0, 0, 3], [0, 0, 0]], limit=3),
    nms_case("classes", [[0, 0, 3], [0, 0, 0], [0, 1, 4], [0, 1, 1], [0, 1, 3], [0, 0, 4]], scores=TWO_CLASSES),
    nms_case(
        "per_class",
        [[0, 0, 3], [0, 0, 0], [0, 1, 4], [0, 1, 1], [0, 1, 3], [0, 0, 4]],
        scores=TWO_CLASSES,
        per_class=True,
    ),
    nms_case("none", [], least=0.99),
    nms_case("corners", [[0, 0, 3], [0, 0, 0], [0, 0, 4]], dtype=F16),
    nms_case("corners", [[0, 0, 3], [0, 0, 0], [0, 0, 4]], index=I64),
]

CASES = [
    *GATHERS,
    *SCATTERS,
    *(one_hot_case([0, 3, 1], axis, F32) for axis in (-1, 0)),
    one_hot_case([[0, 3], [1, 2]], 1, F32),
    *(one_hot_case([0, 3, 1], -1, dtype) for dtype in (F16, I32, I64)),
    one_hot_case([0, 5, 1], -1, F32, "-beyond"),
    non_zero_case(torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, -1.0]]), I32),
    non_zero_case(torch.tensor([[True, False], [True, True]]), I64),
    non_zero_case(torch.tensor([0, 4, 0, 5], dtype=I32), I32),
    reverse_case((4, 3, 2), [1, 4, 2], 1, 0, F32),
    reverse_case((3, 5), [5, 0, 3], 0, 1, F32),
    reverse_case((3, 5), [5, 1, 3], 0, 1, F16),
    reverse_case((3, 5), [5, 1, 3], 0, 1, I32),
    *NMS,
]
