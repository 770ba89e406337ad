"""Reading an image along a grid, and grids of affine maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..errors import UnsupportedArgumentError
from ..plugins.layers import kernel_layer
from ..registry import op

_INTERPOLATIONS = ("LINEAR", "NEAREST", "CUBIC")
_BORDERS = ("FILL", "CLAMP", "REFLECT")


@op("aten::grid_sampler", "aten::grid_sampler_2d", "aten::grid_sampler_3d", "aten::_grid_sampler_2d_cpu_fallback")
def aten_grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """``grid_sampler(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners)``.

    Images go through TensorRT's grid sample layer; volumes through a plugin, or are
    gathered corner by corner. Computes in float32.
    """
    if emit.rank_of(input) == 4:
        result = emit.add_layer(
            "grid_sample",
            emit.tensor(input, torch.float32),
            emit.tensor(grid, torch.float32),
            interpolation_mode=emit.enum("InterpolationMode", _INTERPOLATIONS[interpolation_mode]),
            sample_mode=emit.enum("SampleMode", _BORDERS[padding_mode]),
            align_corners=align_corners,
        )
    elif interpolation_mode == 2:
        raise UnsupportedArgumentError("PyTorch has no bicubic interpolation of volumes")
    else:
        fields = {
            "interpolation_mode": interpolation_mode,
            "padding_mode": padding_mode,
            "align_corners": int(align_corners),
        }
        result = kernel_layer("GridSample3d", [input, grid], fields)
        if result is not None:
            return result
        result = _volume(input, grid, interpolation_mode == 1, _BORDERS[padding_mode], align_corners)
    return emit.cast(result, emit.dtype_of(input))


def _volume(value: Tensor, grid: Tensor, nearest: bool, border: str, align_corners: bool) -> Any:
    batch, *outer, _ = emit.shape_of(grid)
    sizes = emit.shape_of(value)[2:]
    points = emit.reshape(emit.tensor(grid, torch.float32), [batch, emit.dim_product(outer), len(sizes)])
    places = []
    for axis, size in enumerate(sizes):  # the grid's last axis holds x, y, z: the innermost axis first
        coordinate = emit.take(points, len(sizes) - 1 - axis, 2)
        coordinate = emit.unnormalized(coordinate, size, align_corners)
        if border != "FILL":
            held = emit.clipped(coordinate, size)
            coordinate = held if border == "CLAMP" else emit.reflected(coordinate, size, align_corners)
        along = emit.nearest_places if nearest else emit.linear_places
        places.append(along(coordinate, size, zero_outside=border == "FILL"))
    return emit.reshape(emit.sample(value, places), [batch, emit.size_of(value, 1), *outer])


@op("aten::affine_grid_generator")
def aten_affine_grid_generator(theta: Tensor, size: Sequence[Dim], align_corners: bool) -> Any:
    """``affine_grid_generator(Tensor theta, SymInt[] size, bool align_corners) -> Tensor``; 2-d and 3-d grids."""
    batch, _, *sizes = size
    spatial = len(sizes)
    dtype = emit.dtype_of(theta)
    matrix = emit.tensor(theta, torch.float32 if emit.is_half(dtype) else dtype)
    matrix = emit.reshape(matrix, [batch, *[1] * spatial, spatial, spatial + 1])
    result = emit.take(matrix, spatial, spatial + 2)
    for column in range(spatial):  # x belongs to the innermost axis
        axis = spatial - 1 - column
        steps = emit.axis_steps(sizes[axis], align_corners, emit.dtype_of(matrix))
        shape = [-1 if other == axis + 1 else 1 for other in range(spatial + 2)]
        along = emit.elementwise("PROD", emit.take(matrix, column, spatial + 2), emit.shaped(steps, shape))
        result = emit.elementwise("SUM", result, along)
    return emit.cast(result, dtype)
