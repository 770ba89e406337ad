"""Counting values: searches in sorted boundaries, histograms, membership."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op


@op("aten::searchsorted.Tensor", "aten::searchsorted.Scalar")
def aten_searchsorted(
    sorted_sequence: Tensor,
    self: Tensor,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor = None,
) -> Any:
    """``searchsorted.Tensor(Tensor sorted_sequence, Tensor self, *, bool out_int32=False, bool right=False, str?
    side=None, Tensor? sorter=None) -> Tensor``.
    """
    if sorter is not None:
        last = emit.rank_of(sorted_sequence) - 1
        sorted_sequence = emit.gather_elements(sorted_sequence, sorter, last)
    return _search(sorted_sequence, self, right or side == "right", out_int32)


@op("aten::bucketize.Tensor", "aten::bucketize.Scalar")
def aten_bucketize(self: Tensor, boundaries: Tensor, out_int32: bool = False, right: bool = False) -> Any:
    """``bucketize.Tensor(Tensor self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor``."""
    return _search(boundaries, self, right, out_int32)


def _search(bounds: Tensor, values: Tensor, right: bool, out_int32: bool) -> Any:
    dtype = torch.int32 if out_int32 else torch.int64
    if emit.is_empty(bounds) or emit.is_empty(values):
        return emit.filled(emit.shape_of(values), 0, dtype)
    return emit.cast(emit.insertion_points(bounds, values, right), dtype)


@op("aten::isin.Tensor_Tensor")
def aten_isin(elements: Tensor, test_elements: Tensor, assume_unique: bool = False, invert: bool = False) -> Any:
    """``isin.Tensor_Tensor(Tensor elements, Tensor test_elements, *, bool assume_unique=False, bool invert=False) ->
    Tensor``.
    """
    found = emit.is_among(elements, test_elements)
    return emit.logical_not(emit.tensor(found)) if invert else found


@op("aten::isin.Tensor_Scalar")
def aten_isin_scalar(elements: Tensor, test_element: Tensor, assume_unique: bool = False, invert: bool = False) -> Any:
    """``isin.Tensor_Scalar(Tensor elements, Scalar test_element, *, ...) -> Tensor``."""
    found = emit.compare("EQUAL", elements, test_element)
    return emit.logical_not(found) if invert else found


@op("aten::isin.Scalar_Tensor")
def aten_isin_element(element: Tensor, test_elements: Tensor, assume_unique: bool = False, invert: bool = False) -> Any:
    """``isin.Scalar_Tensor(Scalar element, Tensor test_elements, *, ...) -> Tensor``: 0-d."""
    same = emit.compare("EQUAL", test_elements, element)
    found = emit.holds("MAX", same, range(emit.rank_of(same)), keepdim=False)
    return emit.logical_not(found) if invert else found


@op("aten::bincount")
def aten_bincount(self: Tensor, weights: Tensor = None, minlength: int = 0) -> Any:
    """``bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor``: of known integers, whose weights
    may be known at run time only; the length of the result is the largest integer's.
    """
    if not isinstance(self, torch.Tensor):
        raise UnsupportedArgumentError(
            "the length of bincount's result depends on the data, even with minlength",
            hint="count into a known number of bins: torch.histc(x.float(), bins=n, min=0, max=n), or "
            "torch.zeros(n).scatter_add(0, x, weights)",
        )
    bins = max(minlength, int(self.max()) + 1 if self.numel() else 0)
    if emit.dtype_of(weights) != torch.float32:
        emit.held_dtype(torch.float64)  # in which PyTorch adds them
    if emit.is_empty(self):
        return torch.zeros(bins, dtype=torch.int64)
    inside = torch.ones(self.shape, dtype=torch.bool)
    return emit.binned(self.long(), inside, bins, emit.tensor(weights, torch.float32))


@op("aten::histc")
def aten_histc(self: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """``histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor``; equal bounds stand for those of the
    data.

    An element's bin is its place between the bounds, cut off (aten/src/ATen/native/cpu/HistogramKernel.cpp).
    """
    dtype = emit.dtype_of(self)
    if emit.is_empty(self):
        return torch.zeros(bins, dtype=dtype)
    values = emit.flat(self)  # computed in its own precision, half too, as in eager
    low, high = _outer_edges(values, float(min), float(max), apart=1.0)
    span = emit.elementwise("SUB", high, low)
    scaled = emit.elementwise("PROD", emit.elementwise("SUB", values, low), emit.number_like(bins, values))
    places = emit.cast(emit.elementwise("DIV", scaled, span), torch.int64)
    inside = emit.elementwise("AND", emit.either("GREATER", values, low), emit.either("LESS", values, high))
    places = emit.elementwise("MIN", places, torch.tensor(bins - 1))
    return emit.cast(emit.binned(places, inside, bins, None), dtype)


def _outer_edges(values: Any, low: float, high: float, apart: float) -> tuple[Tensor, Tensor]:
    """The bounds of a histogram: for equal ones those of the data, and for equal data, on either side of it."""
    if low == high == 0 and not emit.is_empty(values):
        least, most = (emit.reduce(operation, values, [0], keepdim=False) for operation in ("MIN", "MAX"))
        distance = emit.number_like(apart, values)
        gap = emit.where(emit.compare("EQUAL", least, most), distance, emit.number_like(0, values))
        return emit.elementwise("SUB", least, gap), emit.elementwise("SUM", most, gap)
    if low == high:
        low, high = (low - apart, high + apart) if not emit.is_empty(values) or low else (0.0, 1.0)
    return emit.number_like(low, values), emit.number_like(high, values)


def _linspace(low: Tensor, high: Tensor, count: int) -> Any:
    """``torch.linspace``: counted from the nearer end (aten/src/ATen/native/cpu/RangeFactoriesKernel.cpp)."""
    if isinstance(low, torch.Tensor) and isinstance(high, torch.Tensor):
        return torch.linspace(low.item(), high.item(), count)
    step = emit.elementwise("DIV", emit.elementwise("SUB", high, low), torch.tensor(float(count - 1)))
    up, down = torch.arange(count).float(), torch.arange(count - 1, -1, -1).float()
    rising = emit.elementwise("SUM", low, emit.elementwise("PROD", up, step))
    falling = emit.elementwise("SUB", high, emit.elementwise("PROD", down, step))
    return emit.where(torch.arange(count) < count // 2, rising, falling)


def _bins(edges: Tensor) -> int:
    """How many bins lie between edges, whose number must be known."""
    return emit.known_ints(emit.size_of(edges, 0), "the number of bin edges")[0] - 1


def _edge_place(values: Any, edges: Tensor) -> tuple[Any, Any]:
    """For each value its bin, the last including its upper edge, and whether it lies between the outer edges."""
    bins = _bins(edges)
    place = emit.elementwise("SUB", emit.insertion_points(edges, values, right=True), torch.tensor(1))
    low, high = emit.slice_axis(edges, 0, 0, 1), emit.slice_axis(edges, 0, bins, 1)
    inside = emit.elementwise("AND", emit.either("GREATER", values, low), emit.either("LESS", values, high))
    return emit.elementwise("MIN", place, torch.tensor(bins - 1)), inside


def _density(counts: Any, edges: Sequence[Tensor]) -> Any:
    """Counts divided by their sum and by the volumes of the bins."""
    rank = len(edges)
    total = emit.reduce("SUM", counts, range(rank), keepdim=True)
    result = emit.elementwise("DIV", counts, total)
    for axis, edge in enumerate(edges):
        bins = _bins(edge)
        widths = emit.elementwise("SUB", emit.slice_axis(edge, 0, 1, bins), emit.slice_axis(edge, 0, 0, bins))
        result = emit.elementwise("DIV", result, emit.along_axis(widths, axis, rank))
    return result


@op("aten::histogram.bin_ct", "aten::histogram.bins_tensor")
def aten_histogram(
    self: Tensor, bins: Tensor = 100, range: Sequence[float] | None = None, weight: Tensor = None, density: bool = False
) -> tuple[Any, Any]:
    """``histogram.bin_ct(Tensor self, int bins=100, *, float[]? range=None, Tensor? weight=None, bool density=False) ->
    (Tensor hist, Tensor bin_edges)``, ``histogram.bins_tensor(Tensor self, Tensor bins, ...)``.
    """
    values = emit.flat(self)
    if isinstance(bins, int):
        first, last = range or (0.0, 0.0)
        low, high = _outer_edges(values, first, last, apart=0.5)
        edges: Any = _linspace(low, high, bins + 1)
    else:
        edges = bins
    place, inside = _edge_place(values, edges)
    weights = None if weight is None else emit.flat(weight)
    counts = emit.binned(place, inside, _bins(edges), weights)
    return (_density(counts, [edges]) if density else counts), edges


@op("aten::histogramdd", "aten::histogramdd.int_bins", "aten::histogramdd.TensorList_bins")
def aten_histogramdd(
    self: Tensor,
    bins: Any,
    range: Sequence[float] | None = None,
    weight: Tensor = None,
    density: bool = False,
) -> tuple[Any, Any]:
    """``histogramdd(Tensor self, int[] bins, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor
    hist, Tensor[] bin_edges)``.
    """
    depth = emit.known_ints(emit.size_of(self, -1), "the number of coordinates of a point")[0]
    points = emit.reshape(self, [-1, depth])
    chosen = [bins] * depth if isinstance(bins, int) else list(bins)
    edges, place, inside = [], None, None
    for axis, bin_count in enumerate(chosen):
        column = emit.take(points, axis, 1)
        if isinstance(bin_count, int):
            first, last = range[2 * axis : 2 * axis + 2] if range else (0.0, 0.0)
            edge: Any = _linspace(*_outer_edges(column, first, last, apart=0.5), bin_count + 1)
        else:
            edge = bin_count
        edges.append(edge)
        where, within = _edge_place(column, edge)
        count = torch.tensor(_bins(edge))
        place = where if place is None else emit.add(emit.mul(place, count), where)
        inside = within if inside is None else emit.elementwise("AND", inside, within)
    sizes = [_bins(edge) for edge in edges]
    weights = None if weight is None else emit.flat(weight)
    counts = emit.reshape(emit.binned(place, inside, emit.dim_product(sizes), weights), sizes)
    return (_density(counts, edges) if density else counts), edges
