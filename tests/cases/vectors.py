"""Singular and eigenvectors: by what does not depend on their signs."""

import torch

from tests.harness import Case

_linalg, _aten = torch.linalg, torch.ops.aten
_GENERATOR = torch.Generator().manual_seed(0)
_OPTIONS = {"allow_other_signs": True}


def _rand(*shape):
    return torch.randn(shape, generator=_GENERATOR)


def _of_svd(left, values, right):
    """The product, whether the vectors are orthonormal, and the vectors of the values up to their signs."""
    count = values.shape[-1]
    own, others = left[..., :count], right[..., :count, :]
    return (own * values.unsqueeze(-2)) @ others, values, left.mT @ left, right @ right.mT, own.abs(), others.abs()


def _of_eigh(values, vectors):
    return (vectors * values.unsqueeze(-2)) @ vectors.mT, values, vectors.mT @ vectors, vectors.abs()


def _rotation(first, second):
    """Kabsch's: that turns one set of points into another."""
    left, _, right = _linalg.svd(first.mT @ second)
    mirrored = torch.linalg.det(left @ right).sign()
    last = torch.stack([torch.ones_like(mirrored), torch.ones_like(mirrored), mirrored], -1)
    return (left * last.unsqueeze(-2)) @ right


_OF_EQUAL_VALUES = {
    "deficient": _rand(6, 2) @ _rand(2, 4),
    "zero": torch.stack([torch.zeros(3, 2), _rand(3, 2)]),
    "equal": 2 * torch.eye(4),
}

CASES = [
    *(
        Case(
            f"svd-{rows}x{columns}-{'full' if full else 'reduced'}",
            lambda x, full=full: _of_svd(*_linalg.svd(x, full_matrices=full)),
            _rand(2, rows, columns),
            rtol=2e-5,
            atol=2e-5,
            options=_OPTIONS,
        )
        for rows, columns in ((3, 3), (6, 3), (3, 5), (1, 4), (4, 1), (12, 9))
        for full in (False, True)
    ),
    *(
        Case(
            f"svd-{name}",
            lambda x: _of_svd(*_linalg.svd(x))[:4],
            value,
            rtol=2e-5,
            atol=2e-5,
            options=_OPTIONS,
        )
        for name, value in _OF_EQUAL_VALUES.items()
    ),
    Case(
        "svd-old",
        lambda x: (*(abs(part) for part in torch.svd(x)), *torch.svd(x, some=False, compute_uv=False)),
        _rand(4, 3),
        rtol=2e-5,
        atol=2e-5,
        options=_OPTIONS,
    ),
    Case(
        "svd-inner",
        lambda x: (*_of_svd(*_aten._linalg_svd(x, True)), *_aten._linalg_svd(x, False, False)),
        _rand(4, 3),
        rtol=2e-5,
        atol=2e-5,
        options=_OPTIONS,
    ),
    Case("svd-empty", lambda x: tuple(_linalg.svd(x)), torch.zeros(2, 0, 3), options=_OPTIONS),
    *(
        Case(
            f"eigh-{size}",
            lambda x: (*_of_eigh(*_linalg.eigh(x)), *_of_eigh(*_linalg.eigh(x, UPLO="U"))),
            _rand(2, size, size),
            rtol=3e-5,
            atol=3e-5,
            options=_OPTIONS,
        )
        for size in (1, 2, 3, 5, 12)
    ),
    Case(
        "eigh-opposite",
        lambda x: _of_eigh(*_linalg.eigh(x)),
        torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]]),
        options=_OPTIONS,
    ),
    Case(
        "eigh-equal",
        lambda x: _of_eigh(*_linalg.eigh(x))[:3],
        torch.diag_embed(torch.tensor([[2.0, 2.0, -1.0], [0.0, 0.0, 0.0]])),
        options=_OPTIONS,
    ),
    Case(
        "eigh-inner",
        lambda x: (*_of_eigh(*_aten._linalg_eigh(x)), *_aten._linalg_eigh(x, "U", False)),
        _rand(4, 4),
        rtol=2e-5,
        atol=2e-5,
        options=_OPTIONS,
    ),
    Case("kabsch", _rotation, (_rand(4, 10, 3), _rand(4, 10, 3)), rtol=2e-5, atol=2e-5, options=_OPTIONS),
    Case(
        "dynamic",
        lambda x: (*_of_svd(*_linalg.svd(x)), *_of_eigh(*_linalg.eigh(x @ x.mT))[:3]),
        {"x": _rand(2, 4, 3)},
        dynamic={"x": {0: (1, 2, 8)}},
        others=[{"x": _rand(1, 4, 3)}, {"x": _rand(7, 4, 3)}],
        rtol=5e-5,
        atol=5e-5,
        options=_OPTIONS,
    ),
]
