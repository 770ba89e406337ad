"""Attention kernels of GPUs and of the CPU, called by name."""

import math

import torch

import tests.gpu_operators  # noqa: F401  (gives the CPU those of GPUs)
from tests.harness import Case, rand

_aten = torch.ops.aten
_G = torch.bfloat16


def _heads(query=(2, 3, 4, 8), key=(2, 3, 5, 8), **options):
    return rand(*query, **options), rand(*key, **options), rand(*key, **options)


def _rows(query=4, key=5, heads=3, groups=3, **options):
    """Of shape (batch, length, heads, features), as half precision: the kernels of GPUs take nothing else."""
    shapes = (2, query, heads, 8), (2, key, groups, 8), (2, key, groups, 8)
    return tuple(rand(*shape, dtype=torch.float16, **options) for shape in shapes)


def _bias(*shape, dtype=torch.float32):
    mask = rand(*shape, dtype=torch.bool)
    mask[..., 0] = True
    return (torch.zeros(shape).masked_fill(~mask, -math.inf) + 0.25 * mask).to(dtype)


def _on_cpu(q, k, v, mask=None, causal=False, scale=None):
    function = _aten._scaled_dot_product_flash_attention_for_cpu
    if q.is_cuda:  # where there is no such kernel
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale=scale)
    return function(q, k, v, 0.0, causal, attn_mask=mask, scale=scale)[0]


def _efficient(**options):
    def run(q, k, v, bias=None):
        return _aten._scaled_dot_product_efficient_attention(q, k, v, bias, False, **options)[0]

    return run


def _flash(causal=False, **options):
    def run(q, k, v):
        return _aten._flash_attention_forward(
            q, k, v, None, None, q.shape[1], k.shape[1], 0.0, causal, False, **options
        )[0]

    return run


@torch.jit.script
def _scripted_flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor):
    found = _aten._scaled_dot_product_flash_attention(q, k, v, 0.0, True)
    other = _aten._scaled_dot_product_flash_attention(q, k, v, scale=0.3)
    return found[0] * found[4], other[0] * other[5]


@torch.jit.script
def _scripted_cudnn(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor):
    found = _aten._scaled_dot_product_cudnn_attention(q, k, v, bias, False, scale=0.3)
    return found[0] * found[5], _aten._scaled_dot_product_cudnn_attention(q, q, q, None, False, 0.0, True)[0]


@torch.jit.script
def _scripted_efficient(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor):
    none = _aten._efficient_attention_forward(q, k, v, None, None, None, None, None, 0.0, 0)
    first = _aten._efficient_attention_forward(q, k, v, bias, None, None, None, None, 0.0, 1, scale=0.3)
    last = _aten._efficient_attention_forward(q, k, v, None, None, None, None, None, 0.0, 2)
    return none[0] * none[4], first[0] * first[5], last[0]


@torch.jit.script
def _flash_rows(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool):
    lengths = q.size(1), k.size(1)  # the tracer makes numbers of them
    return _aten._flash_attention_forward(q, k, v, None, None, lengths[0], lengths[1], 0.0, causal, False)[0]


def _dynamic(name, function, axis, *lengths, dtype=torch.float32):
    def inputs(batch, queries, keys):
        sizes = {"q": queries, "k": keys, "v": keys}
        return {
            key: rand(batch, *((length, 3) if axis == 1 else (3, length)), 8, dtype=dtype)
            for key, length in sizes.items()
        }

    axes = {0: (1, 2, 8), axis: (1, 5, 16)}
    others = [inputs(*sizes) for sizes in lengths[1:]]
    return Case(name, function, inputs(*lengths[0]), dynamic=dict.fromkeys("qkv", axes), others=others)


CASES = [
    Case("cpu", _on_cpu, _heads()),
    Case("cpu-causal", lambda q, k, v: _on_cpu(q, k, v, causal=True), _heads()),
    Case("cpu-mask", lambda q, k, v, m: _on_cpu(q, k, v, m, scale=0.3), (*_heads(), _bias(2, 1, 4, 5))),
    _dynamic("cpu-dynamic", lambda q, k, v: _on_cpu(q, k, v, causal=True), 2, (2, 4, 5), (1, 7, 7), (3, 2, 9)),
    Case("efficient", _efficient(), _heads()),
    Case("efficient-scale", _efficient(scale=0.3), _heads(dtype=torch.float16)),
    Case("efficient-causal", _efficient(is_causal=True), _heads()),
    Case("efficient-causal-long", _efficient(is_causal=True), _heads((2, 3, 8, 8))),
    Case("efficient-bias", _efficient(), (*_heads(key=(2, 3, 8, 8)), _bias(2, 3, 4, 8))),
    Case("efficient-bias-causal", _efficient(is_causal=True), (*_heads(key=(2, 3, 8, 8)), _bias(2, 3, 4, 8))),
    _dynamic("efficient-dynamic", _efficient(is_causal=True), 2, (2, 4, 5), (1, 7, 7), (3, 2, 9)),
    Case("flash", _flash(), _rows()),
    Case("flash-bfloat16", _flash(scale=0.3), tuple(x.to(_G) for x in _rows())),
    Case("flash-causal", _flash(True), _rows()),
    Case("flash-causal-long", _flash(True), _rows(7, 4)),
    Case("flash-grouped", _flash(True), _rows(heads=6, groups=2)),
    Case("flash-window", _flash(window_size_left=1, window_size_right=1), _rows(6, 6)),
    Case("flash-window-causal", _flash(True, window_size_left=2, window_size_right=-1), _rows(6, 7)),
    _dynamic(
        "flash-dynamic",
        lambda q, k, v: _flash_rows(q, k, v, False),
        1,
        (2, 4, 5),
        (1, 7, 7),
        (3, 2, 9),
        dtype=torch.float16,
    ),
    _dynamic(
        "flash-causal-dynamic",
        lambda q, k, v: _flash_rows(q, k, v, True),
        1,
        (2, 4, 5),
        (1, 7, 7),
        (3, 9, 2),
        dtype=torch.float16,
    ),
    Case("flash-scripted", _scripted_flash, _heads(dtype=torch.float16)),
    Case(
        "cudnn-scripted",
        _scripted_cudnn,
        (*_heads((2, 3, 8, 8), (2, 3, 8, 8), dtype=torch.float16), _bias(2, 3, 8, 8, dtype=torch.float16)),
    ),
    Case("efficient-scripted", _scripted_efficient, (*_rows(4, 8), _bias(2, 3, 4, 8, dtype=torch.float16))),
]
