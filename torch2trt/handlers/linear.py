"""Products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op
from ..weights import derive


@op("aten::linear")
@emit.computes_bytes
def aten_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """``linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor``: ``input @ weight.T + bias``."""
    return emit.linear(input, weight, bias)


@op("aten::matmul", "aten::mm", "aten::bmm", "aten::mv", "aten::dot", "aten::vdot")
@emit.computes_bytes
def aten_matmul(
    self: Tensor,
    other: Tensor | None = None,
    mat2: Tensor | None = None,
    vec: Tensor | None = None,
    tensor: Tensor | None = None,
) -> Any:
    """``matmul(Tensor self, Tensor other) -> Tensor``, ``mm``, ``bmm``, ``mv``, ``dot``: operands of one dtype."""
    second = next(value for value in (other, mat2, vec, tensor) if value is not None)
    return emit.product(self, second)


@op("aten::_int_mm")
def aten_int_mm(self: Tensor, mat2: Tensor) -> Any:
    """``_int_mm(Tensor self, Tensor mat2) -> Tensor``: of int8 matrices, summed in int32."""
    return emit.product(emit.cast(self, torch.int32), emit.cast(mat2, torch.int32))


def _plus(self: Tensor, product: Tensor, beta: float | int, alpha: float | int) -> Any:
    """``beta * self + alpha * product``; ``self`` does not count, NaN included, if ``beta`` is 0."""
    dtype = emit.dtype_of(product)
    if not emit.is_float(dtype):  # eager makes the factors integers first
        alpha, beta = int(alpha), int(beta)
    if emit.is_half(dtype) and (alpha != 1 or beta not in (0, 1)):  # eager rounds once
        product, self = emit.cast(product, torch.float32), emit.cast(self, torch.float32)
    scaled = emit.scaled(product, alpha)
    if beta != 0:
        scaled = emit.arithmetic("SUM", emit.scaled(self, beta), scaled)
    return emit.cast(scaled, dtype)


@op("aten::_grouped_mm")
@emit.computes_bytes
def aten_grouped_mm(
    self: Tensor,
    mat2: Tensor,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> Any:
    """``_grouped_mm(Tensor self, Tensor mat2, Tensor? offs=None, Tensor? bias=None, ScalarType? out_dtype=None)``.

    Every group is multiplied with all rows, and each row keeps its own group's result. ``offs`` says where each group
    ends along the axis that the groups share; what lies beyond the last, which eager leaves open, is zero.
    """
    if bias is not None:
        raise UnsupportedArgumentError("_grouped_mm with a bias, which eager refuses too", hint="add it afterwards")
    ranks = emit.rank_of(self), emit.rank_of(mat2)
    if offs is None or ranks == (3, 3):
        return emit.product(self, mat2)
    if ranks == (2, 2):  # groups of columns of the first: one product a group
        inside = _in_group(offs, emit.size_of(self, 1))
        return emit.product(emit.where(emit.unsqueeze(inside, 1), emit.unsqueeze(self, 0), 0.0), mat2)
    by_rows = ranks == (2, 3)
    inside = _in_group(offs, emit.size_of(self, 0) if by_rows else emit.size_of(mat2, 1))
    products = emit.product(self, mat2)
    kept = emit.where(emit.unsqueeze(inside, 2 if by_rows else 1), products, 0.0)
    return emit.reduce("SUM", kept, [0], keepdim=False)


def _in_group(ends: Tensor, count: Dim) -> Any:
    """Whether each of ``count`` places lies in each group: of shape ``(groups, count)``."""
    places = emit.unsqueeze(emit.cast(emit.iota(count), torch.int32), 0)
    others = emit.slice_axis(ends, 0, 0, emit.dim_sub(emit.size_of(ends, 0), 1))
    before = emit.concatenate([torch.zeros(1, dtype=torch.int32), others], 0)
    return emit.elementwise(
        "AND",
        emit.either("GREATER", places, emit.unsqueeze(before, 1)),
        emit.compare("LESS", places, emit.unsqueeze(ends, 1)),
    )


@op("aten::addmm")
@emit.computes_bytes
def aten_addmm(self: Tensor, mat1: Tensor, mat2: Tensor, beta: float = 1, alpha: float = 1) -> Any:
    """``addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor``."""
    return _plus(self, emit.product(mat1, mat2), beta, alpha)


@op("aten::addmv")
@emit.computes_bytes
def aten_addmv(self: Tensor, mat: Tensor, vec: Tensor, beta: float = 1, alpha: float = 1) -> Any:
    """``addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor``."""
    return _plus(self, emit.product(mat, vec), beta, alpha)


@op("aten::baddbmm")
@emit.computes_bytes
def aten_baddbmm(self: Tensor, batch1: Tensor, batch2: Tensor, beta: float = 1, alpha: float = 1) -> Any:
    """``baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor``."""
    return _plus(self, emit.product(batch1, batch2), beta, alpha)


@op("aten::addbmm")
@emit.computes_bytes
def aten_addbmm(self: Tensor, batch1: Tensor, batch2: Tensor, beta: float = 1, alpha: float = 1) -> Any:
    """``addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor``.

    The sum over the batch is one product: of the matrices side by side with those below each other.
    """
    return _plus(self, emit.contract(batch1, batch2, [0, 2], [0, 1]), beta, alpha)


@op("aten::addr")
@emit.computes_bytes
def aten_addr(self: Tensor, vec1: Tensor, vec2: Tensor, beta: float = 1, alpha: float = 1) -> Any:
    """``addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor``; promotes."""
    dtype = emit.result_type(self, vec1, vec2)
    outer = emit.arithmetic("PROD", emit.unsqueezed(emit.cast(vec1, dtype), 1), emit.cast(vec2, dtype))
    return _plus(emit.cast(self, dtype), outer, beta, alpha)


@op("aten::outer")
@emit.computes_bytes
def aten_outer(self: Tensor, vec2: Tensor) -> Any:
    """``outer(Tensor self, Tensor vec2) -> Tensor``; promotes."""
    return emit.arithmetic("PROD", emit.unsqueezed(self, 1), vec2)


@op("aten::inner")
@emit.computes_bytes
def aten_inner(self: Tensor, other: Tensor) -> Any:
    """``inner(Tensor self, Tensor other) -> Tensor``: the last axes are summed; a product if one has rank 0."""
    if not emit.rank_of(self) or not emit.rank_of(other):
        return emit.arithmetic("PROD", self, other)
    return emit.contract(self, other, [emit.rank_of(self) - 1], [emit.rank_of(other) - 1])


@op("aten::tensordot")
@emit.computes_bytes
def aten_tensordot(self: Tensor, other: Tensor, dims_self: Sequence[int], dims_other: Sequence[int]) -> Any:
    """``tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor``."""
    first = [emit.axis_of(axis, emit.rank_of(self)) for axis in dims_self]
    second = [emit.axis_of(axis, emit.rank_of(other)) for axis in dims_other]
    return emit.contract(self, other, first, second)


@op("aten::kron")
@emit.computes_bytes
def aten_kron(self: Tensor, other: Tensor) -> Any:
    """``kron(Tensor self, Tensor other) -> Tensor``; promotes; of tensors of rank 4 at most."""
    rank = max(emit.rank_of(self), emit.rank_of(other))
    left, right = emit.pad_rank(self, rank), emit.pad_rank(other, rank)
    sizes = [emit.dim_mul(a, b) for a, b in zip(emit.shape_of(left), emit.shape_of(right), strict=True)]
    wide = emit.unsqueeze(left, [2 * axis + 1 for axis in range(rank)])
    return emit.reshape(emit.arithmetic("PROD", wide, emit.unsqueeze(right, [2 * axis for axis in range(rank)])), sizes)


@op("aten::bilinear")
@emit.computes_bytes
def aten_bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """``bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor``.

    ``out[..., o] = sum_ij input1[..., i] weight[o, i, j] input2[..., j]``: one matrix product over ``i``, then one
    over ``j``.
    """
    outputs, _, columns = emit.shape_of(weight)
    if isinstance(weight, torch.Tensor):
        matrix = derive(_input_first, weight)
    else:
        matrix = emit.reshape(emit.permute(weight, [1, 0, 2]), [emit.size_of(weight, 1), -1])
    lead = emit.shape_of(input1)[:-1]
    rows = emit.reshape(emit.product(input1, matrix), [*lead, outputs, columns])
    right = emit.reshape(input2, [*lead, columns, 1])
    result = emit.reshape(emit.product(rows, right), [*lead, outputs])
    return result if bias is None else emit.elementwise("SUM", result, bias)


def _input_first(weight: torch.Tensor) -> torch.Tensor:
    return weight.permute(1, 0, 2).reshape(weight.shape[1], -1)


@op("aten::chain_matmul", "aten::linalg_multi_dot")
@emit.computes_bytes
def aten_multi_dot(tensors: Sequence[Tensor] = (), matrices: Sequence[Tensor] = ()) -> Any:
    """``linalg_multi_dot(Tensor[] tensors) -> Tensor``: in the order that takes the fewest multiplications."""
    factors = [emit.tensor(value) for value in tensors or matrices]
    if len(factors) == 1:
        return factors[0]
    sizes = [emit.static_shape(value) for value in factors]
    edges = [sizes[0][0] if len(sizes[0]) == 2 else 1, *(size[-1] for size in sizes)]
    if len(sizes[-1]) == 1:
        edges[-2:] = [sizes[-1][0], 1]
    splits = _best_splits([max(edge, 1) for edge in edges])

    def multiply(first: int, last: int) -> Any:
        if first == last:
            return factors[first]
        middle = splits[first, last]
        return emit.product(multiply(first, middle), multiply(middle + 1, last))

    return multiply(0, len(factors) - 1)


def _best_splits(edges: Sequence[int]) -> dict[tuple[int, int], int]:
    """For every run of factors, where to cut it; Cormen et al., Introduction to Algorithms, section 15.2."""
    count = len(edges) - 1
    cost: dict[tuple[int, int], int] = {(index, index): 0 for index in range(count)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for first in range(count - length):
            last = first + length
            options = {
                middle: cost[first, middle]
                + cost[middle + 1, last]
                + edges[first] * edges[middle + 1] * edges[last + 1]
                for middle in range(first, last)
            }
            cut[first, last] = min(options, key=lambda middle: options[middle])
            cost[first, last] = options[cut[first, last]]
    return cut


def _summed_product(left: Tensor, right: Tensor, axis: int) -> Any:
    """``(left * right).sum(axis)``, accumulated in float32 for half precision."""
    dtype = emit.result_type(left, right)
    wide = torch.float32 if emit.is_half(dtype) else dtype
    products = emit.arithmetic("PROD", emit.cast(left, wide), emit.cast(right, wide))
    return emit.cast(emit.reduce("SUM", products, [emit.axis_of(axis, emit.rank_of(products))], False), dtype)


@op("aten::linalg_vecdot")
@emit.computes_bytes
def aten_linalg_vecdot(x: Tensor, y: Tensor, dim: int = -1) -> Any:
    """``linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor``."""
    return _summed_product(x, y, dim)


def _cross(left: Tensor, right: Tensor, axis: int) -> Any:
    left, right = emit.align_ranks(emit.promote(left, right))
    axis = emit.axis_of(axis, emit.rank_of(left))
    after, before = torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])
    dims = emit.broadcast_shape(emit.shape_of(left), emit.shape_of(right))
    left, right = emit.expand(left, dims), emit.expand(right, dims)
    plus = emit.arithmetic("PROD", emit.gather_known(left, after, axis), emit.gather_known(right, before, axis))
    minus = emit.arithmetic("PROD", emit.gather_known(left, before, axis), emit.gather_known(right, after, axis))
    return emit.arithmetic("SUB", plus, minus)


@op("aten::linalg_cross")
@emit.computes_bytes
def aten_linalg_cross(self: Tensor, other: Tensor, dim: int = -1) -> Any:
    """``linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor``; the axis has size 3."""
    return _cross(self, other, dim)


@op("aten::cross")
@emit.computes_bytes
def aten_cross(self: Tensor, other: Tensor, dim: int | None = None) -> Any:
    """``cross(Tensor self, Tensor other, int? dim=None) -> Tensor``; by default the first axis of size 3."""
    if dim is None:
        sizes = emit.static_shape(self)
        if 3 not in sizes:
            raise UnsupportedArgumentError("cross finds no axis of size 3 that is known at conversion", hint="pass dim")
        dim = sizes.index(3) - len(sizes)
    return _cross(self, other, dim)
