"""Matrix multiplication, einsum, reductions, softmax, cumulative sums and top-k."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from torch2trt.trt_compat import to_trt_dtype, trt

from .case import Case, Net, short, sizes
from .rows import BF16, F16, F32, I32, I64, bits, coarse, data, wide

INF, NAN = math.inf, math.nan


def matmul_case(
    a: tuple[int, ...], first: str, b: tuple[int, ...], second: str, dtype: torch.dtype = F32, constant: bool = False
) -> Case:
    label = f"{sizes(a)}-{first}-{sizes(b)}-{second}-{short(dtype)}" + "-constant" * constant
    left, right = coarse(label + "a", a, dtype), coarse(label + "b", b, dtype)

    def build(net: Net) -> None:
        x = net.input(left)
        y = net.constant(right) if constant else net.input(right)
        ops = (getattr(trt.MatrixOperation, name) for name in (first, second))
        net.output(net.network.add_matrix_multiply(x, next(ops), y, next(ops)).get_output(0))

    def expected(v: torch.Tensor, w: torch.Tensor = right) -> torch.Tensor:
        w = w.float()
        v = v.unsqueeze(-2) if first == "VECTOR" else v.mT if first == "TRANSPOSE" else v
        w = w.unsqueeze(-1) if second == "VECTOR" else w.mT if second == "TRANSPOSE" else w
        product = (v.unsqueeze(-1) * w.unsqueeze(-3)).sum(-2)
        product = product.squeeze(-1) if second == "VECTOR" else product
        if first == "VECTOR":
            product = product.squeeze(-1 if second == "VECTOR" else -2)
        return product

    return Case(f"matrix_multiply-{label}", build, wide(expected))


MATMULS = [
    matmul_case((3, 4), "NONE", (4, 5), "NONE"),
    matmul_case((4, 3), "TRANSPOSE", (4, 5), "NONE"),
    matmul_case((3, 4), "NONE", (5, 4), "TRANSPOSE"),
    matmul_case((4, 3), "TRANSPOSE", (5, 4), "TRANSPOSE"),
    matmul_case((4,), "VECTOR", (4, 5), "NONE"),
    matmul_case((3, 4), "NONE", (4,), "VECTOR"),
    matmul_case((4,), "VECTOR", (5, 4), "TRANSPOSE"),
    matmul_case((4, 3), "TRANSPOSE", (4,), "VECTOR"),
    matmul_case((4,), "VECTOR", (4,), "VECTOR"),
    matmul_case((2, 3, 4), "NONE", (2, 4, 5), "NONE"),
    matmul_case((2, 1, 3, 4), "NONE", (1, 3, 4, 5), "NONE"),
    matmul_case((2, 3, 4), "NONE", (1, 4, 5), "NONE", constant=True),
    matmul_case((2, 4), "VECTOR", (2, 4, 5), "NONE"),
    matmul_case((3, 4), "NONE", (4, 5), "NONE", F16),
    matmul_case((2, 3, 8), "NONE", (1, 8, 8), "TRANSPOSE", F16, constant=True),
    matmul_case((3, 4), "NONE", (4, 5), "NONE", BF16),
    matmul_case((1, 64, 96), "NONE", (1, 96, 32), "NONE"),
    matmul_case((2, 0, 4), "NONE", (2, 4, 5), "NONE"),
    matmul_case((2, 3, 0), "NONE", (2, 0, 5), "NONE"),
]


def einsum_case(equation: str, *shapes: tuple[int, ...], dtype: torch.dtype = F32, **more: Any) -> Case:
    values = [data(f"{equation}{i}", shape, dtype) for i, shape in enumerate(shapes)]

    def build(net: Net) -> None:
        inputs = [net.input(value) for value in values]
        net.output(net.network.add_einsum(inputs, equation).get_output(0))

    return Case(
        f"einsum-{equation.replace(',', '.').replace('->', '~')}-{short(dtype)}",
        build,
        wide(lambda *inputs: torch.einsum(equation, *inputs)),
        **more,
    )


EINSUMS = [
    einsum_case("ij,jk->ik", (3, 4), (4, 5)),
    einsum_case("ij->ji", (3, 4)),
    einsum_case("ij->", (3, 4)),
    einsum_case("i,i->", (4,), (4,)),
    einsum_case("i,j->ij", (3,), (4,)),
    einsum_case("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    einsum_case("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    einsum_case("bij,bij->b", (2, 3, 4), (2, 3, 4)),
    einsum_case("ijk->ik", (2, 3, 4)),
    einsum_case("ij,jk", (3, 4), (4, 5)),
    einsum_case("bij,bjk->bik", (2, 3, 4), (2, 4, 5), dtype=F16),
]


def reduce_case(
    op: str,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    keep: bool,
    dtype: torch.dtype = F32,
    x: Any = None,
    tag: str = "",
) -> Case:
    label = f"{op}-{sizes(shape)}-axes{sizes(axes)}-{'keep' if keep else 'drop'}-{short(dtype)}{tag}"
    value = (
        data(label, shape, dtype, -3 if dtype in (I32, I64) else -2, 3 if dtype in (I32, I64) else 2)
        if x is None
        else x
    )

    def build(net: Net) -> None:
        kind = getattr(trt.ReduceOperation, op)
        net.output(net.network.add_reduce(net.input(value), kind, bits(*axes), keep).get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        if op == "PROD":
            for axis in sorted(axes, reverse=True):
                v = v.prod(axis, keepdim=keep, dtype=v.dtype)
            return v
        if op == "AVG":
            return v.mean(axes, keepdim=keep)
        return {
            "SUM": lambda: v.sum(axes, keepdim=keep, dtype=v.dtype),
            "MAX": lambda: v.amax(axes, keepdim=keep),
            "MIN": lambda: v.amin(axes, keepdim=keep),
        }[op]()

    return Case(f"reduce-{label}", build, None if dtype in (I32, I64) and op == "AVG" else wide(expected))


REDUCES = [
    *(
        reduce_case(op, shape, axes, keep)
        for op in ("SUM", "PROD", "MAX", "MIN", "AVG")
        for shape, axes, keep in (
            ((2, 3, 4), (1,), True),
            ((2, 3, 4), (0, 2), False),
            ((2, 3, 4, 2), (0, 1, 2, 3), True),
        )
    ),
    *(
        reduce_case(op, (3, 5), (1,), False, dtype)
        for op in ("SUM", "PROD", "MAX", "MIN", "AVG")
        for dtype in (F16, BF16)
    ),
    *(reduce_case(op, (3, 5), (0,), False, dtype) for op in ("SUM", "PROD", "MAX", "MIN") for dtype in (I32, I64)),
    reduce_case("AVG", (3, 4), (1,), False, I32),
    *(
        reduce_case(op, (2, 3), (1,), False, F32, torch.tensor([[NAN, 1.0, 2.0], [INF, -INF, 3.0]]), "-edges")
        for op in ("SUM", "MAX", "MIN", "AVG")
    ),
]


def empty_reduce(op: str, value: float) -> Case:
    def build(net: Net) -> None:
        kind = getattr(trt.ReduceOperation, op)
        net.output(net.network.add_reduce(net.input(torch.zeros(2, 0)), kind, bits(1), False).get_output(0))

    return Case(f"reduce-{op}-empty-float32", build, lambda v: torch.full((2,), value))


EMPTY = [empty_reduce(*row) for row in (("SUM", 0.0), ("PROD", 1.0), ("MAX", -INF), ("MIN", INF), ("AVG", NAN))]


def softmax_case(shape: tuple[int, ...], axis: int, dtype: torch.dtype = F32, x: Any = None, tag: str = "") -> Case:
    value = data("softmax", shape, dtype, -4, 4) if x is None else x

    def build(net: Net) -> None:
        layer = net.network.add_softmax(net.input(value))
        layer.axes = bits(axis)
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        powers = (v - v.amax(axis, keepdim=True)).exp()
        return powers / powers.sum(axis, keepdim=True)

    return Case(f"softmax-{sizes(shape)}-axis{axis}-{short(dtype)}{tag}", build, wide(expected))


SOFTMAXES = [
    softmax_case((3, 7), 1),
    softmax_case((2, 3, 4), 0),
    softmax_case((2, 3, 4, 5), 1),
    softmax_case((2, 3, 4, 5), 3),
    softmax_case((3, 33), 1, F16),
    softmax_case((3, 33), 1, BF16),
    softmax_case((1, 4), 1, F32, torch.tensor([[-INF, 1.0, 2.0, -INF]]), "-masked"),
    softmax_case((1, 3), 1, F32, torch.tensor([[NAN, 1.0, 2.0]]), "-nan"),
    softmax_case((1, 3), 1, F32, torch.tensor([[-INF, -INF, -INF]]), "-all_masked"),
]


def ragged_case(shape: tuple[int, ...], lengths: list[int], dtype: torch.dtype, **more: Any) -> Case:
    x = data("ragged", shape, dtype)
    bounds = torch.tensor(lengths, dtype=I32).reshape(*shape[:-1], 1)

    def build(net: Net) -> None:
        net.output(net.network.add_ragged_softmax(net.input(x), net.input(bounds)).get_output(0))

    def expected(v: torch.Tensor, limit: torch.Tensor) -> torch.Tensor:
        rows, ends = v.reshape(-1, shape[-1]), limit.reshape(-1).tolist()
        result = torch.zeros_like(rows)
        for i, end in enumerate(ends):
            result[i, :end] = torch.softmax(rows[i, :end], 0)
        return result.reshape(shape)

    return Case(f"ragged_softmax-{sizes(shape)}-{short(dtype)}", build, wide(expected), **more)


def cumulative_case(
    shape: tuple[int, ...], axis: int, exclusive: bool, reverse: bool, dtype: torch.dtype = F32
) -> Case:
    label = f"{sizes(shape)}-axis{axis}" + "-exclusive" * exclusive + "-reverse" * reverse + f"-{short(dtype)}"
    x = data("cumulative" + label, shape, dtype)

    def build(net: Net) -> None:
        kind = trt.CumulativeOperation.SUM
        layer = net.network.add_cumulative(net.input(x), net.constant(axis, I32), kind, exclusive, reverse)
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        total = v.sum(axis, keepdim=True, dtype=v.dtype)
        running = v.cumsum(axis, dtype=v.dtype)
        forward = running - v if exclusive else running
        return total - running + (0 if exclusive else v) if reverse else forward

    return Case(f"cumulative-{label}", build, wide(expected), tolerance=2e-5 if dtype == F32 else 0.0)


CUMULATIVES = [
    *(cumulative_case((3, 5), 1, exclusive, reverse) for exclusive in (False, True) for reverse in (False, True)),
    cumulative_case((2, 4, 3), 0, False, False),
    cumulative_case((2, 4, 3), 1, True, True),
    cumulative_case((3, 5), 1, False, False, F16),
    cumulative_case((3, 5), 1, False, False, I32),
    cumulative_case((3, 5), 0, True, False, I64),
]


def topk_case(
    op: str, shape: tuple[int, ...], axis: int, k: int, dtype: torch.dtype, indices: torch.dtype, how: str = "static"
) -> Case:
    label = f"{op}-{sizes(shape)}-axis{axis}-k{k}-{short(dtype)}-{short(indices)}-{how}"
    generator = torch.Generator().manual_seed(3)
    count = math.prod(shape)
    x = (torch.randperm(count, generator=generator) - count // 2).reshape(shape).to(dtype)

    def build(net: Net) -> None:
        kind = getattr(trt.TopKOperation, op)
        layer = net.network.add_topk(net.input(x), kind, k, bits(axis), to_trt_dtype(indices))
        if how == "dynamic":
            layer.set_input(1, net.shape_input(torch.tensor(k, dtype=I32), torch.tensor(1, dtype=I32), name="k"))
        net.output(layer.get_output(0), layer.get_output(1))

    def expected(v: torch.Tensor, wanted: Any = k) -> tuple[torch.Tensor, torch.Tensor]:
        values, places = torch.topk(v, int(wanted), axis, op == "MAX")
        return values, places.to(indices)

    return Case(f"topk-{label}", build, expected)


TOPKS = [
    *(topk_case(op, (3, 7), 1, 3, F32, I32) for op in ("MAX", "MIN")),
    *(topk_case(op, (2, 5, 4), 1, 1, F32, I64) for op in ("MAX", "MIN")),
    topk_case("MAX", (2, 3, 4, 5), 2, 4, F32, I32),
    topk_case("MAX", (3, 7), 1, 7, F32, I64),
    *(topk_case("MAX", (3, 7), 1, 2, dtype, I32) for dtype in (F16, BF16, I32, I64)),
    topk_case("MIN", (3, 40), 1, 33, F16, I64),
    topk_case("MAX", (3, 7), 1, 3, F32, I32, "dynamic"),
]


def tie_case(op: str) -> Case:
    x = torch.tensor([[1.0, 3.0, 3.0, 2.0, 1.0, 3.0]])

    def build(net: Net) -> None:
        layer = net.network.add_topk(net.input(x), getattr(trt.TopKOperation, op), 4, bits(1))
        net.output(layer.get_output(0), layer.get_output(1))

    indices = [1, 2, 5, 3] if op == "MAX" else [0, 4, 3, 1]
    values = [3.0, 3.0, 3.0, 2.0] if op == "MAX" else [1.0, 1.0, 2.0, 3.0]
    return Case(
        f"topk-{op}-ties-float32", build, lambda v: (torch.tensor([values]), torch.tensor([indices], dtype=I32))
    )


Function = Callable[..., torch.Tensor]
CASES = [
    *MATMULS,
    *EINSUMS,
    *REDUCES,
    *EMPTY,
    *SOFTMAXES,
    ragged_case((2, 3, 5), [5, 3, 1, 2, 4, 5], F32),
    ragged_case((1, 4, 6), [6, 2, 3, 1], F16),
    *CUMULATIVES,
    *TOPKS,
    tie_case("MAX"),
    tie_case("MIN"),
]
