"""Norms, distances, statistics, products and running products of complex values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .. import emit
from ..emit import complex as pairs
from ..emit import complex_functions as functions
from ..graph import Node
from ..pairs import Complex, RealHandler, complex_op
from .statistics import covariance


def of_magnitudes(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """An op that depends on magnitudes alone."""
    rest = [torch.float32 if value == torch.complex64 else value for value in args[1:]]
    found = real_handler(node, [pairs.magnitude(args[0]), *rest])[0]
    dtype = node.outputs[0].dtype
    return pairs.parts(found) if dtype is not None and dtype.is_complex else found


complex_op("aten::linalg_vector_norm", "aten::norm", "aten::frobenius_norm")(of_magnitudes)


def _of_gap(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """A distance: that of the difference's magnitudes to zeros."""
    gap = pairs.magnitude(pairs.add_complex(args[0], args[1], -1))
    return real_handler(node, [gap, emit.full_like(gap, 0.0, torch.float32), *args[2:]])[0]


complex_op("aten::dist", "aten::l1_loss")(_of_gap)


@complex_op("aten::pairwise_distance")
def _pairwise_distance(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The norm of ``x1 - x2 + eps``."""
    left, right, order, eps, keepdim = args
    return _of_gap(node, [pairs.add_complex(left, eps), right, order, 0.0, keepdim], real_handler)


@complex_op("aten::renorm")
def _renorm(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """Scaled as the magnitudes are."""
    size = pairs.magnitude(args[0])
    kept = real_handler(node, [size, *args[1:]])[0]
    factor = emit.elementwise("DIV", kept, emit.where(emit.compare("EQUAL", size, 0), torch.ones(()), size))
    return pairs.multiply_complex(args[0], factor)


@complex_op("aten::var")
def _var(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The variances of both parts together."""
    return emit.elementwise("SUM", *(real_handler(node, [part, *args[1:]])[0] for part in pairs.parts(args[0])))


@complex_op("aten::std")
def _std(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The root of the variances of both parts."""
    return pairs.magnitude(Complex(*(real_handler(node, [part, *args[1:]])[0] for part in pairs.parts(args[0]))))


@complex_op("aten::var_mean", "aten::std_mean")
def _with_mean(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The variance or its root, and the mean."""
    spreads, means = zip(*(real_handler(node, [part, *args[1:]]) for part in pairs.parts(args[0])), strict=True)
    if node.kind == "aten::std_mean":
        return pairs.magnitude(Complex(*spreads)), Complex(*means)
    return emit.elementwise("SUM", *spreads), Complex(*means)


@complex_op("aten::cov")
def _cov(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """From the covariances of all real and imaginary parts."""
    return _covariance(args[0], lambda both: real_handler(node, [both, *args[1:]])[0])


@complex_op("aten::corrcoef")
def _corrcoef(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """The covariances over the roots of both variances, their parts held between -1 and 1."""
    found = _covariance(args[0], lambda both: covariance(both, 1, None, None))
    if not emit.rank_of(found.real):
        return pairs.divide_complex(found, found)
    root = emit.unary("SQRT", emit.diagonal(found.real, 0))
    for axis in (1, 0):
        found = pairs.divide_complex(found, emit.unsqueeze(root, axis))
    return pairs.each(emit.clamp, found, -1.0, 1.0)


def _covariance(value: Any, of_real: Callable[[Any], Any]) -> Complex:
    held = [part if emit.rank_of(part) > 1 else emit.reshape(part, [1, -1]) for part in pairs.parts(value)]
    rows = emit.size_of(held[0], 0)
    found = of_real(emit.concatenate(held, 0))
    (rr, ri), (ir, ii) = (
        [emit.slice_axis(band, 1, start, rows) for start in (0, rows)]
        for band in (emit.slice_axis(found, 0, start, rows) for start in (0, rows))
    )
    result = Complex(emit.elementwise("SUM", rr, ii), emit.elementwise("SUB", ir, ri))
    if emit.static_shape(result.real) == (1, 1):
        return pairs.each(emit.reshape, result, [])
    return result


@complex_op("aten::prod")
def _prod(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``prod(self, dtype)`` of all, or ``prod(self, dim, keepdim, dtype)``."""
    held = pairs.parts(args[0])
    rank, keepdim = emit.rank_of(held.real), len(args) == 4 and args[2]
    if len(args) == 4:
        axis = emit.axis_of(args[1], rank)
    else:
        held, axis, rank = pairs.each(emit.reshape, held, [-1]), 0, 1
    if not rank:
        return held
    total = functions.running(held, axis, pairs.multiply_complex, 1)[1]
    return pairs.each(emit.unsqueeze, total, axis) if keepdim else total


def _running(combine: Callable[[Any, Any], Complex], start: complex) -> Callable[..., Any]:
    def handler(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
        held = pairs.parts(args[0])
        rank = emit.rank_of(held.real)
        return functions.running(held, emit.axis_of(args[1], rank), combine, start)[0] if rank else held

    return handler


complex_op("aten::cumprod")(_running(pairs.multiply_complex, 1))
complex_op("aten::logcumsumexp")(_running(functions.logaddexp, complex(-float("inf"), 0)))


@complex_op("aten::logsumexp")
def _logsumexp(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``log(sum(exp(x)))``, shifted by the largest real part."""
    held = pairs.parts(args[0])
    axes, keepdim = emit.axes_of(args[1], emit.rank_of(held.real)), args[2]
    largest = emit.reduce("MAX", held.real, axes, keepdim=True) if axes else held.real
    largest = emit.where(emit.unary("ISINF", largest), torch.zeros(()), largest)
    grown = functions.exp(pairs.add_complex(held, largest, -1))
    total = functions.log(Complex(*(emit.reduce("SUM", part, axes, keepdim) if axes else part for part in grown)))
    shift = largest if keepdim or not axes else emit.squeeze(largest, axes)
    return pairs.add_complex(total, shift)
