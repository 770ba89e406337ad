"""Convolution layers as PyTorch defines them: 1 to 3 spatial axes, with or without a batch axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..context import building
from ..errors import UnsupportedArgumentError
from ..trt_compat import is_rtx
from ..weights import derive
from .any_convolution import convolution_of_any_size, turned_of_any_size
from .constants import layer_weights
from .dims import Dim, dim_add, dim_mul, dim_sub, expand_list, is_static, rank_of, shape_of, static_shape
from .dtypes import Tensor, cast, dtype_of, tensor
from .framed import convolution_of_frames, transposed_convolution_of_frames
from .math import elementwise, gather
from .network import add_layer, kept_apart
from .padding import pad
from .quantization import quantized_weight
from .shape import permute, reshape, slice_axis, squeeze, strided_slice, swap_axes, unsqueeze
from .sliding import Windows, static_counts
from .unfolded import convolution_as_product
from .whole import shaped


def unit_axes(rank: int, spatial: int) -> list[int]:
    """Axes of size 1 to insert so that a tensor of ``rank`` has a batch axis, channels and two spatial axes."""
    return ([0] if rank == spatial + 1 else []) + ([2] if spatial == 1 else [])


def kernel_sizes(weight: Tensor) -> tuple[int, ...]:
    """The shape of a kernel.

    Raises:
        UnsupportedArgumentError: a size is known at run time only.
    """
    shape = static_shape(weight)
    if -1 in shape:
        raise UnsupportedArgumentError("the sizes of a convolution's weight must be known at conversion")
    return shape


def _padded_list(values: int | Sequence[int], spatial: int, unit: int) -> list[int]:
    """One number a spatial axis, at least two of them: a 1-d convolution runs over a leading axis of size 1."""
    listed = expand_list(values, spatial)
    return [unit, *listed] if spatial == 1 else listed


def _attributes(
    spatial: int,
    stride: int | Sequence[int],
    before: int | Sequence[int],
    after: int | Sequence[int],
    dilation: int | Sequence[int],
) -> dict[str, Any]:
    """A layer's attributes by their names in TensorRT."""
    return {
        "stride_nd": tuple(_padded_list(stride, spatial, 1)),
        "pre_padding": tuple(_padded_list(before, spatial, 0)),
        "post_padding": tuple(_padded_list(after, spatial, 0)),
        "dilation_nd": tuple(_padded_list(dilation, spatial, 1)),
    }


@dataclass(frozen=True)
class _Spread:
    """How a transposed convolution moves its kernel, one number an axis.

    Args:
        stride: from one place to the next.
        cut: what is cut off on both sides.
        dilation: from one element of the kernel to the next.
        kept: what is cut off less behind.
        groups: as in PyTorch.
    """

    stride: Sequence[int]
    cut: Sequence[int]
    dilation: Sequence[int]
    kept: Sequence[int]
    groups: int


