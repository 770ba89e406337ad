"""The kernels among which ``scaled_dot_product_attention`` chooses, called by name.

Their first result alone is computed; the others are for a backward pass.
"""

from __future__ import annotations

from typing import Any

from .. import emit
from ..absent import absent
from ..emit import Tensor
from ..errors import UnsupportedArgumentError
from ..registry import op
from .attention import attend, causal_mask


def _rest(count: int) -> list[Any]:
    return [absent("what an attention kernel keeps for a backward pass")] * count


def _dot_product(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, causal: bool, scale: float | None
) -> Any:
    masks = [mask, causal_mask(query, key) if causal else None]
    return attend(query, key, value, masks, scale, True, dropout)[0]


def _window(query: Tensor, key: Tensor, left: int | None, right: int | None) -> list[Tensor | None]:
    """Masks: a query sees ``left`` keys before its own and ``right`` behind it, counted from the last of both.

    None and negative numbers stand for all.
    """
    rows, columns = emit.size_of(query, -2), emit.size_of(key, -2)
    masks: list[Tensor | None] = []
    for reach, sign in ((right, 1), (left, -1)):
        if reach is not None and reach >= 0:
            diagonal = emit.dim_add(emit.dim_sub(columns, rows), sign * reach)
            masks.append(emit.band_mask(rows, columns, diagonal, lower=sign > 0))
    return masks


def _by_head(*values: Tensor) -> list[Any]:
    """From ``(batch, length, heads, features)`` to ``(batch, heads, length, features)``, and back."""
    return [emit.permute(value, [0, 2, 1, 3]) for value in values]


@op("aten::_scaled_dot_product_flash_attention_for_cpu")
def aten_flash_attention_for_cpu(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Any, ...]:
    """``_scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, Tensor value, ...) -> (Tensor, Tensor)``.

    The second result, the logarithm of the sums, is not computed.
    """
    return _dot_product(query, key, value, attn_mask, dropout_p, is_causal, scale), *_rest(1)


@op("aten::_scaled_dot_product_efficient_attention")
def aten_efficient_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None,
    compute_log_sumexp: bool,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> tuple[Any, ...]:
    """``_scaled_dot_product_efficient_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_bias, ...)``.

    The first result alone is computed.
    """
    return _dot_product(query, key, value, attn_bias, dropout_p, is_causal, scale), *_rest(3)


@op("aten::_scaled_dot_product_cudnn_attention")
def aten_cudnn_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_bias: Tensor | None,
    compute_log_sumexp: bool,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    return_debug_mask: bool = False,
    scale: float | None = None,
) -> tuple[Any, ...]:
    """``_scaled_dot_product_cudnn_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_bias, ...)``.

    The first result and the lengths alone are computed. Only scripted code can hold it.
    """
    return _with_lengths(_dot_product(query, key, value, attn_bias, dropout_p, is_causal, scale), query, key)


@op("aten::_scaled_dot_product_flash_attention")
def aten_flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    return_debug_mask: bool = False,
    scale: float | None = None,
) -> tuple[Any, ...]:
    """``_scaled_dot_product_flash_attention(Tensor query, Tensor key, Tensor value, ...) -> (Tensor, ...)``.

    A causal mask ends with the last query at the last key. The first result and the lengths alone are computed. Only
    scripted code can hold it.
    """
    masks = _window(query, key, None, 0 if is_causal else None)
    return _with_lengths(attend(query, key, value, masks, scale, True, dropout_p)[0], query, key)


def _with_lengths(result: Any, query: Tensor, key: Tensor) -> tuple[Any, ...]:
    return result, *_rest(3), emit.size_of(query, -2), emit.size_of(key, -2), *_rest(3)


@op("aten::_flash_attention_forward")
def aten_flash_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    max_q: Any,
    max_k: Any,
    dropout_p: float,
    is_causal: bool,
    return_debug_mask: bool,
    scale: float | None = None,
    window_size_left: int | None = None,
    window_size_right: int | None = None,
) -> tuple[Any, ...]:
    """``_flash_attention_forward(Tensor query, Tensor key, Tensor value, Tensor? cum_seq_q, ...) -> (Tensor, ...)``.

    Of shape (batch, length, heads, features); a causal mask, and windows, end with the last query at the last key. The
    first result alone is computed; sequences one after another (``cum_seq_q``) are refused.
    """
    query, key, value = _by_head(query, key, value)
    masks = _window(query, key, window_size_left, 0 if is_causal else window_size_right)
    result = attend(query, key, value, masks, scale, True, dropout_p)[0]
    return *_by_head(result), *_rest(4)


@op("aten::_efficient_attention_forward")
def aten_efficient_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    max_seqlen_q: Any,
    max_seqlen_k: Any,
    dropout_p: float,
    custom_mask_type: int,
    compute_log_sumexp: bool = False,
    scale: float | None = None,
) -> tuple[Any, ...]:
    """``_efficient_attention_forward(Tensor query, Tensor key, Tensor value, Tensor? bias, ...) -> (Tensor, ...)``.

    Of shape (batch, length, heads, features). The first result and the lengths alone are computed; sequences one after
    another (``cu_seqlens_q``) and windows are refused. Only scripted code can hold it.

    Raises:
        UnsupportedArgumentError: the kind of mask is none that PyTorch has.
    """
    query, key, value = _by_head(query, key, value)
    if custom_mask_type == 0:
        masks = [bias]
    elif custom_mask_type == 1:
        masks = [bias, causal_mask(query, key)]
    elif custom_mask_type == 2:
        masks = [bias, *_window(query, key, None, 0)]
    else:
        raise UnsupportedArgumentError(f"custom_mask_type={custom_mask_type}, which PyTorch does not have")
    result = attend(query, key, value, masks, scale, True, dropout_p)[0]
    return *_by_head(result), *_rest(3), emit.size_of(query, -2), emit.size_of(key, -2)
