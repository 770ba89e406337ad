"""Half precision for a module written in float32: which maths is cast, and what stays float32.

``precision="float16"`` (or ``"bfloat16"``) is decided node by node during the walk:

- products (convolution, linear, matmul, attention, recurrent) and embeddings compute in half, but for products of few
  terms: rotary embeddings multiply positions by frequencies, and coordinates by rotations;
- functions that overflow or lose digits there (powers, exponentials, sums, means, norms by hand, cumulative sums,
  losses), Fourier transforms, factorisations and whatever takes complex values stay float32, and so does whatever
  module scope the caller lists;
- everything else follows its inputs: half if all are half, float32 if one is. A cast of the module's to the dtype that
  its tensors have anyway counts for nothing: list the scope to keep it float32.

Handlers of softmax and of the normalisation layers take half in and out and compute in float32 inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from . import structure, trt_compat
from .arguments import pattern_of
from .emit.dims import static_shape
from .emit.dtypes import Tensor, cast
from .emit.tf32 import FEW_TERMS
from .errors import InputError
from .graph import Node, aten_kinds
from .narrow import Narrow
from .pairs import Complex, involves_complex
from .weights import derive

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


PRODUCTS = aten_kinds("""
    _convolution _convolution_mode convolution conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    linear matmul mm bmm addmm addbmm baddbmm mv einsum bilinear embedding prelu
    tensordot inner scaled_dot_product_attention _native_multi_head_attention _transformer_encoder_layer_fwd
    lstm gru rnn_tanh rnn_relu
    _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu _flash_attention_forward
    _scaled_dot_product_efficient_attention _efficient_attention_forward _scaled_dot_product_cudnn_attention
    cudnn_convolution cudnn_convolution_transpose cudnn_convolution_relu cudnn_convolution_add_relu
    _conv_depthwise2d conv_depthwise3d _cudnn_rnn
""") | {"torch2trt::attention"}

_FIRST_FACTOR = dict.fromkeys(aten_kinds("linear matmul mm bmm mv inner"), 0) | dict.fromkeys(
    aten_kinds("addmm addbmm baddbmm"), 1
)
"""Which argument's last axis a matrix product sums over."""

MASKS = {
    "aten::scaled_dot_product_attention": 3,
    "aten::_scaled_dot_product_efficient_attention": 3,
    "aten::_scaled_dot_product_cudnn_attention": 3,
    "aten::_scaled_dot_product_flash_attention_for_cpu": 5,
    "aten::_efficient_attention_forward": 3,
    "torch2trt::attention": 3,
}
"""Which argument is added to scores that are float32 anyway; in half, a very low number would be minus infinity."""

FLOAT32 = aten_kinds("""
    pow float_power square exp exp2 expm1 log log2 log10 log1p rsqrt reciprocal cosh sinh tan acos asin acosh atanh
    sinc i0 erfinv lgamma digamma polygamma igamma igammac mvlgamma logit xlogy logaddexp logaddexp2 logsumexp
    sum nansum mean nanmean var std var_mean std_mean prod norm nuclear_norm frobenius_norm trapz cumulative_trapezoid
    cumsum cumprod logcumsumexp cov corrcoef dist cdist pdist _cdist_forward _pdist_forward pairwise_distance renorm
    cosine_similarity vander kl_div binary_cross_entropy binary_cross_entropy_with_logits nll_loss_nd nll_loss2d
    nll_loss_forward nll_loss2d_forward multilabel_margin_loss_forward
    cholesky cholesky_inverse cholesky_solve geqrf logdet slogdet lu_solve lu_unpack _lu_with_info ormqr pinverse qr
    svd triangular_solve complex polar view_as_complex stft istft arange affine_grid_generator
    cudnn_affine_grid_generator grid_sampler grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback
    cudnn_grid_sampler
""")

_FLOAT32_FAMILIES = ("aten::fft_", "aten::linalg_", "aten::special_")
"""How the names begin of more of them; those of losses end alike."""


@dataclass(frozen=True)
class Precision:
    """The choice for one conversion.

    Args:
        dtype: what the maths is cast to.
        keep: a pattern of the ``regex`` package over module scopes that stay float32; None for none.
    """

    dtype: torch.dtype
    keep: Any = None

    def arguments(self, node: Node, args: Sequence[Any]) -> list[Any]:
        """The node's arguments, its floating point tensors cast to one dtype."""
        target, mask = self._target(node, args), MASKS.get(node.kind)
        return [
            argument if index == mask and target == self.dtype else _cast_all(argument, target)
            for index, argument in enumerate(args)
        ]

    def known_arguments(self, node: Node, args: Sequence[Any]) -> list[Any]:
        """The arguments of a node of which all are known, its floating point tensors in float32 if those differ."""
        dtypes = {leaf.dtype for leaf in structure.flatten(list(args))[0] if isinstance(leaf, torch.Tensor)}
        mixed = len(dtypes.intersection(_CASTABLE)) > 1
        return [_cast_all(argument, torch.float32) if mixed else argument for argument in args]

    def _target(self, node: Node, args: Sequence[Any]) -> torch.dtype:
        if _stays_float32(node, args) or (self.keep is not None and self.keep.match(node.scope)):
            return torch.float32
        if node.kind in PRODUCTS and not _has_few_terms(node, args):
            return self.dtype
        leaves = structure.flatten(list(args))[0]
        dtypes = {trt_compat.to_torch_dtype(leaf.dtype) for leaf in leaves if trt_compat.is_tensor(leaf)}
        return torch.float32 if torch.float32 in dtypes or self.dtype not in dtypes else self.dtype


