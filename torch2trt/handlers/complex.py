"""What complex values go through between the op that makes them and the one that makes them real again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .. import emit
from ..emit import complex as pairs
from ..errors import UnsupportedArgumentError
from ..graph import Node
from ..pairs import Complex, RealHandler, complex_op, is_complex
from ..registry import op

_LINEAR = (
    "alias_copy as_strided atleast_1d atleast_2d atleast_3d broadcast_to cat chunk clone constant_pad_nd contiguous "
    "cumsum detach diag diag_embed diagonal expand expand_as fft_fftshift fft_ifftshift fill flatten flip gather "
    "hstack index index_add index_copy index_put index_select mT masked_fill mean movedim narrow numpy_T pad permute "
    "ravel repeat repeat_interleave reshape reshape_as roll rot90 select select_scatter slice slice_scatter split "
    "split_with_sizes squeeze stack sum t take_along_dim tensor_split tile trace transpose tril triu unbind unflatten "
    "unfold unsqueeze view view_as vstack where zeros_like"
)
"""Ops that are done on the real and the imaginary part alike."""

_NUMBERS = frozenset({"value", "values", "fill_value", "other", "src", "source"})
"""Arguments of these that may be real where the tensor is complex: their imaginary part is zero."""


def _by_parts(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The op on the real parts, then on the imaginary parts."""
    names = node.schema.argument_names if node.schema is not None else []
    halves = []
    for part in ("real", "imag"):
        chosen = [_part(value, name, part) for name, value in zip(names, args, strict=False)]
        halves.append(real_handler(node, chosen)[0])
    real, imag = halves
    if isinstance(real, (list, tuple)):
        return [Complex(*pair) for pair in zip(real, imag, strict=True)]
    return Complex(real, imag)


def _part(value: Any, name: str, part: str) -> Any:
    if is_complex(value) or isinstance(value, complex):
        return getattr(pairs.parts(value), part)
    if isinstance(value, list) and any(is_complex(item) for item in value):
        return [getattr(pairs.parts(item), part) for item in value]
    if part == "imag" and name in _NUMBERS and _is_real(value):
        return 0.0 if isinstance(value, (int, float)) else pairs.parts(value).imag
    return value


def _is_real(value: Any) -> bool:
    if isinstance(value, bool) or value is None or isinstance(value, (str, list, tuple)):
        return False
    return isinstance(value, (int, float)) or emit.is_float(value)


complex_op(*(f"aten::{name}" for name in _LINEAR.split()), "torch2trt::rearrange")(_by_parts)


