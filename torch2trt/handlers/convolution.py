"""Convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op
from ..weights import derive


@op("aten::_convolution", "aten::_convolution.deprecated", "aten::convolution")
def aten_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: Dim,
    benchmark: bool = False,
    deterministic: bool = False,
    cudnn_enabled: bool = False,
    allow_tf32: bool = False,
) -> Any:
    """``convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, padding, dilation, ...) -> Tensor``.

    1 to 3 spatial axes, with or without a batch axis; weight and bias known or not. The flags that choose among
    cuDNN's algorithms have no meaning here.
    """
    if transposed:
        return aten_conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return aten_conv(input, weight, bias, stride, padding, dilation, groups)


@op("aten::conv1d", "aten::conv2d", "aten::conv3d")
def aten_conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: Dim = 1,
) -> Any:
    """``conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, padding=0, ...) -> Tensor``."""
    convolve = emit.convolution if emit.is_float(input) else emit.whole_convolution
    return convolve(input, weight, bias, stride, padding, dilation, groups)


@op("aten::conv1d.padding", "aten::conv2d.padding", "aten::conv3d.padding", "aten::_convolution_mode")
def aten_conv_mode(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: str = "valid",
    dilation: Sequence[int] = (1,),
    groups: Dim = 1,
) -> Any:
    """``conv2d.padding(Tensor input, Tensor weight, Tensor? bias, SymInt[2] stride, str padding, ...) -> Tensor``.

    ``same`` puts the odd element of padding behind, as PyTorch does.
    """
    spatial = emit.rank_of(weight) - 2
    convolve = emit.convolution if emit.is_float(input) else emit.whole_convolution
    if padding == "valid":
        return convolve(input, weight, bias, stride, [0] * spatial, dilation, groups)
    steps = emit.expand_list(dilation, spatial)
    sizes = emit.shape_of(weight)[2:]
    total = [emit.dim_mul(step, emit.dim_sub(size, 1)) for step, size in zip(steps, sizes, strict=True)]
    before = [emit.dim_floordiv(amount, 2) for amount in total]
    after = [emit.dim_sub(amount, half) for amount, half in zip(total, before, strict=True)]
    return convolve(input, weight, bias, stride, before, dilation, groups, padding_after=after)


@op("aten::conv_transpose1d", "aten::conv_transpose2d.input", "aten::conv_transpose3d.input")
def aten_conv_transpose(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: Dim = 1,
    dilation: Sequence[int] = (1,),
) -> Any:
    """``conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, ...) -> Tensor``."""
    convolve = emit.transposed_convolution if emit.is_float(input) else emit.whole_transposed_convolution
    return convolve(input, weight, bias, stride, padding, dilation, groups, output_padding=output_padding)


@op("aten::thnn_conv2d", "aten::slow_conv3d")
def aten_slow_conv(
    self: Tensor,
    weight: Tensor,
    kernel_size: Sequence[int],
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
) -> Any:
    """``thnn_conv2d(Tensor self, Tensor weight, SymInt[2] kernel_size, Tensor? bias=None, ...) -> Tensor``."""
    return aten_conv(self, weight, bias, stride, padding)


@op("aten::conv_tbc")
def aten_conv_tbc(self: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Any:
    """``conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor``: time, batch, channels."""
    if not isinstance(weight, torch.Tensor):
        raise UnsupportedArgumentError("conv_tbc needs a known weight", hint="use conv1d")
    kernel = derive(torch.permute, weight, [2, 1, 0])
    moved = emit.permute(self, [1, 2, 0])
    return emit.permute(emit.convolution(moved, kernel, bias, [1], [pad], [1], 1), [2, 0, 1])