def convolution(
    value: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: Dim,
    *,
    padding_after: Sequence[int] | None = None,
) -> Any:
    """``torch.nn.functional.conv1d`` to ``conv3d``.

    Args:
        value: of shape ``(N, C, *spatial)`` or ``(C, *spatial)``.
        weight: of shape ``(out, C / groups, *kernel)``; known or not, and of sizes that are known or not.
        bias: of shape ``(out,)``; known or not.
        stride: per spatial axis.
        padding: zeros on both sides of each spatial axis, or before it.
        dilation: per spatial axis.
        groups: as in PyTorch.
        padding_after: zeros behind, where they differ from those before.
    """
    after = padding if padding_after is None else padding_after
    spatial = rank_of(weight) - 2
    amounts = list(zip(expand_list(padding, spatial), expand_list(after, spatial), strict=True))
    strides, steps = (tuple(expand_list(each, spatial)) for each in (stride, dilation))
    if not (isinstance(groups, int) and is_static(weight)):
        return convolution_of_any_size(value, weight, bias, strides, amounts, steps, groups)
    shape = kernel_sizes(weight)
    if dtype_of(value) == torch.bfloat16 and is_rtx() and groups > 1 and shape[1] <= _NARROW and spatial < 3:
        value, weight = cast(value, torch.float32), cast(weight, torch.float32)
        bias = None if bias is None else cast(bias, torch.float32)
        found = convolution(value, weight, bias, stride, padding, dilation, groups, padding_after=padding_after)
        return cast(found, torch.bfloat16)
    if spatial == 3 and shape[:2] == (groups, 1) and is_rtx():
        return _slice_by_slice(value, weight, bias, [stride, padding, after, dilation], groups)
    if spatial == 1:
        framed = convolution_of_frames(value, weight, bias, strides[0], *amounts[0], steps[0], groups)
        if framed is not None:
            return framed
    attributes = _attributes(spatial, stride, padding, after, dilation)
    layer = partial(_layer, "convolution_nd", weight=weight, maps=shape[0], groups=groups, attributes=attributes)
    if dtype_of(value) == torch.float32 or not is_rtx():
        return layer(value=value, bias=bias)
    return _in_half(value, weight, bias, amounts, Windows(shape[2:], strides, (0,) * spatial, steps, False), layer)


def _in_half(
    value: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    amounts: Sequence[tuple[int, int]],
    spec: Windows,
    layer: partial[Any],
) -> Any:
    """A convolution in half precision, in the form that TensorRT for RTX computes right, and fast.

    Args:
        value: what is convolved.
        weight: as for :func:`convolution`.
        bias: as for :func:`convolution`.
        amounts: zeros before and after each spatial axis.
        spec: how the kernel slides over what they make it.
        layer: makes TensorRT's layer of it, of ``value`` and ``bias``.
    """
    made, outputs = building().state.pointwise, static_shape(weight)[0]
    pointwise = dtype_of(value) == torch.float16 and math.prod(spec.size) == 1
    if pointwise and id(value) in made:
        # TensorRT for RTX 1.4 makes one of two convolutions of size 1 in float16, which takes it seconds, and the
        # result is wrong: off by 0.09 of 1.1 for 1152, 320 and 1280 channels (H200), EfficientNet-B0's last ones.
        value = kept_apart(value)
    product = convolution_as_product(value, weight, bias, amounts, spec) if layer.keywords["groups"] == 1 else None
    if product is None and bias is not None and _is_small(value, outputs, amounts, spec):
        offset = shaped(bias, [-1, *[1] * spec.spatial])
        sums = elementwise("SUM", cast(layer(value=value, bias=None), torch.float32), cast(offset, torch.float32))
        return cast(sums, dtype_of(value))
    result = layer(value=value, bias=bias) if product is None else product
    if pointwise:
        made[id(result)] = result
    return result


_NARROW = 8
"""Groups of up to so many channels are convolved faster in float32 than in bfloat16, casts included.

TensorRT for RTX 1.4 on an H200: groups of 4 channels of 128 by 56x56 took 48.5 us and 8.5, of 8 of 256 by 28x28 16.8
and 12.0, of 16 of 512 by 14x14 9.3 and 8.5, of 64 of 256 by 56x56 12.3 and 21.3. Those of one channel along one or two
axes it cannot compile in bfloat16 ("cuDNN graph compilation failed", where the execution context is made); with an axis
more, of size 1, it can: 96 by 56x56 took 63 us for 12.
"""


