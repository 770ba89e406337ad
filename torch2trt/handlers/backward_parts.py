"""Gradients of what takes a part of a tensor, of maxima, of distances and running products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Shape, Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op
from .backward import in_float32, passed
from .index import aten_masked_scatter
from .scatter import aten_index_add, aten_scatter_add


@op("aten::select_backward")
@emit.known_if_empty
def aten_select_backward(grad_output: Tensor, input_sizes: Shape, dim: int, index: Dim) -> Any:
    """``select_backward(Tensor grad_output, SymInt[] input_sizes, int dim, SymInt index) -> Tensor``."""
    axis = emit.axis_of(dim, len(input_sizes))
    place = emit.wrap_index(index, input_sizes[axis])
    return _placed(emit.unsqueeze(grad_output, axis), axis, place, input_sizes[axis])


def _placed(value: Tensor, axis: int, start: Dim, total: Dim) -> Any:
    """``value`` from ``start`` on along an axis of size ``total``, and zeros; what would lie beyond is cut off."""
    behind = emit.dim_sub(emit.dim_sub(total, start), emit.size_of(value, axis))
    return emit.pad(value, [*[0, 0] * (emit.rank_of(value) - 1 - axis), start, behind], None)


@op("aten::slice_backward")
@emit.known_if_empty
def aten_slice_backward(grad_output: Tensor, input_sizes: Shape, dim: int, start: Dim, end: Dim, step: int) -> Any:
    """``slice_backward(Tensor grad_output, SymInt[] input_sizes, int dim, SymInt start, SymInt end, SymInt step)``."""
    axis = emit.axis_of(dim, len(input_sizes))
    first = emit.clamp_index(start, input_sizes[axis])
    value = grad_output if step == 1 else _spread_out(grad_output, axis, step)
    return _placed(value, axis, first, input_sizes[axis])


def _spread_out(value: Tensor, axis: int, step: Dim) -> Any:
    """``value`` with ``step`` - 1 zeros behind each element along ``axis``; at first along an axis of their own."""
    sizes = emit.shape_of(value)
    sizes[axis] = emit.dim_mul(sizes[axis], step)
    return emit.reshape(_placed(emit.unsqueeze(value, axis + 1), axis + 1, 0, step), sizes)


@op("aten::diagonal_backward")
@emit.known_if_empty
def aten_diagonal_backward(grad_output: Tensor, input_sizes: Shape, offset: int, dim1: int, dim2: int) -> Any:
    """``diagonal_backward(Tensor grad_output, SymInt[] input_sizes, int offset, int dim1, int dim2) -> Tensor``."""
    rank = len(input_sizes)
    pair = [emit.axis_of(dim, rank) for dim in (dim1, dim2)]
    order = [axis for axis in range(rank) if axis not in pair] + pair
    zeros = emit.filled([input_sizes[axis] for axis in order], 0, emit.dtype_of(grad_output))
    return emit.axes_back(emit.on_diagonal(zeros, grad_output, offset), dim1, dim2)


@op("aten::trace_backward")
def aten_trace_backward(grad: Tensor, sizes: Shape) -> Any:
    """``trace_backward(Tensor grad, SymInt[] sizes) -> Tensor``: on the diagonal.

    Below a square it goes on as in eager, which writes to every ``columns + 1``-th place of the flattened tensor.
    """
    total, step = emit.dim_mul(sizes[0], sizes[1]), emit.dim_add(sizes[1], 1)
    count = emit.dim_floordiv(emit.dim_add(total, sizes[1]), step)
    spread = _spread_out(emit.expand(emit.reshape(grad, [1]), [count]), 0, step)
    return emit.reshape(_placed(spread, 0, 0, total), sizes)


@op("aten::index_select_backward")
def aten_index_select_backward(grad: Tensor, self_sizes: Shape, dim: int, index: Tensor) -> Any:
    """``index_select_backward(Tensor grad, SymInt[] self_sizes, int dim, Tensor index) -> Tensor``."""
    zeros = emit.filled(self_sizes, 0, emit.dtype_of(grad))
    return aten_index_add(self=zeros, dim=dim, index=index, source=grad)


def _scattered(gradient: Tensor, sizes: Shape, dim: int, index: Tensor) -> Any:
    """Zeros of ``sizes`` to which the gradient is added at ``index`` along ``dim``."""
    zeros = emit.filled(sizes, 0, emit.dtype_of(gradient))
    return aten_scatter_add(self=zeros, dim=dim, index=index, src=gradient)


@op("aten::gather_backward")
def aten_gather_backward(grad: Tensor, self: Tensor, dim: int, index: Tensor, sparse_grad: bool) -> Any:
    """``gather_backward(Tensor grad, Tensor self, int dim, Tensor index, bool sparse_grad) -> Tensor``; dense only."""
    _refuse_sparse("gather", sparse_grad)
    return _scattered(grad, emit.shape_of(self), dim, index)


def _refuse_sparse(what: str, sparse: bool) -> None:
    if sparse:
        raise UnsupportedArgumentError(f"the gradient of {what} is a sparse tensor", hint="leave sparse out")


@op("aten::value_selecting_reduction_backward")
def aten_value_selecting_reduction_backward(
    grad: Tensor, dim: int, indices: Tensor, sizes: Shape, keepdim: bool
) -> Any:
    """``value_selecting_reduction_backward(Tensor grad, int dim, Tensor indices, SymInt[] sizes, bool keepdim)``.

    The gradient of maxima, medians and sorted values.
    """
    if sizes and not keepdim:
        axis = emit.axis_of(dim, len(sizes))
        grad, indices = emit.unsqueeze(grad, axis), emit.unsqueeze(indices, axis)
    return _scattered(grad, sizes, dim, indices)


@op("aten::cummaxmin_backward")
def aten_cummaxmin_backward(grad: Tensor, input: Tensor, indices: Tensor, dim: int) -> Any:
    """``cummaxmin_backward(Tensor grad, Tensor input, Tensor indices, int dim) -> Tensor``."""
    return _scattered(grad, emit.shape_of(input), dim, indices)


@op("aten::masked_select_backward")
def aten_masked_select_backward(grad: Tensor, input: Tensor, mask: Tensor) -> Any:
    """``masked_select_backward(Tensor grad, Tensor input, Tensor mask) -> Tensor``."""
    zeros = emit.filled(emit.shape_of(input), 0, emit.dtype_of(grad))
    return aten_masked_scatter(self=zeros, mask=mask, source=grad)


@op("aten::embedding_dense_backward")
def aten_embedding_dense_backward(
    grad_output: Tensor, indices: Tensor, num_weights: Dim, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    """``embedding_dense_backward(Tensor grad_output, Tensor indices, SymInt num_weights, SymInt padding_idx, ...)``.

    ``scale_grad_by_freq`` gives the mean of a row's gradients instead of their sum.
    """
    width = emit.size_of(grad_output, -1)
    places = emit.flat(indices)
    rows = emit.reshape(grad_output, [emit.size_of(places, 0), width])
    if padding_idx >= 0:
        rows = passed(emit.unsqueeze(emit.compare("EQUAL", places, padding_idx), 1), rows)
    zeros = emit.filled([num_weights, width], 0, emit.dtype_of(rows))
    how = "mean" if scale_grad_by_freq else "sum"
    return emit.scatter_reduced(zeros, places, rows, 0, how, include_self=how == "sum")


@op("aten::embedding_backward")
def aten_embedding_backward(
    grad: Tensor, indices: Tensor, num_weights: Dim, padding_idx: int, scale_grad_by_freq: bool, sparse: bool
) -> Any:
    """``embedding_backward(Tensor grad, Tensor indices, SymInt num_weights, ..., bool sparse) -> Tensor``; dense."""
    _refuse_sparse("an embedding", sparse)
    return aten_embedding_dense_backward(grad, indices, num_weights, padding_idx, scale_grad_by_freq)


# Maxima: the gradient goes to where they were found.


def _to_places(gradient: Tensor, value: Tensor, indices: Tensor, spatial: int) -> Any:
    """Zeros of the sizes of ``value``, to which the gradient is added at places in its flattened spatial axes."""
    sizes = emit.shape_of(value)
    lead = len(sizes) - spatial
    flat = [*sizes[:lead], emit.dim_product(emit.shape_of(gradient)[lead:])]
    parts, places = emit.reshape(gradient, flat), emit.reshape(indices, flat)
    return emit.reshape(_scattered(parts, [*sizes[:lead], emit.dim_product(sizes[lead:])], -1, places), sizes)


@op("aten::adaptive_max_pool2d_backward")
def aten_adaptive_max_pool2d_backward(grad_output: Tensor, self: Tensor, indices: Tensor) -> Any:
    """``adaptive_max_pool2d_backward(Tensor grad_output, Tensor self, Tensor indices) -> Tensor``."""
    return _to_places(grad_output, self, indices, 2)


@op("aten::adaptive_max_pool3d_backward")
def aten_adaptive_max_pool3d_backward(grad_output: Tensor, self: Tensor, indices: Tensor) -> Any:
    """``adaptive_max_pool3d_backward(Tensor grad_output, Tensor self, Tensor indices) -> Tensor``."""
    return _to_places(grad_output, self, indices, 3)


@op("aten::max_pool3d_with_indices_backward")
def aten_max_pool3d_with_indices_backward(
    grad_output: Tensor,
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Any:
    """``max_pool3d_with_indices_backward(Tensor grad_output, Tensor self, ..., Tensor indices) -> Tensor``.

    The indices say all; the windows are not needed.
    """
    return _to_places(grad_output, self, indices, 3)


# Distances and running products.


def _distance_slope(gap: Any, distance: Any, gradient: Any, p: float) -> Any:
    """The gradient of the p-norm of ``gap`` along its last axis; all of one rank, float32.

    (aten/src/ATen/native/cpu/DistanceOpsKernel.cpp; 0 where the distance is.)
    """
    side, length = emit.sign_of(gap), emit.unary("ABS", gap)
    if p == math.inf:
        return emit.where(emit.compare("EQUAL", length, distance), emit.mul(side, gradient), 0.0)
    if p == 1:
        return emit.mul(side, gradient)
    share = emit.true_divide(length, distance)
    if p != 2:
        share = emit.elementwise("POW", share, torch.tensor(p - 1))
    slope = emit.mul(emit.mul(side, share), gradient)
    return emit.where(emit.compare("EQUAL", length, 0.0), 0.0, slope)


@op("aten::_cdist_backward")
@in_float32
def aten_cdist_backward(grad: Tensor, x1: Tensor, x2: Tensor, p: float, cdist: Tensor) -> Any:
    """``_cdist_backward(Tensor grad, Tensor x1, Tensor x2, float p, Tensor cdist) -> Tensor``: that of ``x1``."""
    if p == 0:
        return emit.filled(emit.shape_of(x1), 0, torch.float32)
    rank = emit.rank_of(x1)
    gap = emit.sub(emit.unsqueeze(x1, rank - 1), emit.unsqueeze(x2, rank - 2))
    slope = _distance_slope(gap, emit.unsqueeze(cdist, rank), emit.unsqueeze(grad, rank), p)
    return emit.reduce("SUM", slope, [rank - 1], keepdim=False)


@op("aten::_pdist_backward")
@in_float32
def aten_pdist_backward(grad: Tensor, self: Tensor, p: float, pdist: Tensor) -> Any:
    """``_pdist_backward(Tensor grad, Tensor self, float p, Tensor pdist) -> Tensor``; of a known number of rows."""
    (count,) = emit.known_ints(emit.size_of(self, 0), "the number of rows")
    if p == 0 or count < 2:
        return emit.filled(emit.shape_of(self), 0, torch.float32)
    first, second = torch.triu_indices(count, count, 1)
    gap = emit.sub(emit.gather_known(self, first, 0), emit.gather_known(self, second, 0))
    slope = _distance_slope(gap, emit.unsqueeze(pdist, 1), emit.unsqueeze(grad, 1), p)
    rows = torch.arange(count).unsqueeze(1)
    return emit.full_matmul((rows == first).float() - (rows == second).float(), slope)


@op("aten::cumprod_backward")
@in_float32
def aten_cumprod_backward(grad: Tensor, input: Tensor, dim: int, output: Tensor) -> Any:
    """``cumprod_backward(Tensor grad, Tensor input, int dim, Tensor output) -> Tensor``.

    From the products without one element each, which divide by no zero: as many numbers as the axis's size squared.
    """
    rank = emit.rank_of(input)
    if not rank:
        return grad
    value, gradient = (emit.unsqueeze(emit.swap_axes(part, dim, -1), rank - 1) for part in (input, grad))
    size = emit.size_of(value, rank)
    spread = emit.expand(value, [*emit.shape_of(value)[:-2], size, size])
    without = emit.running_product(emit.where(emit.diagonal_mask(size, size, 0), 1.0, spread), rank)
    terms = passed(emit.band_mask(size, size, -1, lower=True), emit.mul(without, gradient))
    return emit.swap_axes(emit.reduce("SUM", terms, [rank], keepdim=False), dim, -1)
