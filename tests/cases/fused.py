"""What rewrites put in place of several nodes, called by name."""

import math

import torch

import torch2trt.operators  # noqa: F401  (registers them)
from tests.harness import Case, rand

_ops = torch.ops.torch2trt
_DEAD = torch.zeros(4, 5).index_fill(0, torch.tensor([1]), -math.inf)


def _qkv(batch=2, queries=4, keys=5, **options):
    return tuple(rand(batch, 3, length, 8, **options) for length in (queries, keys, keys))


def _attention(q, k, v, mask=None):
    return _ops.attention(q, k, v, mask, 0.3)


_DYNAMIC = {name: {0: (1, 2, 4), 2: (1, size, 9)} for name, size in (("q", 4), ("k", 5), ("v", 5))}

CASES = [
    Case("attention", _attention, _qkv()),
    Case("attention-no-scale", _ops.attention, _qkv(), rtol=1e-4),
    Case("attention-mask", _attention, (*_qkv(), rand(4, 5))),
    Case("attention-no-key", lambda q, k, v: _ops.attention(q, k, v, _DEAD, 1.0).nan_to_num(7.0), _qkv(), rtol=1e-4),
    Case("attention-half", _attention, _qkv(dtype=torch.float16), rtol=5e-3, atol=5e-3),
    Case(
        "attention-dynamic",
        _attention,
        dict(zip("qkv", _qkv(), strict=True)),
        dynamic=_DYNAMIC,
        others=[dict(zip("qkv", _qkv(*sizes), strict=True)) for sizes in ((1, 7, 3), (4, 2, 9))],
    ),
    Case("rearrange", lambda x: _ops.rearrange(x, [1, 0], [2, 2, 3], [2, 0, 1]), rand(3, 4)),
    Case("rearrange-integers", lambda x: _ops.rearrange(x, [0, 1], [-1, 2], [1, 0]), rand(3, 4, dtype=torch.int32)),
    Case("rearrange-bytes", lambda x: _ops.rearrange(x, [1, 0], [6, 2], [1, 0]), rand(3, 4, low=0).to(torch.uint8)),
    Case("rearrange-empty", lambda x: _ops.rearrange(x, [1, 0], [2, 2, 0], [2, 1, 0]), rand(0, 4) + 1),
    Case(
        "rearrange-dynamic",
        lambda x: _ops.rearrange(x, [1, 0], [2, 2, -1], [2, 0, 1]),
        {"x": rand(3, 4)},
        dynamic={"x": {0: (1, 3, 9)}},
        others=[{"x": rand(1, 4)}, {"x": rand(9, 4)}],
    ),
]
