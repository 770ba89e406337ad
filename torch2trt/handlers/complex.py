"""What complex values go through between the op that makes them and the one that makes them real again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .. import emit
from ..emit import complex as pairs
from ..emit import complex_functions as functions
from ..errors import DtypeError, UnsupportedArgumentError
from ..graph import Node
from ..pairs import Complex, RealHandler, complex_op, involves_complex, is_complex
from ..registry import op

_LINEAR = (
    "_chunk_cat _unsafe_masked_index _unsafe_masked_index_put_accumulate alias_copy as_strided as_strided_copy "
    "as_strided_scatter atleast_1d atleast_2d atleast_3d block_diag broadcast_to cartesian_prod cat channel_shuffle "
    "chunk clone col2im column_stack combinations constant_pad_nd contiguous cumsum detach diag diag_embed diagflat "
    "diagonal diagonal_copy diagonal_scatter diff dsplit dstack expand expand_as expand_copy fft_fftshift "
    "fft_ifftshift flatten flip fliplr flipud gather gradient hsplit hstack im2col index index_add index_copy "
    "index_fill index_put index_select linalg_diagonal mT masked_fill masked_scatter masked_select mean meshgrid "
    "movedim narrow narrow_copy new_full numpy_T pad permute permute_copy pixel_shuffle pixel_unshuffle put ravel "
    "repeat repeat_interleave reshape reshape_as roll rot90 scatter_add select select_copy select_scatter slice "
    "slice_copy slice_scatter split split_copy split_with_sizes split_with_sizes_copy squeeze squeeze_copy stack sum "
    "sum_to_size t t_copy take take_along_dim tensor_split tile trace transpose transpose_copy tril triu unbind "
    "unbind_copy unflatten unfold unfold_copy unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze "
    "unsqueeze_copy view view_as view_copy vsplit vstack where"
)
"""Ops that are done on the real and the imaginary part alike."""

_NUMBERS = frozenset({"append", "fill", "fill_value", "other", "prepend", "source", "src", "value", "values"})
"""Arguments of these that may be real where the tensor is complex: their imaginary part is zero."""

_FACTORS = frozenset({"alpha", "dx", "spacing"})
"""Arguments of these that multiply or divide: real ones only."""


def names_of(node: Node) -> Sequence[str]:
    """The names of a node's arguments."""
    return node.schema.argument_names if node.schema is not None else []