def _stays_float32(node: Node, args: Sequence[Any]) -> bool:
    family = node.kind.startswith(_FLOAT32_FAMILIES) or node.kind.endswith("_loss")
    return node.kind in FLOAT32 or family or involves_complex(args)


def _has_few_terms(node: Node, args: Sequence[Any]) -> bool:
    """Whether a matrix product sums so little that it gains nothing by half precision."""
    if node.kind == "aten::einsum":
        return _summed(args[0], args[1]) <= FEW_TERMS
    if node.kind == "aten::tensordot":
        sizes = [static_shape(args[0])[axis] for axis in args[2]]
        return -1 not in sizes and math.prod(sizes) <= FEW_TERMS
    if node.kind not in _FIRST_FACTOR:
        return False
    shape, most = static_shape(args[_FIRST_FACTOR[node.kind]]), 1 if node.kind == "aten::linear" else FEW_TERMS
    return bool(shape) and 1 <= shape[-1] <= most


def _summed(equation: str, operands: Sequence[Any]) -> float:
    """How many terms an einsum sums; infinity for a number that is not known."""
    inputs, _, output = equation.replace(" ", "").replace("...", ".").partition("->")
    sizes: dict[str, int] = {}
    for labels, operand in zip(inputs.split(","), operands, strict=True):
        before, _, after = labels.partition(".")
        shape = static_shape(operand)
        sizes |= dict(zip(before, shape, strict=False)) | dict(zip(after[::-1], shape[::-1], strict=False))
    summed = [size for label, size in sizes.items() if label not in output]
    return math.inf if not output or min(summed, default=1) < 1 else math.prod(summed)


_CASTABLE = (torch.float32, torch.float16, torch.bfloat16)


def _cast_all(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, (Complex, Narrow)):
        return value  # integers; and float32, as there is no complex type of half precision that ops take
    if isinstance(value, (list, tuple)):
        return type(value)(_cast_all(item, dtype) for item in value)
    if isinstance(value, torch.Tensor):
        return _cast_known(value, dtype) if value.dtype in _CASTABLE else value
    if isinstance(value, float) and dtype != torch.float32:
        return _within(value, dtype)
    if trt_compat.is_tensor(value) and trt_compat.to_torch_dtype(value.dtype) in _CASTABLE:
        return cast(value, dtype)
    return value


def _cast_known(value: torch.Tensor, dtype: torch.dtype) -> Tensor:
    """A known tensor in ``dtype``; what is finite stays so, as a module in ``dtype`` would have been written.

    Scores under a mask are filled with the lowest float32: as infinity that gives NaN where no key counts.
    """
    if value.dtype.itemsize <= dtype.itemsize or not value.numel():
        return cast(value, dtype)
    if not value.dim():
        return derive(_scalar_within, value, dtype)
    lowest, highest = value.aminmax()
    fits = bool(-_most(dtype) <= lowest) and bool(highest <= _most(dtype))
    return cast(value, dtype) if fits else derive(_saturated, value, dtype)


def _saturated(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    limit = _most(dtype)
    return torch.where(value.isinf(), value, value.clamp(-limit, limit)).to(dtype)


def _within(number: float, dtype: torch.dtype) -> float:
    """A number as ``dtype`` holds it: what is finite stays so, and what is added lest zero divides does not vanish."""
    limit, least = _most(dtype), torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    if 0 < abs(number) < least:
        return math.copysign(least, number)
    return max(-limit, min(number, limit)) if math.isfinite(number) else number


def _scalar_within(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return value.new_tensor(_within(float(value), dtype), dtype=dtype)


def _most(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).max


def parse_precision(precision: str | torch.dtype, keep: str | None) -> Precision | None:
    """The choice that the arguments of ``convert`` describe; None for float32, which changes nothing.

    Raises:
        InputError: the precision does not exist, or ``keep`` is no regular expression.
    """
    name = str(precision).removeprefix("torch.")
    if name not in DTYPES:
        raise InputError(f"precision={precision!r} is none of {', '.join(DTYPES)}")
    pattern = pattern_of("keep_float32", keep)
    return None if name == "float32" else Precision(DTYPES[name], pattern)
