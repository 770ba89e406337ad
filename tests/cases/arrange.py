"""Elements in another order, triangles and diagonals."""

import torch

from tests.harness import Case, rand

_I, _H, _B, _U = torch.int64, torch.float16, torch.bool, torch.uint8
_OFFSETS = (-9, -2, 0, 1, 9)


def _normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _dynamic(name, function):
    return Case(
        name,
        function,
        {"x": rand(3, 4)},
        dynamic={"x": {0: (1, 4, 16)}},
        others=[{"x": rand(1, 4)}, {"x": rand(8, 4)}],
    )


CASES = [
    Case("flip", lambda x: (x.flip(0), x.flip(-1, 0), x.flip([]), x.fliplr(), x.flipud()), rand(2, 3, 4)),
    Case("flip-scalar", lambda x: x.flip(0), rand()),
    Case("flip-empty", lambda x: x.flip(1) + 1, rand(2, 0)),
    Case("flip-uint8", lambda x: x.flip(1), rand(2, 3, dtype=_U, low=0, high=255)),
    Case("flip-bool", lambda x: x.flip(1), rand(2, 3, dtype=_B)),
    _dynamic("flip-dynamic", lambda x: (x.flip(0), x.flip(0, 1))),
    Case("rot90", lambda x: (x.rot90(), x.rot90(2, (0, 2)), x.rot90(-1, (-1, 0)), x.rot90(4)), rand(2, 3, 4)),
    _dynamic("rot90-dynamic", torch.rot90),
    Case("roll", lambda x: (x.roll(2), x.roll(-1, 0), x.roll((1, -5), (0, -1)), x.roll((1, 1), (1, 1))), rand(2, 3, 4)),
    Case("roll-none", lambda x: (x.roll(3, 1), x.roll(0, 0)), rand(2, 3)),
    Case("roll-scalar", lambda x: x.roll(1), rand()),
    Case("roll-empty", lambda x: x.roll(1, 1) + 1, rand(2, 0)),
    Case("roll-int", lambda x: x.roll(1, 0), rand(4, dtype=_I)),
    Case(
        "roll-dynamic-empty",
        lambda x: (x.roll(2, 0), x.roll(1)),
        {"x": rand(2, 3)},
        {"x": {0: (0, 2, 8)}},
        [{"x": rand(0, 3)}, {"x": rand(5, 3)}],
    ),
    _dynamic("roll-dynamic", lambda x: (x.roll(2, 0), x.roll(-1, 0), x.roll((1, 1), (0, 1)), x.roll(5))),
    *(Case(f"tril{offset:+d}", lambda x, k=offset: (x.tril(k), x.triu(k)), rand(2, 3, 4)) for offset in _OFFSETS),
    Case("tril-int", torch.tril, rand(3, 3, dtype=_I)),
    Case("tril-bool", torch.triu, rand(3, 3, dtype=_B)),
    Case("tril-nan", lambda x: torch.tril(torch.log(x)), rand(3, 3)),
    Case(
        "triu-of-dynamic-diagonal",  # a decoder's mask beside a cache
        lambda q, k: (q @ k.mT).triu(k.shape[0] - q.shape[0] + 1) + (q @ k.mT).tril(-q.shape[0]),
        {"q": _normal(3, 4), "k": _normal(5, 4)},
        {"q": {0: (1, 3, 8)}, "k": {0: (1, 5, 9)}},
        [{"q": _normal(2, 4), "k": _normal(9, 4)}, {"q": _normal(8, 4), "k": _normal(3, 4)}],
    ),
    _dynamic("tril-dynamic", lambda x: (x.tril(-1), x.triu(1), x.mT.tril())),
    *(
        Case(
            f"diag_embed{offset:+d}",
            lambda x, k=offset: (x.diag_embed(k), x.diag_embed(k, 0, -2), x.diag_embed(k, -1, 0)),
            rand(2, 3),
        )
        for offset in (-2, 0, 1)
    ),
    _dynamic("diag_embed-dynamic", lambda x: (x.mT.diag_embed(), x.diag_embed(1))),
    Case("diag-vector", lambda x: (x.diag(), x.diag(-1), x.diagflat(2)), rand(3)),
    Case("diag-matrix", lambda x: (x.diag(), x.diag(-1), x.diagflat()), rand(3, 4, dtype=_H)),
    _dynamic("diag-dynamic", lambda x: (x.diag(), x[:, 0].diag())),
]