def _two(function: Callable[[Any, Any], Any]) -> Callable[[Node, Sequence[Any], RealHandler], Any]:
    """An op of two arguments; a further one must have its default value."""

    def handler(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
        for value in args[2:]:
            if value not in (1, None):
                raise UnsupportedArgumentError(f"{node.kind} of complex values with {value!r}")
        return function(args[0], args[1])

    return handler


def _one(function: Callable[[Any], Any]) -> Callable[[Node, Sequence[Any], RealHandler], Any]:
    return lambda node, args, _: function(args[0])


complex_op("aten::add")(_two(pairs.add_complex))
complex_op("aten::sub")(_two(lambda left, right: pairs.add_complex(left, right, -1)))
complex_op("aten::rsub")(_two(lambda left, right: pairs.add_complex(right, left, -1)))
complex_op("aten::mul", "aten::multiply")(_two(pairs.multiply_complex))
complex_op("aten::div", "aten::divide", "aten::true_divide")(_two(pairs.divide_complex))
complex_op("aten::abs", "aten::absolute")(_one(pairs.magnitude))
complex_op("aten::angle")(_one(pairs.phase))
complex_op("aten::real")(_one(lambda value: emit.tensor(pairs.parts(value).real)))
complex_op("aten::conj", "aten::conj_physical")(_one(pairs.conjugate))
complex_op("aten::resolve_conj", "aten::resolve_neg", "aten::alias", "aten::positive")(_one(pairs.parts))
complex_op("aten::neg")(_one(lambda value: Complex(*(pairs.negative(part) for part in pairs.parts(value)))))


@op("aten::imag")
def aten_imag(self: Complex) -> Any:
    """``imag(Tensor self) -> Tensor``: of complex values; PyTorch has none of real ones."""
    return emit.tensor(pairs.parts(self).imag)


@op("aten::_conj")
def aten_conj(self: Complex) -> Any:
    """``_conj(Tensor self) -> Tensor``: the complex conjugate."""
    return pairs.conjugate(self)


@complex_op("aten::mH", "aten::matrix_H")
def _adjoint(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The conjugate transpose."""
    return pairs.conjugate(_by_parts(node, args, real_handler))


@complex_op("aten::exp")
def _exp(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``exp(a + bi) = exp(a) (cos b + i sin b)``."""
    value = pairs.parts(args[0])
    size = emit.unary("EXP", value.real)
    return Complex(*(emit.elementwise("PROD", size, emit.unary(name, value.imag)) for name in ("COS", "SIN")))


@complex_op("aten::log")
def _log(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """``log(z) = log(abs(z)) + i angle(z)``."""
    return Complex(emit.unary("LOG", pairs.magnitude(args[0])), pairs.phase(args[0]))


_LARGEST_POWER = 16
"""Higher powers of complex numbers are refused: they take as many products, and lose as many digits."""


@complex_op("aten::pow")
def _pow(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """A whole power, as products."""
    value, exponent = args[0], args[1]
    if not isinstance(exponent, (int, float)) or exponent != int(exponent) or not 1 <= abs(exponent) <= _LARGEST_POWER:
        raise UnsupportedArgumentError(
            f"the power {exponent!r} of complex values", hint=f"use whole powers up to {_LARGEST_POWER}"
        )
    result = pairs.parts(value)
    for _step in range(int(abs(exponent)) - 1):
        result = pairs.multiply_complex(result, value)
    return result if exponent > 0 else pairs.divide_complex(torch.ones(()), result)


@complex_op("aten::linalg_vector_norm", "aten::norm")
def _norm(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The norm of the magnitudes."""
    return real_handler(node, [pairs.magnitude(args[0]), *args[1:]])[0]


def _register_test(name: str, operation: str) -> None:
    """A question about both parts, whose answers are joined."""

    def handler(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
        both = [pairs.parts(value) if is_complex(value) or _is_number(value) else value for value in args]
        answers = [
            real_handler(node, [getattr(value, part) if isinstance(value, Complex) else value for value in both])[0]
            for part in ("real", "imag")
        ]
        return emit.elementwise(operation, *answers)

    complex_op(f"aten::{name}")(handler)


def _is_number(value: Any) -> bool:
    return isinstance(value, complex) or _is_real(value)


for _name, _operation in {"eq": "AND", "ne": "OR", "isfinite": "AND", "isnan": "OR", "isinf": "OR"}.items():
    _register_test(_name, _operation)


@complex_op("aten::reciprocal")
def _reciprocal(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    return pairs.divide_complex(torch.ones(()), args[0])


@complex_op("aten::to", "aten::type_as")
def _to(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """A cast to a complex dtype keeps the value; one to a real dtype is refused, since it drops the imaginary part."""
    dtypes = {value for value in args[1:] if isinstance(value, torch.dtype)} | {node.outputs[0].dtype} - {None}
    if dtypes - {torch.complex64}:
        names = ", ".join(sorted(map(str, dtypes)))
        raise UnsupportedArgumentError(f"a cast of complex values to {names}", hint="use .real, or view_as_real")
    return pairs.parts(args[0])


@complex_op("aten::zeros_like", "aten::empty_like", "aten::ones_like", "aten::zero")
@complex_op("aten::new_zeros", "aten::new_empty", "aten::new_ones")
def _made_like(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """Complex numbers, unless another dtype is asked for."""
    result = real_handler(node, [pairs.parts(args[0]).real, *args[1:]])[0]
    dtype = node.outputs[0].dtype
    return pairs.parts(result) if dtype is None or dtype.is_complex else result


@complex_op("aten::fill", "aten::full_like")
def _filled_like(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The value's parts in the shape of the first argument."""
    shape = pairs.parts(args[0]).real
    return Complex(*(real_handler(node, [shape, part])[0] for part in pairs.parts(args[1])))


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


@complex_op("aten::matmul", "aten::mm", "aten::bmm", "aten::mv", "aten::dot", "aten::outer")
def _matmul(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """A product of matrices or vectors."""
    return _bilinear(node, args, real_handler, (0, 1))


@complex_op("aten::linear")
def _linear(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """``input @ weight.T + bias``."""
    product = _bilinear(node, [args[0], args[1], None], real_handler, (0, 1))
    return product if args[2] is None else pairs.add_complex(product, args[2])


@complex_op("aten::einsum")
def _einsum(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """An einsum of two operands."""
    if len(args[1]) == 1:
        return Complex(*(real_handler(node, [args[0], [part], None])[0] for part in pairs.parts(args[1][0])))
    if len(args[1]) != 2:
        raise UnsupportedArgumentError(f"an einsum of {len(args[1])} complex operands", hint="take them two at a time")
    return _bilinear(node, [args[0], args[1], None], real_handler, (1, 1))