def by_parts(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """The op on the real parts, then on the imaginary parts; on the real parts alone where its result is real."""
    names = names_of(node)
    numbers = _NUMBERS | {"self"} if node.kind == "aten::where" else _NUMBERS
    dtype = node.outputs[0].dtype
    for value, name in zip(args, names, strict=False):
        if name in _FACTORS and involves_complex([value]):
            raise UnsupportedArgumentError(f"{node.kind} of complex values with a complex {name}")
    halves = []
    for part in ("real", "imag") if dtype is None or dtype.is_complex else ("real",):
        chosen = [_part(value, name in numbers, part) for name, value in zip(names, args, strict=False)]
        halves.append(real_handler(node, chosen)[0])
    if len(halves) == 1:
        return halves[0]
    real, imag = halves
    if isinstance(real, (list, tuple)):
        return [Complex(*pair) for pair in zip(real, imag, strict=True)]
    return Complex(real, imag)


def _part(value: Any, number: bool, part: str) -> Any:
    if is_complex(value) or isinstance(value, complex):
        return getattr(pairs.parts(value), part)
    if isinstance(value, list) and any(is_complex(item) for item in value):
        return [getattr(pairs.parts(item), part) for item in value]
    if isinstance(value, torch.dtype) and value == torch.complex64:
        return torch.float32
    if part == "imag" and number and _is_real(value):
        return 0.0 if isinstance(value, (int, float)) else pairs.parts(value).imag
    return value


def _is_real(value: Any) -> bool:
    if isinstance(value, bool) or value is None or isinstance(value, (str, list, tuple, torch.dtype)):
        return False
    return isinstance(value, (int, float)) or emit.is_float(value)


complex_op(*(f"aten::{name}" for name in _LINEAR.split()), "torch2trt::rearrange")(by_parts)


@complex_op(*(f"aten::{name}" for name in ["_shape_as_tensor", "len", "numel", "size", "sym_numel", "sym_size"]))
def _size(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """Sizes are those of the real part."""
    return real_handler(node, [pairs.parts(args[0]).real, *args[1:]])[0]


@complex_op("aten::broadcast_tensors")
def _broadcast_tensors(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """Every tensor, complex or not, in the shape of all."""
    halves = [[_part(value, False, part) for value in args[0]] for part in ("real", "imag")]
    spread = [real_handler(node, [half])[0] for half in halves]
    return [Complex(*both) if is_complex(value) else both[0] for value, *both in zip(args[0], *spread, strict=True)]


@complex_op("aten::scatter")
def _scatter(node: Node, args: Sequence[Any], real_handler: RealHandler) -> Any:
    """By parts, unless numbers are multiplied."""
    if "multiply" in [value for value in args if isinstance(value, str)]:
        raise UnsupportedArgumentError("scatter of complex values with reduce='multiply'")
    return by_parts(node, args, real_handler)


def _sum(args: Sequence[Any], sign: int = 1) -> Complex:
    """``self + alpha * other``."""
    left, right, alpha = (*args, 1)[:3]
    return pairs.add_complex(left, right if alpha == 1 else pairs.multiply_complex(right, alpha), sign)


def _two(function: Callable[[Any, Any], Any]) -> Callable[[Node, Sequence[Any], RealHandler], Any]:
    """An op of two arguments; a further one must be None."""

    def handler(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
        for value in args[2:]:
            if value is not None:
                raise UnsupportedArgumentError(f"{node.kind} of complex values with {value!r}")
        return function(args[0], args[1])

    return handler


def one(function: Callable[[Any], Any]) -> Callable[[Node, Sequence[Any], RealHandler], Any]:
    """An op of one argument."""
    return lambda node, args, _: function(args[0])


complex_op("aten::add")(lambda node, args, _: _sum(args))
complex_op("aten::sub")(lambda node, args, _: _sum(args, -1))
complex_op("aten::rsub")(lambda node, args, _: _sum([args[1], args[0], *args[2:]], -1))
complex_op("aten::mul", "aten::multiply")(_two(pairs.multiply_complex))
complex_op("aten::div", "aten::divide", "aten::true_divide")(_two(pairs.divide_complex))
complex_op("aten::abs", "aten::absolute")(one(pairs.magnitude))
complex_op("aten::angle")(one(pairs.phase))
complex_op("aten::real")(one(lambda value: emit.tensor(pairs.parts(value).real)))
complex_op("aten::conj", "aten::conj_physical")(one(pairs.conjugate))
complex_op("aten::resolve_conj", "aten::resolve_neg", "aten::alias", "aten::positive")(one(pairs.parts))
complex_op("aten::neg")(one(pairs.negative_complex))


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
    return pairs.conjugate(by_parts(node, args, real_handler))


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


@complex_op("aten::to", "aten::type_as")
def _to(node: Node, args: Sequence[Any], _: RealHandler) -> Any:
    """A cast to a real dtype drops the imaginary part, as PyTorch warns; to bool it asks for any that is not zero."""
    dtype = node.outputs[0].dtype
    if dtype is None or dtype.is_complex:
        if dtype == torch.complex128:
            emit.held_dtype(torch.float64)
        elif dtype == torch.complex32:
            raise DtypeError("complex values of torch.complex32", hint="use complex64")
        return pairs.parts(args[0])
    if dtype == torch.bool:
        return functions.is_nonzero(args[0])
    return emit.convert(emit.tensor(pairs.parts(args[0]).real), dtype)


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
