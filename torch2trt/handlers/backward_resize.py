"""Gradients of means of windows, resizing and padding: a product with a known matrix an axis."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Shape, Tensor
from ..emit.network import kept_apart
from ..registry import op
from ..trt_compat import is_rtx
from .backward import in_float32


def _turned_round(gradient: Tensor, matrices: Sequence[torch.Tensor]) -> Any:
    """The last axes of ``gradient`` each multiplied by a matrix: what each element of the input gave to each output.

    A number that is not finite makes NaN of all along its axes, where eager keeps it in its window.
    """
    value = emit.compute_in_float32(gradient)
    rank = emit.rank_of(value)
    for axis, matrix in enumerate(matrices, start=rank - len(matrices)):
        last = emit.swap_axes(value, axis, -1)
        value = emit.swap_axes(emit.full_matmul(last, matrix.float(), transpose_right=True), axis, -1)
    return emit.cast(value, emit.dtype_of(gradient))


def _matrices(functions: Iterable[Callable[[torch.Tensor], torch.Tensor]], sizes: Shape) -> list[torch.Tensor]:
    """For each axis what a function of a tensor ``(1, channels, size)`` makes of each place of it."""
    known = emit.known_ints(sizes, "a size along which a gradient is taken")
    return [function(torch.eye(size).unsqueeze(0))[0] for function, size in zip(functions, known, strict=True)]


def _averaged(window: Sequence[Any], options: Sequence[Any], summed: bool, value: torch.Tensor) -> torch.Tensor:
    """``avg_pool1d`` of size, stride and padding, and of the options that follow them; the sum if ``summed``."""
    means = torch.nn.functional.avg_pool1d(value, *window, *options)
    return (means != 0).float() if summed else means


def _register_average(spatial: int) -> None:
    def pool(
        grad_output: Tensor,
        self: Tensor,
        kernel_size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> Any:
        lists = [emit.expand_list(each, spatial) for each in (kernel_size, stride or kernel_size, padding)]
        options = (ceil_mode, count_include_pad)
        functions = [
            functools.partial(_averaged, window, options, divisor_override is not None)
            for window in zip(*lists, strict=True)
        ]
        matrices = _matrices(functions, emit.shape_of(self)[-spatial:])
        return _turned_round(grad_output, [matrices[0] / (divisor_override or 1), *matrices[1:]])

    def adaptive(grad_output: Tensor, self: Tensor) -> Any:
        counts = emit.known_ints(emit.shape_of(grad_output)[-spatial:], "the size of an average")
        functions = [functools.partial(torch.nn.functional.adaptive_avg_pool1d, output_size=count) for count in counts]
        return _turned_round(grad_output, _matrices(functions, emit.shape_of(self)[-spatial:]))

    pool.__doc__ = (
        f"``avg_pool{spatial}d_backward(Tensor grad_output, Tensor self, int[{spatial}] kernel_size, stride, padding, "
        "bool ceil_mode, ...) -> Tensor``; spatial sizes are known."
    )
    signature = f"_adaptive_avg_pool{spatial}d_backward(Tensor grad_output, Tensor self)"
    adaptive.__doc__ = f"``{signature} -> Tensor``; spatial sizes are known."
    op(f"aten::avg_pool{spatial}d_backward")(pool)
    op(f"aten::_adaptive_avg_pool{spatial}d_backward")(adaptive)


for _spatial in (2, 3):
    _register_average(_spatial)


def _bicubic(value: torch.Tensor, sizes: Sequence[int], *options: Any) -> torch.Tensor:
    """Along the last axis; there is no operator for one axis alone."""
    align_corners, factor = options
    flat = value.unsqueeze(2)
    resized: torch.Tensor = torch.ops.aten.upsample_bicubic2d(flat, [1, *sizes], align_corners, None, factor)
    return resized.squeeze(2)


# The operator of one axis by which each of several resizes: by the name of the gradient.
_RESIZED: dict[str, Callable[..., torch.Tensor]] = {
    "upsample_nearest": torch.ops.aten.upsample_nearest1d,
    "_upsample_nearest_exact": torch.ops.aten._upsample_nearest_exact1d,
    "upsample_linear": torch.ops.aten.upsample_linear1d,
    "upsample_bilinear": torch.ops.aten.upsample_linear1d,
    "upsample_bicubic": _bicubic,
    "upsample_trilinear": torch.ops.aten.upsample_linear1d,
}


def _register_resize(name: str, resize: Callable[..., torch.Tensor], spatial: int) -> None:
    def handler(
        grad_output: Tensor,
        output_size: Sequence[int],
        input_size: Shape,
        align_corners: bool | None = None,
        scales: float | None = None,
        scales_d: float | None = None,
        scales_h: float | None = None,
        scales_w: float | None = None,
    ) -> Any:
        factors = [scales] if spatial == 1 else [scales_d, scales_h, scales_w][-spatial:]
        corners = () if align_corners is None else (align_corners,)
        functions = [
            functools.partial(_resized, resize, size, (*corners, factor))
            for size, factor in zip(output_size, factors, strict=True)
        ]
        return _turned_round(grad_output, _matrices(functions, input_size[2:]))

    handler.__doc__ = (
        f"``{name}{spatial}d_backward(Tensor grad_output, SymInt[{spatial}] output_size, SymInt[{spatial + 2}] "
        "input_size, ...) -> Tensor``; spatial sizes are known."
    )
    op(f"aten::{name}{spatial}d_backward")(handler)


def _resized(
    resize: Callable[..., torch.Tensor], size: int, options: Sequence[Any], value: torch.Tensor
) -> torch.Tensor:
    return resize(value, [size], *options)


for _name, _resize in _RESIZED.items():
    _one = {"upsample_linear": 1, "upsample_bilinear": 2, "upsample_bicubic": 2, "upsample_trilinear": 3}.get(_name)
    for _spatial in (1, 2, 3) if _one is None else (_one,):
        _register_resize(_name, _resize, _spatial)


def _register_padding(kind: str, spatial: int) -> None:
    def handler(grad_output: Tensor, self: Tensor, padding: Sequence[int]) -> Any:
        mode = {"reflection": "reflect", "replication": "replicate"}[kind]
        pairs = [list(padding[2 * axis : 2 * axis + 2]) for axis in range(spatial)][::-1]
        functions = [functools.partial(torch.nn.functional.pad, pad=pair, mode=mode) for pair in pairs]
        return _turned_round(grad_output, _matrices(functions, emit.shape_of(self)[-spatial:]))

    handler.__doc__ = (
        f"``{kind}_pad{spatial}d_backward(Tensor grad_output, Tensor self, SymInt[{2 * spatial}] padding) -> Tensor``; "
        "spatial sizes are known."
    )
    op(f"aten::{kind}_pad{spatial}d_backward")(handler)


for _spatial in (1, 2, 3):
    _register_padding("reflection", _spatial)
    _register_padding("replication", _spatial)


@op("aten::unfold_backward")
@in_float32
def aten_unfold_backward(grad_in: Tensor, input_sizes: Shape, dim: int, size: int, step: int) -> Any:
    """``unfold_backward(Tensor grad_in, SymInt[] input_sizes, int dim, int size, int step) -> Tensor``.

    The size along ``dim`` is known.
    """
    rank = len(input_sizes)
    if not rank:
        return emit.reshape(grad_in, [])
    axis = emit.axis_of(dim, rank)
    (matrix,) = _matrices([lambda value: value.unfold(-1, size, step).flatten(2)], input_sizes[axis : axis + 1])
    moved = emit.permute(grad_in, [other for other in range(rank) if other != axis] + [axis, rank])
    merged = emit.reshape(moved, [*emit.shape_of(moved)[:-2], matrix.shape[1]])
    result = _turned_round(emit.unsqueeze(merged, 0), [matrix])
    if is_rtx():  # TensorRT for RTX 1.4 cannot compile a product that is moved and cast to float16 (H200)
        result = kept_apart(result)
    rest = iter(range(rank - 1))
    order = [rank - 1 if other == axis else next(rest) for other in range(rank)]
    return emit.permute(emit.squeeze(result, [0]), order)
