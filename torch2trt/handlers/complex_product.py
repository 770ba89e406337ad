"""Products of complex values: of vectors and matrices, convolutions, contractions."""

from __future__ import annotations

import functools
import string
from collections.abc import Sequence
from typing import Any

import torch

from .. import emit
from ..emit import complex as pairs
from ..graph import Node
from ..pairs import Complex, RealHandler, complex_op, involves_complex, is_complex
from .complex import by_parts
from .einsum import pairs_of, parse


def _bilinear(node: Node, args: Sequence[Any], real_handler: RealHandler, places: Sequence[int]) -> Any:
    """An op that is linear in two tensors: four real ones, or two where one factor is real."""

    def run(first: Any, second: Any) -> Any:
        chosen = list(args)
        if isinstance(args[places[0]], list):
            chosen[places[0]] = [first, second]
        else:
            chosen[places[0]], chosen[places[1]] = first, second
        return real_handler(node, chosen)[0]

    left, right = args[places[0]] if isinstance(args[places[0]], list) else (args[place] for place in places)
    if not is_complex(left):
        second, factor = pairs.parts(right), pairs.as_float(left)
        return Complex(run(factor, second.real), run(factor, second.imag))
    first = pairs.parts(left)
    if not is_complex(right):
        factor = pairs.as_float(right)
        return Complex(run(first.real, factor), run(first.imag, factor))
    second = pairs.parts(right)
    real = emit.elementwise("SUB", run(first.real, second.real), run(first.imag, second.imag))
    imag = emit.elementwise("SUM", run(first.real, second.imag), run(first.imag, second.real))
    return Complex(real, imag)


_BILINEAR = "bmm cross dot inner kron linalg_cross matmul mm mv outer tensordot"
_ADDING = "addbmm addmm addmv addr baddbmm"
_CONVOLUTIONS = (
    "_convolution _convolution_mode conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution"
)


@complex_op(*(f"aten::{name}" for name in _BILINEAR.split()))
def _product(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """A product of the first two arguments."""
    return _bilinear(node, args, real_handler, (0, 1))


@complex_op("aten::cumulative_trapezoid", "aten::trapezoid", "aten::trapz")
def _trapezoid(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """Areas, which are products of heights and widths."""
    return _product(node, args, real_handler) if is_complex(args[1]) else by_parts(node, args, real_handler)


@complex_op("aten::vdot", "aten::linalg_vecdot")
def _vdot(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """A product of vectors, the first one conjugated."""
    first = pairs.conjugate(args[0]) if is_complex(args[0]) else args[0]
    return _bilinear(node, [first, *args[1:]], real_handler, (0, 1))


@complex_op("aten::linalg_multi_dot")
def _multi_dot(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """Products from left to right."""
    return functools.reduce(pairs.matmul_complex, args[0])


@complex_op(*(f"aten::{name}" for name in _ADDING.split()))
def _adding(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """``beta * self + alpha * product``; ``self`` does not count, NaN included, if ``beta`` is 0."""
    start, left, right, beta, alpha = args
    nothing = pairs.parts(start).real
    product = _bilinear(node, [nothing, left, right, 0, 1], real_handler, (1, 2))
    if alpha != 1:
        product = pairs.multiply_complex(product, alpha)
    if beta == 0:
        return product
    return pairs.add_complex(start if beta == 1 else pairs.multiply_complex(start, beta), product)


@complex_op(*(f"aten::{name}" for name in _CONVOLUTIONS.split()))
def _convolution(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """A convolution; its bias is added to each channel."""
    product = _bilinear(node, [*args[:2], None, *args[3:]], real_handler, (0, 1))
    if args[2] is None:
        return product
    spatial = emit.rank_of(pairs.parts(args[1]).real) - 2
    bias = pairs.each(emit.reshape, args[2], [-1, *[1] * spatial])
    return pairs.add_complex(product, bias)


@complex_op("aten::linear")
def _linear(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """``input @ weight.T + bias``."""
    product = _bilinear(node, [args[0], args[1], None], real_handler, (0, 1))
    return product if args[2] is None else pairs.add_complex(product, args[2])


@complex_op("aten::einsum")
def _einsum(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """Two operands at a time, in the order of ``aten_einsum``."""
    equation, tensors, path = args
    ranks = [emit.rank_of(pairs.parts(value).real if is_complex(value) else value) for value in tensors]
    left, output = parse(equation, ranks)
    letters = dict(zip(dict.fromkeys(label for labels in left for label in labels), string.ascii_letters, strict=False))
    terms = list(zip(tensors, left, strict=True))

    def contracted(chosen: list[tuple[Any, tuple[str, ...]]], result: tuple[str, ...]) -> Any:
        written = [*(labels for _, labels in chosen), result]
        *operands, last = ("".join(letters[label] for label in labels) for labels in written)
        call = [f"{','.join(operands)}->{last}", [value for value, _ in chosen], None]
        if len(chosen) == 1:
            return pairs.each(lambda part: real_handler(node, [call[0], [part], None])[0], chosen[0][0])
        return _bilinear(node, call, real_handler, (1, 1)) if involves_complex(call) else real_handler(node, call)[0]

    for pair in pairs_of(path, len(terms)):
        second, first = terms.pop(pair[1]), terms.pop(pair[0])
        needed = {*output, *(label for _, labels in terms for label in labels)}
        kept = tuple(label for label in dict.fromkeys((*first[1], *second[1])) if label in needed)
        result = kept if terms else output
        terms.insert(len(terms) if path else 0, (contracted([first, second], result), result))
    return terms[0][0] if len(tensors) > 1 else contracted(terms, output)


@complex_op("aten::linalg_vander", "aten::vander")
def _vander(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """Powers 0 to N - 1 along a new last axis; of ``vander`` N - 1 to 0, unless ``increasing``."""
    held = pairs.parts(args[0])
    held = held if emit.rank_of(held.real) else pairs.each(emit.reshape, held, [1])
    axis = emit.rank_of(held.real)
    count = emit.known_ints([emit.size_of(held.real, -1)], f"N of {node.kind}")[0] if args[1] is None else args[1]
    power, powers = pairs.parts(emit.full_like(held.real, 1.0, torch.float32)), []
    for _step in range(count):
        powers.append(power)
        power = pairs.multiply_complex(power, held)
    if node.kind == "aten::vander" and not args[2]:
        powers.reverse()
    columns = [[emit.unsqueeze(part, axis) for part in half] for half in zip(*powers, strict=True)]
    return Complex(*(emit.concatenate(half, axis) for half in columns))