def _slice_by_slice(
    value: Tensor, weight: Tensor, bias: Tensor | None, windows: Sequence[int | Sequence[int]], groups: int
) -> Any:
    """A convolution of each channel on its own along three axes: slices of the kernel along two, summed in float32.

    TensorRT for RTX 1.4 on an H200, in microseconds in float32 and float16, as a layer and so, kernels of 3: 96
    channels of 14x14x14: 329 and 13, 39 and 13; 108 of 13x40x40: 2598 and 45, 263 and 47; of 5: 10,523 and 133, 698 and
    134.

    Args:
        value: of shape ``(N, C, depth, height, width)``, or without ``N``.
        weight: of shape ``(C, 1, *kernel)``; known or not.
        bias: of shape ``(C,)``; known or not.
        windows: stride, zeros before, zeros behind and dilation.
        groups: ``C``.
    """
    strides, before, after, steps = (expand_list(each, 3) for each in windows)
    weight, bias = cast(weight, torch.float32), None if bias is None else cast(bias, torch.float32)
    image = cast(value if rank_of(value) == 5 else unsqueeze(value, 0), torch.float32)
    batch, channels, depth, *sizes = shape_of(image)
    taps = kernel_sizes(weight)[2]
    padded_depth = dim_add(depth, before[0] + after[0])
    count = Windows((taps,), (strides[0],), (0,), (steps[0],), False).count(0, padded_depth)
    slices, total = swap_axes(image, 1, 2), None  # once: a transpose of each part took 63 us in place of 45
    for tap in range(taps):
        starts, jumps = [0, tap * steps[0] - before[0], 0, 0, 0], [1, strides[0], 1, 1, 1]
        part = strided_slice(slices, starts, [batch, count, channels, *sizes], jumps, mode="FILL")
        part = reshape(part, [dim_mul(batch, count), channels, *sizes])
        kernel, offset = _kernel_slice(weight, tap), None if tap else bias
        sums = convolution(part, kernel, offset, strides[1:], before[1:], steps[1:], groups, padding_after=after[1:])
        total = sums if total is None else elementwise("SUM", total, sums)
    parted = reshape(total, [batch, count, *shape_of(total)[1:]])
    result = cast(swap_axes(parted, 1, 2), dtype_of(value))
    return result if rank_of(value) == 5 else squeeze(result, [0])


def _kernel_slice(weight: Tensor, place: int) -> Any:
    """The kernel at one place of its first spatial axis."""
    if isinstance(weight, torch.Tensor):
        return derive(torch.select, weight, 2, place)
    return squeeze(slice_axis(weight, 2, place, 1), [2])


_FEW_ELEMENTS = 1 << 20


def _is_small(value: Tensor, outputs: int, amounts: Sequence[tuple[int, int]], spec: Windows) -> bool:
    """Whether a convolution's result has so few elements that its bias is better added in float32.

    TensorRT for RTX 1.4 then takes other kernels: float16 on an H200, batch 1, the kernels of ResNet-50 took 367 us for
    388, Inception v3's 660 for 705, MobileNet v3's 265 for 273, EfficientNet-B0's 391 for 495; with products for some,
    the bfloat16 models took 299 for 351, 427 for 453, 267 for 282 and 378 for 518. At batch 32 it takes longer:
    ResNet-50's 1791 us for 1325.

    Args:
        value: what is convolved.
        outputs: how many maps the result has.
        amounts: zeros before and after each spatial axis.
        spec: how the kernel slides over what they make it.
    """
    lead, places = static_shape(value)[: -spec.spatial - 1], static_counts(value, amounts, spec)
    return places is not None and -1 not in lead and math.prod(lead) * outputs * math.prod(places) <= _FEW_ELEMENTS


