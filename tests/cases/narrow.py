"""uint8, int8 and int16 values: arithmetic that wraps, promotion, moves, reductions, inputs and outputs."""

import torch

from tests.harness import Case, rand

_NARROW = (torch.uint8, torch.int8, torch.int16)


def _any(*shape, dtype):
    """Numbers over the whole range, so that arithmetic wraps."""
    info = torch.iinfo(dtype)
    return rand(*shape, dtype=dtype, low=info.min, high=info.max + 1)


def _arithmetic(x, y):
    return x + y, x - y, x * y, -x, x.abs(), ~x, x & y, x | 3, x ^ y, x**2, x << 3, x >> 2, x.clamp(1, 7)


def _divisions(x, y):
    y = y | 1
    return x / y, x // y, torch.div(x, y, rounding_mode="trunc"), x % y, torch.fmod(x, y)


def _comparisons(x, y):
    return x > y, x == y, x < 3, torch.maximum(x, y), torch.where(x > y, x, y), x.masked_fill(x > 2, 1)


def _negative_numbers(x):
    """PyTorch takes -3 for 253 beside uint8, but not where a result is floating point."""
    compared = x < -3, x == -3, x >= -1, torch.where(x > 3, x, -3), x.masked_fill(x > 9, -1)
    divided = x // -3, torch.div(x, -9, rounding_mode="trunc"), x % -3, torch.fmod(x, -3), x / -3
    scalar = x[0, 0] < -3, x[0, 0] < torch.tensor(-3)
    return *compared, *divided, *scalar, x.clamp(-7, 2), torch.maximum(x, torch.tensor(-7)), x & -2, x.sum(-1), x * -2.5


def _promotion(x, y):
    return x + 2.5, x + y.int(), x + y.bool(), x * y.half(), x + y.to(torch.uint8), x + 1, x[0, 0] + y


def _reductions(x):
    return x.sum(), x.prod(), x.amax(0), x.argmax(1), x.max(1).values, x.cumsum(0), x.sum(0, dtype=x.dtype), x.any()


def _moves(x, y):
    joined = torch.cat([x, y]), torch.stack([x, y]), *x.unbind(0), *torch.split(x, 2, 1)
    return x.reshape(4, 3), x.t(), x[1:], x[:, ::2], x.flip(0), x.roll(1), x.repeat(2, 2), x.tril(), *joined


def _written(x, y):
    z = x.clone()
    z[1] = y[0]
    z += 100
    z[z > 3] = 2
    return z.mul_(3), x


def _indexed(x, i):
    return x[i], x.gather(0, i[None].expand(2, 4)), x.index_add(0, i, x[i]), x.sort(dim=1).values, x.size(0) * x


def _casts(x, y):
    return [((x * 100).to(dtype), (y * 7).to(dtype).float(), (x > 0).to(dtype) + 1) for dtype in _NARROW]


def _made(x):
    return [
        (torch.zeros_like(x, dtype=dtype) + x.to(dtype), x.to(dtype) + torch.arange(4, dtype=dtype))
        for dtype in _NARROW
    ]


def _dynamic(x):
    return x + x, x.sum(0), x.reshape(-1), x.float() / 255, x.view(-1, 2, 2)


def _mask(x, m):
    return x[m], x[m == 0]


CASES = [
    *(
        Case(f"{function.__name__[1:]}-{str(dtype)[6:]}", function, (_any(3, 4, dtype=dtype), _any(3, 4, dtype=dtype)))
        for function in (_arithmetic, _divisions, _comparisons, _promotion, _moves, _written)
        for dtype in _NARROW
    ),
    *(Case(f"reductions-{str(dtype)[6:]}", _reductions, _any(3, 4, dtype=dtype)) for dtype in _NARROW),
    *(
        Case(f"indexed-{str(dtype)[6:]}", _indexed, (_any(3, 4, dtype=dtype), torch.tensor([0, 2, 1, 1])))
        for dtype in _NARROW
    ),
    *(Case(f"handed-on-{str(dtype)[6:]}", lambda x: (x, x.clone()), _any(3, dtype=dtype)) for dtype in _NARROW),
    *(
        Case(
            f"dynamic-{str(dtype)[6:]}",
            _dynamic,
            {"x": _any(3, 4, dtype=dtype)},
            dynamic={"x": {0: (1, 3, 8)}},
            others=[{"x": _any(2, 4, dtype=dtype)}, {"x": _any(5, 4, dtype=dtype)}],
        )
        for dtype in _NARROW
    ),
    Case("negative-numbers", _negative_numbers, _any(3, 4, dtype=torch.uint8)),
    Case("casts", _casts, (rand(3, 4), rand(3, 4, dtype=torch.int64, low=-999, high=999))),
    Case("made", _made, rand(3, 4, low=0.0, high=9.0)),
    Case(
        "mask",
        _mask,
        (rand(9), rand(9, dtype=torch.uint8, low=0, high=2)),
        unbuilt="TensorRT for RTX builds no data-dependent sizes",
    ),
    Case("matmul", lambda x, y: x @ y.t(), (_any(3, 4, dtype=torch.int16), _any(3, 4, dtype=torch.int16))),
    Case("waveform", lambda x: x.float() / 32768, _any(2, 9, dtype=torch.int16)),
]
