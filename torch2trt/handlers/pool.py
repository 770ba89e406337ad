"""Pooling: maximum, average, adaptive, power average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import emit
from ..context import has_trt_tensor
from ..emit import Dim, Shape, Tensor
from ..registry import op


def _register_max_pool(spatial: int) -> None:
    def max_pool(
        self: Tensor,
        kernel_size: Shape,
        stride: Shape = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
        ceil_mode: bool = False,
    ) -> Any:
        if has_trt_tensor((kernel_size, stride)):
            plain = not ceil_mode and not any(padding) and max(dilation) == 1
            return emit.pool_by_sizes("MAX", self, kernel_size, stride, spatial, plain)
        return emit.max_pool(self, emit.windows(kernel_size, stride, padding, dilation, ceil_mode, spatial))

    def with_indices(
        self: Tensor,
        kernel_size: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
        ceil_mode: bool = False,
    ) -> tuple[Any, Any]:
        spec = emit.windows(kernel_size, stride, padding, dilation, ceil_mode, spatial)
        return emit.max_pool_with_indices(self, spec)

    arguments = f"(Tensor self, int[{spatial}] kernel_size, stride=[], padding=0, dilation=1, bool ceil_mode=False)"
    max_pool.__doc__ = (
        f"``max_pool{spatial}d{arguments} -> Tensor``.\n\n    TensorRT's layer passes over NaN, which eager gives, and "
        "gives the lowest finite number for windows of -inf alone."
    )
    with_indices.__doc__ = (
        f"``max_pool{spatial}d_with_indices{arguments} -> (Tensor, Tensor)``; int64 indices.\n\n"
        f"    Where nothing reads the indices it is ``max_pool{spatial}d``."
    )
    op(f"aten::max_pool{spatial}d")(max_pool)
    op(f"aten::max_pool{spatial}d_with_indices")(with_indices)


for _spatial in (1, 2, 3):
    _register_max_pool(_spatial)


@op("aten::avg_pool1d")
def aten_avg_pool1d(
    self: Tensor,
    kernel_size: Shape,
    stride: Shape = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """``avg_pool1d(Tensor self, int[1] kernel_size, stride=[], padding=0, bool ceil_mode=False, ...) -> Tensor``."""
    if has_trt_tensor((kernel_size, stride)):
        return emit.pool_by_sizes("AVG", self, kernel_size, stride, 1, not ceil_mode and not any(padding))
    spec = emit.windows(kernel_size, stride, padding, 1, ceil_mode, 1)
    return emit.average_pool(self, spec, count_include_pad, None)


def _register_avg_pool(spatial: int) -> None:
    def avg_pool(
        self: Tensor,
        kernel_size: Shape,
        stride: Shape = (),
        padding: Sequence[int] = (0,),
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        if has_trt_tensor((kernel_size, stride)):
            plain = not ceil_mode and not any(padding) and divisor_override is None
            return emit.pool_by_sizes("AVG", self, kernel_size, stride, spatial, plain)
        spec = emit.windows(kernel_size, stride, padding, 1, ceil_mode, spatial)
        return emit.average_pool(self, spec, count_include_pad, divisor_override)

    avg_pool.__doc__ = (
        f"``avg_pool{spatial}d(Tensor self, int[{spatial}] kernel_size, stride=[], padding=0, bool ceil_mode=False, "
        "bool count_include_pad=True, int? divisor_override=None) -> Tensor``."
    )
    op(f"aten::avg_pool{spatial}d")(avg_pool)


for _spatial in (2, 3):
    _register_avg_pool(_spatial)


def _register_adaptive(spatial: int) -> None:
    def average(self: Tensor, output_size: Sequence[Any]) -> Any:
        return emit.adaptive_average_pool(self, output_size, spatial)

    def maximum(self: Tensor, output_size: Sequence[Any]) -> tuple[Any, Any]:
        return emit.adaptive_max_pool(self, output_size, spatial)

    average.__doc__ = f"``adaptive_avg_pool{spatial}d(Tensor self, SymInt[{spatial}] output_size) -> Tensor``."
    maximum.__doc__ = (
        f"``adaptive_max_pool{spatial}d(Tensor self, int[{spatial}] output_size) -> (Tensor, Tensor)``; int64 indices."
        "\n\n"
        f"    Where nothing reads the indices and all windows have one size, it is ``max_pool{spatial}d``."
    )
    op(f"aten::adaptive_avg_pool{spatial}d")(average)
    op(f"aten::adaptive_max_pool{spatial}d")(maximum)
    if spatial > 1:
        op(f"aten::_adaptive_avg_pool{spatial}d")(average)


for _spatial in (1, 2, 3):
    _register_adaptive(_spatial)


@op("aten::max_unpool2d")
def aten_max_unpool2d(self: Tensor, indices: Tensor, output_size: Sequence[Dim]) -> Any:
    """``max_unpool2d(Tensor self, Tensor indices, SymInt[2] output_size) -> Tensor``."""
    return emit.max_unpool(self, indices, list(output_size) * (2 if len(output_size) == 1 else 1))


@op("aten::max_unpool3d")
def aten_max_unpool3d(
    self: Tensor, indices: Tensor, output_size: Sequence[Dim], stride: Sequence[int], padding: Sequence[int]
) -> Any:
    """``max_unpool3d(Tensor self, Tensor indices, SymInt[3] output_size, int[3] stride, int[3] padding) -> Tensor``.

    Stride and padding only check the output size, which is given.
    """
    return emit.max_unpool(self, indices, list(output_size) * (3 if len(output_size) == 1 else 1))


@op("aten::max_pool2d_with_indices_backward")
def aten_max_pool2d_with_indices_backward(
    grad_output: Tensor,
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Any:
    """``max_pool2d_with_indices_backward(Tensor grad_output, Tensor self, ..., Tensor indices) -> Tensor``."""
    spec = emit.windows(kernel_size, stride, padding, dilation, ceil_mode, 2)
    return emit.max_pool_backward(grad_output, self, indices, spec)


@op("aten::fractional_max_pool2d")
def aten_fractional_max_pool2d(
    self: Tensor, kernel_size: Sequence[int], output_size: Sequence[int], random_samples: Tensor
) -> tuple[Any, Any]:
    """``fractional_max_pool2d(Tensor self, int[2] kernel_size, output_size, Tensor random_samples)``.

    The random numbers are an argument; drawing them is another op, which a network refuses by default.
    """
    return emit.fractional_max_pool(self, kernel_size, output_size, random_samples, (1, 0))


@op("aten::fractional_max_pool3d")
def aten_fractional_max_pool3d(
    self: Tensor, kernel_size: Sequence[int], output_size: Sequence[int], random_samples: Tensor
) -> tuple[Any, Any]:
    """``fractional_max_pool3d(Tensor self, int[3] kernel_size, output_size, Tensor random_samples)``; as in 2-d."""
    return emit.fractional_max_pool(self, kernel_size, output_size, random_samples, (0, 1, 2))