def transposed_convolution(
    value: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: Dim,
    *,
    output_padding: int | Sequence[int],
) -> Any:
    """``torch.nn.functional.conv_transpose1d`` to ``conv_transpose3d``; ``weight`` is ``(C, out / groups, *kernel)``.

    Output padding cuts off less behind. Where it exceeds the padding the kernel grows by zeros; and since TensorRT has
    no deconvolution with both stride and dilation, a dilated kernel is then filled with zeros.
    """
    spatial = rank_of(weight) - 2
    strides, steps = expand_list(stride, spatial), expand_list(dilation, spatial)
    if not (isinstance(groups, int) and is_static(weight)):
        reach = [dim_mul(step, dim_sub(size, 1)) for step, size in zip(steps, shape_of(weight)[2:], strict=True)]
        spread, amounts = spread_input(value, spatial, strides, reach, padding, output_padding)
        kernel = turned_of_any_size(weight, groups)
        return convolution_of_any_size(spread, kernel, bias, [1] * spatial, amounts, steps, groups)
    shape = kernel_sizes(weight)
    cut, kept = expand_list(padding, spatial), expand_list(output_padding, spatial)
    channels = rank_of(value) - spatial - 1
    if static_shape(value)[channels] == -1:  # a deconvolution layer must know how many there are
        sizes = shape_of(value)
        value = reshape(value, [*sizes[:channels], shape[0], *sizes[channels + 1 :]])
    if spatial == 1:
        framed = transposed_convolution_of_frames(value, weight, bias, strides[0], cut[0], steps[0], groups, kept[0])
        if framed is not None:
            return framed
    fails, spread = _deconvolution_fails(value, strides), _Spread(strides, cut, steps, kept, groups)
    if fails or (shape[:2] == (groups, 1) and is_rtx()):
        phases = _by_phases(value, weight, bias, spread)
        if phases is not None:
            return phases
    if fails:
        return _by_convolution(value, weight, bias, spread)
    after = [amount - more for amount, more in zip(cut, kept, strict=True)]
    if max(strides) > 1 and max(steps) > 1:
        weight, steps = _dilated(weight, steps), [1] * spatial
    if min(after) < 0:
        grown = [max(0, -(amount // step)) for amount, step in zip(after, steps, strict=True)]
        weight = _grown(weight, grown)
        after = [amount + step * more for amount, step, more in zip(after, steps, grown, strict=True)]
    attributes = _attributes(spatial, strides, cut, after, steps)
    return _layer("deconvolution_nd", value, weight, bias, shape[1] * groups, groups, attributes)


def _deconvolution_fails(value: Tensor, strides: Sequence[int]) -> bool:
    """Whether TensorRT's layer does not do it: it takes no bfloat16, and in 3-d leaves borders of strided ones out.

    (The latter as seen with TensorRT for RTX 1.4 on compute capability 9.0.)
    """
    return dtype_of(value) == torch.bfloat16 or (len(strides) == 3 and max(strides) > 1)


def spread_input(
    value: Tensor, spatial: int, stride: int | Sequence[int], reach: Sequence[Dim], padding: Any, output_padding: Any
) -> tuple[Any, list[tuple[Dim, Dim]]]:
    """A transposed convolution's input as that of a convolution with the turned kernel.

    Args:
        value: of shape ``(N, C, *spatial)`` or ``(C, *spatial)``.
        spatial: how many axes.
        stride: of the transposed convolution.
        reach: how far the kernel spans less one, dilation included, per axis.
        padding: what the transposed convolution cuts off.
        output_padding: what it cuts off less behind.

    Returns:
        the input with zeros between its elements, and the padding before and after each axis, which may be negative.
    """
    first = rank_of(value) - spatial
    for axis, step in enumerate(expand_list(stride, spatial)):
        value = spread_out(value, first + axis, step)
    cut, more = expand_list(padding, spatial), expand_list(output_padding, spatial)
    before = [dim_sub(far, low) for far, low in zip(reach, cut, strict=True)]
    amounts = [(amount, dim_add(amount, extra)) for amount, extra in zip(before, more, strict=True)]
    return value, amounts


def turned(weight: Tensor, groups: int) -> Any:
    """A transposed convolution's kernel ``(in, out / groups, ...)`` as a convolution's ``(out, in / groups, ...)``."""
    if isinstance(weight, torch.Tensor):
        return derive(_turn_known, weight, groups)
    inputs, maps, *kernel = kernel_sizes(weight)
    for axis, size in enumerate(kernel, start=2):
        weight = gather(weight, torch.arange(size).flip(0), axis)
    grouped = reshape(weight, [groups, inputs // groups, maps, *kernel])
    moved = permute(grouped, [0, 2, 1, *range(3, 3 + len(kernel))])
    return reshape(moved, [groups * maps, inputs // groups, *kernel])


def _turn_known(weight: torch.Tensor, groups: int) -> torch.Tensor:
    flipped = weight.flip(*range(2, weight.dim()))
    grouped = flipped.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2)
    return grouped.reshape(-1, weight.shape[0] // groups, *weight.shape[2:]).contiguous()


def _by_phases(value: Tensor, weight: Tensor, bias: Tensor | None, spread: _Spread) -> Any:
    """A transposed convolution with a stride and a known kernel; None for others.

    Results that lie a stride apart come of the same places of the kernel: as many channels of a convolution, which are
    then moved side by side. TensorRT for RTX 1.4 on an H200, in microseconds in float16, as a layer and so, of each
    channel on its own: 64 channels of 128 x 128, kernel 4, stride 2: 116 and 34; 64 x 64, 8, 4: 330 and 33; 21 channels
    of 16 x 16, 64, 32: 19,839 and 42; in float32 as much. Where the layer fails, with zeros between the elements and
    so: 64 channels of 32 x 32 x 32 to 32, kernel 2, stride 2: 110 and 62, in float32 161 and 61.
    """
    shape = kernel_sizes(weight)
    spatial = len(shape) - 2
    stride, groups = spread.stride, spread.groups
    reach = [-(-size // step) for size, step in zip(shape[2:], stride, strict=True)]
    within = all(
        size + more - cut <= count * step
        for size, more, cut, count, step in zip(shape[2:], spread.kept, spread.cut, reach, stride, strict=True)
    )
    if not isinstance(weight, torch.Tensor) or max(stride) == 1 or max(spread.dilation) > 1 or not within:
        return None
    outputs = shape[1] * groups
    kernel = derive(_phases, weight, tuple(stride), tuple(reach), groups)
    around = [count - 1 for count in reach]
    found = convolution(value, kernel, None, 1, around, 1, groups)
    image = found if rank_of(value) == spatial + 2 else unsqueeze(found, 0)
    batch, _, *counts = shape_of(image)
    split = reshape(image, [batch, outputs, *stride, *counts])
    order = [place for axis in range(spatial) for place in (2 + spatial + axis, 2 + axis)]
    wide = [dim_mul(count, step) for count, step in zip(counts, stride, strict=True)]
    result = reshape(permute(split, [0, 1, *order]), [batch, outputs, *wide])
    for axis in range(spatial):
        size = shape[2 + axis] + spread.kept[axis] - 2 * spread.cut[axis] - stride[axis] * reach[axis]
        result = slice_axis(result, 2 + axis, spread.cut[axis], dim_add(wide[axis], size))
    if bias is not None:
        result = elementwise("SUM", result, shaped(bias, [1, -1, *[1] * spatial]))
    return result if rank_of(value) == spatial + 2 else squeeze(result, [0])


def _phases(weight: torch.Tensor, stride: Sequence[int], reach: Sequence[int], groups: int) -> torch.Tensor:
    """The kernel of a transposed convolution as that of its phases, ``(out x phases, C / groups, *reach)``."""
    spatial, inner = len(stride), weight.shape[0] // groups
    full = [count * step for count, step in zip(reach, stride, strict=True)]
    kernel = weight.new_zeros(*weight.shape[:2], *full)
    kernel[tuple(slice(size) for size in weight.shape)] = weight
    pairs = [size for pair in zip(reach, stride, strict=True) for size in pair]
    split = kernel.reshape(groups, inner, weight.shape[1], *pairs)
    places, phases = range(3, 3 + 2 * spatial, 2), range(4, 4 + 2 * spatial, 2)
    return split.flip(list(places)).permute(0, 2, *phases, 1, *places).reshape(-1, inner, *reach)


def _by_convolution(value: Tensor, weight: Tensor, bias: Tensor | None, spread: _Spread) -> Any:
    """A transposed convolution as a convolution, where TensorRT's deconvolution layer fails."""
    sizes = kernel_sizes(weight)[2:]
    reach = [step * (size - 1) for step, size in zip(spread.dilation, sizes, strict=True)]
    image, amounts = spread_input(value, len(sizes), spread.stride, reach, spread.cut, spread.kept)
    if min(min(pair) for pair in amounts) < 0:
        image = pad(image, [min(number, 0) for pair in reversed(amounts) for number in pair], 0)
    before, after = ([max(pair[side], 0) for pair in amounts] for side in (0, 1))
    kernel = turned(weight, spread.groups)
    return convolution(image, kernel, bias, 1, before, spread.dilation, spread.groups, padding_after=after)


def _layer(
    method: str,
    value: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    maps: int,
    groups: int,
    attributes: dict[str, Any],
) -> Any:
    spatial = rank_of(weight) - 2
    added = unit_axes(rank_of(value), spatial)
    image = unsqueeze(value, added) if added else tensor(value)
    window = tuple(_padded_list(static_shape(weight)[2:], spatial, 1))
    weight = quantized_weight(weight, convolved=True)
    inputs = {}
    if not isinstance(weight, torch.Tensor):
        inputs[1] = unsqueeze(weight, 2) if spatial == 1 else weight
    if bias is not None and not isinstance(bias, torch.Tensor):
        inputs[2] = bias
    kernel = layer_weights(weight if isinstance(weight, torch.Tensor) else None)
    offset = layer_weights(bias if isinstance(bias, torch.Tensor) else None)
    result = add_layer(
        method,
        image,
        maps,
        window,
        kernel.weights,
        offset.weights,
        inputs=inputs,
        weights={"kernel": kernel, "bias": offset},
        num_groups=groups,
        **attributes,
    )
    return squeeze(result, added) if added else result


def _dilated(weight: Tensor, steps: Sequence[int]) -> Any:
    """The kernel with ``step - 1`` zeros between its elements along each spatial axis."""
    if isinstance(weight, torch.Tensor):
        return derive(_dilate_known, weight, list(steps))
    for axis, step in enumerate(steps, start=2):
        weight = spread_out(weight, axis, step)
    return weight


def spread_out(value: Tensor, axis: int, step: int) -> Any:
    """``value`` with ``step - 1`` zeros between its elements along an axis."""
    if step == 1:
        return tensor(value)
    sizes = shape_of(value)
    wide = [*sizes[: axis + 1], step, *sizes[axis + 1 :]]
    spread = strided_slice(unsqueeze(value, axis + 1), [0] * len(wide), wide, [1] * len(wide), mode="FILL")
    full = reshape(spread, [*sizes[:axis], dim_mul(sizes[axis], step), *sizes[axis + 1 :]])
    return slice_axis(full, axis, 0, dim_add(dim_mul(dim_sub(sizes[axis], 1), step), 1))


def _dilate_known(weight: torch.Tensor, steps: list[int]) -> torch.Tensor:
    sizes = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], steps, strict=True)]
    result = weight.new_zeros((*weight.shape[:2], *sizes))
    places: Any = (..., *(slice(None, None, step) for step in steps))
    result[places] = weight
    return result


def _grown(weight: Tensor, amounts: Sequence[int]) -> Any:
    """The kernel with zeros behind each spatial axis."""
    if isinstance(weight, torch.Tensor):
        flat = [number for amount in reversed(amounts) for number in (0, amount)]
        return derive(torch.nn.functional.pad, weight, flat)
    shape = static_shape(weight)
    sizes = [*shape[:2], *(size + amount for size, amount in zip(shape[2:], amounts, strict=True))]
    return strided_slice(weight, [0] * len(sizes), sizes, [1] * len(sizes), mode="FILL")
