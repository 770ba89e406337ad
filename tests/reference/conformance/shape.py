"""Constant, shape, shuffle, slice, concatenation, padding, squeeze, unsqueeze and fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from torch2trt.trt_compat import to_trt_dtype, trt

from .case import Case, Net, short, sizes
from .rows import BF16, BOOL, F16, F32, I32, I64, data


def constant_case(dtype: torch.dtype, shape: tuple[int, ...], **more: Any) -> Case:
    value = data("constant", shape, dtype, -9, 9)

    def build(net: Net) -> None:
        # An engine wants an input, and an output that is no constant itself.
        net.output(net.network.add_identity(net.constant(value)).get_output(0))

    return Case(f"constant-{sizes(shape)}-{short(dtype)}", build, lambda: value, **more)


def shape_case(values: Sequence[torch.Tensor], dynamic: Sequence[int]) -> Case:
    def build(net: Net) -> None:
        net.output(net.network.add_shape(net.input(*values, dynamic=dynamic)).get_output(0))

    label = f"{sizes(values[0].shape)}-{short(values[0].dtype)}" + "-dynamic" * bool(dynamic)
    return Case(f"shape-{label}", build, lambda v: torch.tensor(v.shape, dtype=I64))


def shuffle_case(
    label: str,
    shape: tuple[int, ...],
    expected: Any,
    *,
    first: Sequence[int] = (),
    reshape: Sequence[int] | None = None,
    second: Sequence[int] = (),
    placeholder: bool = True,
    dtype: torch.dtype = F32,
) -> Case:
    x = data("shuffle", shape, dtype, -99, 99)

    def build(net: Net) -> None:
        layer = net.network.add_shuffle(net.input(x))
        if first:
            layer.first_transpose = first
        layer.zero_is_placeholder = placeholder
        if reshape is not None:
            layer.reshape_dims = reshape
        if second:
            layer.second_transpose = second
        net.output(layer.get_output(0))

    return Case(f"shuffle-{label}-{sizes(shape)}-{short(dtype)}", build, expected)


def dynamic_shuffle() -> list[Case]:
    values = [data(f"ds{i}", shape) for i, shape in enumerate(((2, 3, 4), (5, 3, 4)))]

    def zero_and_minus_one(net: Net) -> None:
        layer = net.network.add_shuffle(net.input(*values, dynamic=(0,)))
        layer.reshape_dims = (0, -1)
        net.output(layer.get_output(0))

    def by_tensor(net: Net) -> None:
        x = net.input(*values, dynamic=(0,))
        layer = net.network.add_shuffle(x)
        rows = net.network.add_gather(net.network.add_shape(x).get_output(0), net.constant([0], I32), 0).get_output(0)
        layer.set_input(1, net.network.add_concatenation([net.constant([12], I64), rows]).get_output(0))
        net.output(layer.get_output(0))

    def by_input(net: Net) -> None:
        x = net.input(data("ds2", (4, 6)))
        layer = net.network.add_shuffle(x)
        layer.set_input(1, net.shape_input(torch.tensor([3, 8]), torch.tensor([12, 2]), name="dims"))
        net.output(layer.get_output(0))

    return [
        Case("shuffle-dynamic-0--1-float32", zero_and_minus_one, lambda v: v.flatten(1)),
        Case("shuffle-dynamic-tensor-float32", by_tensor, lambda v: v.reshape(12, -1)),
        Case("shuffle-dynamic-input-float32", by_input, lambda v, d: v.reshape(*d.tolist())),
    ]


SHUFFLES = [
    shuffle_case("transpose", (2, 3, 4), lambda v: v.permute(2, 0, 1).contiguous(), first=(2, 0, 1)),
    shuffle_case("reshape", (2, 3, 4), lambda v: v.reshape(4, 6), reshape=(4, 6)),
    shuffle_case("minus_one", (2, 3, 4), lambda v: v.reshape(3, 8), reshape=(3, -1)),
    shuffle_case("zero", (2, 3, 4), lambda v: v.reshape(2, 12), reshape=(0, -1)),
    shuffle_case(
        "all", (2, 3, 4), lambda v: v.permute(1, 0, 2).reshape(6, 4).t(), first=(1, 0, 2), reshape=(6, 4), second=(1, 0)
    ),
    shuffle_case("scalar", (1, 1), lambda v: v.reshape(()), reshape=()),
    shuffle_case("from_scalar", (), lambda v: v.reshape(1, 1), reshape=(1, 1)),
    shuffle_case("zero_length", (0, 3), lambda v: v.reshape(3, 0), reshape=(3, 0), placeholder=False),
    shuffle_case("rank8", (2, 1, 2, 1, 2, 1, 2, 3), lambda v: v.reshape(8, 6), reshape=(8, 6)),
    shuffle_case("second", (2, 3), lambda v: v.t(), second=(1, 0)),
    *(shuffle_case("transpose", (3, 4), lambda v: v.t(), first=(1, 0), dtype=d) for d in (F16, BF16, I32, I64, BOOL)),
]


def reflect(index: int, size: int) -> int:
    """The element that an out-of-bounds index reads when coordinates are mirrored at the outer elements."""
    while not 0 <= index < size:
        index = -index if index < 0 else 2 * (size - 1) - index
        if size == 1:
            return 0
    return index


def slice_by_hand(v: torch.Tensor, start: Any, size: Any, stride: Any, mode: str, fill: float) -> torch.Tensor:
    for axis in range(v.dim()):
        parts = []
        for i in range(size[axis]):
            place, count = start[axis] + i * stride[axis], v.shape[axis]
            if mode == "FILL" and not 0 <= place < count:
                parts.append(torch.full_like(v.select(axis, 0), fill))
                continue
            place = {
                "STRICT_BOUNDS": place,
                "FILL": place,
                "WRAP": place % count,
                "CLAMP": min(max(place, 0), count - 1),
                "REFLECT": reflect(place, count),
            }[mode]
            parts.append(v.select(axis, place))
        v = torch.stack(parts, axis) if parts else v.narrow(axis, 0, 0)
    return v


def slice_case(
    shape: tuple[int, ...],
    start: tuple[int, ...],
    size: tuple[int, ...],
    stride: tuple[int, ...],
    mode: str = "STRICT_BOUNDS",
    dtype: torch.dtype = F32,
    fill: float | None = None,
    how: str = "static",
) -> Case:
    x = data("slice", shape, dtype, -9, 9)

    def build(net: Net) -> None:
        layer = net.network.add_slice(net.input(x), start, size, stride)
        layer.mode = getattr(trt.SampleMode, mode)
        if fill is not None:
            layer.set_input(4, net.constant(fill, dtype))
        if how == "tensors":
            for index, value in ((1, start), (2, size), (3, stride)):
                layer.set_input(index, net.constant(value, I64))
        if how == "input":
            layer.set_input(1, net.shape_input(torch.tensor(start), name="start"))
        net.output(layer.get_output(0))

    label = f"{mode}-{sizes(shape)}-from{sizes(start)}-size{sizes(size)}-by{sizes(stride)}-{short(dtype)}-{how}"
    label += "" if fill is None else f"-fill{fill}"
    return Case(f"slice-{label}", build, lambda v, *_: slice_by_hand(v, start, size, stride, mode, fill or 0))


def axes_case() -> list[Case]:
    x = data("axes", (3, 4, 5))

    def static(net: Net) -> None:
        layer = net.network.add_slice(net.input(x), (1,), (2,), (1,))
        layer.axes = (2,)
        net.output(layer.get_output(0))

    def dynamic(net: Net) -> None:
        layer = net.network.add_slice(net.input(x), (1, 0), (2, 2), (1, 2))
        layer.set_input(5, net.constant([2, 0], I64))
        net.output(layer.get_output(0))

    values = [data(f"dynamic{i}", shape) for i, shape in enumerate(((4, 6), (7, 6)))]

    def by_shape(net: Net) -> None:
        y = net.input(*values, dynamic=(0,))
        layer = net.network.add_slice(y, (0, 1), (1, 4), (1, 1))
        rows = net.network.add_slice(net.network.add_shape(y).get_output(0), (0,), (1,), (1,)).get_output(0)
        less = net.network.add_elementwise(rows, net.constant([2], I64), trt.ElementWiseOperation.SUB).get_output(0)
        layer.set_input(2, net.network.add_concatenation([less, net.constant([4], I64)]).get_output(0))
        net.output(layer.get_output(0))

    return [
        Case("slice-axes-static-float32", static, lambda v: v[:, :, 1:3]),
        Case("slice-axes-input-float32", dynamic, lambda v: v[0:3:2, :, 1:3]),
        Case("slice-dynamic-size-float32", by_shape, lambda v: v[:-2, 1:5]),
    ]


SLICES = [
    slice_case((4, 6), (1, 2), (2, 3), (1, 1)),
    slice_case((4, 6), (0, 1), (2, 3), (2, 2)),
    slice_case((4, 6), (3, 5), (4, 3), (-1, -2)),
    slice_case((4, 6), (2, 1), (3, 4), (0, 1)),
    slice_case((2, 3, 4, 5), (0, 1, 0, 2), (2, 2, 4, 2), (1, 1, 1, 2)),
    slice_case((4, 6), (1, 1), (0, 3), (1, 1)),
    *(slice_case((4, 5), (-2, -3), (8, 11), (1, 1), mode) for mode in ("WRAP", "CLAMP", "REFLECT", "FILL")),
    *(slice_case((4, 5), (5, 8), (4, 6), (-2, -3), mode) for mode in ("WRAP", "CLAMP", "REFLECT", "FILL")),
    *(slice_case((4, 5), (-9, -1), (15, 3), (2, 2), mode) for mode in ("WRAP", "CLAMP", "REFLECT", "FILL")),
    slice_case((4, 5), (-1, -2), (6, 8), (1, 1), "FILL", F32, 7.5),
    slice_case((4, 5), (-1, -2), (6, 8), (1, 1), "FILL", I32, 3),
    slice_case((4, 5), (-1, -2), (6, 8), (1, 1), "FILL", F16, -1.5),
    slice_case((1, 5), (-2, 0), (5, 5), (1, 1), "REFLECT"),
    *(slice_case((4, 6), (1, 2), (2, 3), (1, 1), dtype=d) for d in (F16, BF16, I32, I64, BOOL)),
    *(slice_case((4, 6), (1, 2), (2, 2), (2, 2), how=how) for how in ("tensors", "input")),
    slice_case((4, 5), (-1, -2), (6, 8), (1, 1), "FILL", F32, 7.5, "tensors"),
    *axes_case(),
]


def concat_case(shapes: Sequence[tuple[int, ...]], axis: int, dtype: torch.dtype) -> Case:
    values = [data(f"concat{i}", shape, dtype, -9, 9) for i, shape in enumerate(shapes)]

    def build(net: Net) -> None:
        layer = net.network.add_concatenation([net.input(v) for v in values])
        layer.axis = axis
        net.output(layer.get_output(0))

    label = "-".join(map(sizes, shapes))
    return Case(f"concatenation-{label}-axis{axis}-{short(dtype)}", build, lambda *v: torch.cat(v, axis))


def padding_case(before: tuple[int, int], after: tuple[int, int], dtype: torch.dtype, **more: Any) -> Case:
    x = data("padding", (1, 2, 5, 6), dtype)

    def build(net: Net) -> None:
        net.output(net.network.add_padding_nd(net.input(x), before, after).get_output(0))

    label = f"{before[0]}.{before[1]}-{after[0]}.{after[1]}-{short(dtype)}"
    return Case(f"padding-{label}", build, lambda v: F.pad(v, (before[1], after[1], before[0], after[0])), **more)


def squeeze_case(kind: str, shape: tuple[int, ...], axes: list[int], dtype: torch.dtype = F32) -> Case:
    x = data("squeeze", shape, dtype, -9, 9)

    def build(net: Net) -> None:
        add = net.network.add_squeeze if kind == "squeeze" else net.network.add_unsqueeze
        net.output(add(net.input(x), net.constant(axes, I64)).get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        if kind == "squeeze":
            return v.squeeze(tuple(axes))
        for axis in sorted(a + v.dim() + len(axes) if a < 0 else a for a in axes):
            v = v.unsqueeze(axis)
        return v

    return Case(f"{kind}-{sizes(shape)}-axes{sizes(axes)}-{short(dtype)}", build, expected)


def fill_case(
    kind: str,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    alpha: float | None,
    beta: Any,
    how: str,
    expected: Any = None,
) -> Case:
    def build(net: Net) -> None:
        layer = net.network.add_fill(shape, getattr(trt.FillOperation, kind), to_trt_dtype(dtype))
        if how == "static":
            layer.alpha, layer.beta = alpha, beta
        else:
            values = dtype if kind == "LINSPACE" else F32
            layer.set_input(1, net.constant(alpha, values))
            layer.set_input(2, net.constant(beta, values))
        if how == "shape":
            layer.set_input(0, net.shape_input(torch.tensor(shape), name="dims"))
        net.output(layer.get_output(0))

    random = kind != "LINSPACE"
    refused = "TensorRT for RTX draws random numbers in float32 only" if random and dtype == F16 else ""
    return Case(f"fill-{kind}-{sizes(shape)}-{short(dtype)}-{how}", build, expected, refused, random=random)


GRID = torch.tensor([[1.0, 11.0, 21.0, 31.0], [101.0, 111.0, 121.0, 131.0], [201.0, 211.0, 221.0, 231.0]])

FILLS = [
    fill_case("LINSPACE", (5,), F32, 2.0, 0.5, "static", lambda: torch.tensor([2.0, 2.5, 3.0, 3.5, 4.0])),
    fill_case("LINSPACE", (5,), I32, 2, 3, "static", lambda: torch.tensor([2, 5, 8, 11, 14], dtype=I32)),
    fill_case("LINSPACE", (4,), I64, -3, 2, "static", lambda: torch.tensor([-3, -1, 1, 3])),
    fill_case("LINSPACE", (3, 4), F32, 1.0, [100.0, 10.0], "tensors", lambda: GRID),
    fill_case("LINSPACE", (3, 4), I32, 1, [100, 10], "tensors", lambda: GRID.to(I32)),
    fill_case("LINSPACE", (3, 4), F32, 1.0, [100.0, 10.0], "shape", lambda d: GRID),
    fill_case("RANDOM_UNIFORM", (64, 64), F32, -1.0, 3.0, "static"),
    fill_case("RANDOM_NORMAL", (64, 64), F32, 2.0, 0.5, "static"),
    fill_case("RANDOM_UNIFORM", (64, 64), F16, -1.0, 3.0, "static"),
    fill_case("RANDOM_NORMAL", (64, 64), F16, 2.0, 0.5, "static"),
    fill_case("RANDOM_UNIFORM", (64, 64), F32, -1.0, 3.0, "tensors"),
    fill_case("RANDOM_NORMAL", (64, 64), F32, 2.0, 0.5, "shape"),
]

CASES = [
    *(constant_case(dtype, (2, 3)) for dtype in (F32, F16, BF16, I32, I64, BOOL)),
    constant_case(F32, ()),
    constant_case(F32, (0, 3)),
    constant_case(torch.int8, (2, 3), refused="INT8 constants may only be dequantised"),
    shape_case([data("shape", (2, 3, 4))], ()),
    shape_case([data("shape", (2, 3)), data("shape", (5, 1))], (0, 1)),
    shape_case([data("shape", (2, 3), I32)], ()),
    shape_case([data("shape", ())], ()),
    *SHUFFLES,
    *dynamic_shuffle(),
    *SLICES,
    concat_case([(2, 3), (2, 5)], 1, F32),
    concat_case([(2, 3), (4, 3), (1, 3)], 0, F32),
    concat_case([(2, 3, 4), (2, 3, 2)], 2, F32),
    concat_case([(2, 0), (2, 5)], 1, F32),
    concat_case([(3,)], 0, F32),
    *(concat_case([(2, 3), (2, 1)], 1, dtype) for dtype in (F16, BF16, I32, I64, BOOL)),
    padding_case((1, 2), (0, 3), F32),
    padding_case((-1, -2), (-1, 0), F32),
    padding_case((1, -1), (-2, 2), F32),
    padding_case((1, 1), (1, 1), F16),
    squeeze_case("squeeze", (2, 1, 3, 1), [1, 3]),
    squeeze_case("squeeze", (1, 4), [-2]),
    squeeze_case("squeeze", (1,), [0]),
    squeeze_case("squeeze", (2, 1, 3), [1], I32),
    squeeze_case("unsqueeze", (2, 3), [0, 3]),
    squeeze_case("unsqueeze", (2, 3), [-1]),
    squeeze_case("unsqueeze", (), [0]),
    squeeze_case("unsqueeze", (2, 3), [1], F16),
    *FILLS,
]
