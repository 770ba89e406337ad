"""Factorisations of matrices, and what is computed from singular values."""

import torch

from tests.harness import Case, rand

_linalg, _aten = torch.linalg, torch.ops.aten


def _regular(*shape):
    return rand(*shape) + 3 * torch.eye(shape[-1]).roll(1, 0)


def _definite(*shape):
    value = rand(*shape)
    return value @ value.mT + 0.5 * torch.eye(shape[-1])


def _deficient(rows, columns, rank):
    return rand(rows, rank) @ rand(rank, columns)


def _square(value):
    return value @ value.mT


_SHAPES = ((4, 4), (6, 3), (3, 5), (9, 9), (12, 8))
# One size is unrolled, the other a loop.
_SIZES = (4, 9)


def _indefinite(size):
    """Five symmetric matrices; some need pivots of two columns."""
    value = rand(5, size, size)
    return value + value.mT


def _factors(size):
    return tuple(torch.linalg.ldl_factor(_indefinite(size)))


def _of_repeated_eigenvalues(size):
    """A symmetric matrix, each of whose eigenvalues comes twice."""
    turned, _ = torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(size)))
    matrix = (turned * (torch.arange(size) // 2 + 1.0)) @ turned.mT
    return (matrix + matrix.mT) / 2


CASES = [
    *(
        Case(
            f"cholesky-{size}",
            lambda x: (_linalg.cholesky(x), _linalg.cholesky(x, upper=True), torch.cholesky(x[0])),
            _definite(2, size, size),
            rtol=1e-4,
        )
        for size in _SIZES
    ),
    Case("cholesky-empty", lambda x: _linalg.cholesky(x) + 1, rand(2, 0, 0)),
    Case("cholesky_ex", lambda x: tuple(_linalg.cholesky_ex(x)), _definite(2, 3, 3), rtol=1e-4),
    Case("cholesky_ex-fails", lambda x: _linalg.cholesky_ex(x).info, torch.diag(torch.tensor([2.0, 1.0, -1.0, 3.0]))),
    Case(
        "cholesky_solve",
        lambda b, x: (torch.cholesky_solve(b, x.tril()), torch.cholesky_solve(b, x.triu(), upper=True)),
        (rand(2, 4, 3), rand(2, 4, 4) + 4 * torch.eye(4)),
        rtol=1e-4,
    ),
    Case("cholesky_inverse", lambda x: torch.cholesky_inverse(x.tril()), rand(4, 4) + 4 * torch.eye(4), rtol=1e-4),
    *(
        Case(
            f"lu-{rows}x{columns}",
            lambda x: (tuple(_linalg.lu(x)), tuple(_linalg.lu_factor(x)), tuple(_linalg.lu_factor_ex(x))),
            rand(2, rows, columns),
            rtol=1e-4,
        )
        for rows, columns in _SHAPES
    ),
    Case("lu_with_info", lambda x: tuple(_aten._lu_with_info(x)), rand(4, 4), rtol=1e-4),
    Case("lu-zero-pivot", lambda x: tuple(_linalg.lu_factor_ex(x)), torch.tensor([[1.0, 2.0], [2.0, 4.0]])),
    Case("lu_unpack", lambda x, p: torch.lu_unpack(x, p), tuple(_linalg.lu_factor(rand(2, 5, 3)))),
    Case(
        "lu_unpack-data",
        lambda x, p: torch.lu_unpack(x, p, unpack_pivots=False)[1:],
        tuple(_linalg.lu_factor(rand(4, 4))),
    ),
    Case(
        "lu_unpack-pivots",
        lambda x, p: torch.lu_unpack(x, p, unpack_data=False)[0],
        tuple(_linalg.lu_factor(rand(4, 4))),
    ),
    *(
        Case(
            f"lu_solve-{size}",
            lambda x, p, b: (
                _linalg.lu_solve(x, p, b),
                _linalg.lu_solve(x, p, b.mT, left=False),
                _linalg.lu_solve(x, p, b, adjoint=True),
                torch.lu_solve(b, x, p),
            ),
            (*_linalg.lu_factor(_regular(2, size, size)), rand(2, size, 3)),
            rtol=1e-4,
        )
        for size in _SIZES
    ),
    *(
        Case(
            f"qr-{rows}x{columns}",
            lambda x: (
                tuple(_linalg.qr(x)),
                tuple(_linalg.qr(x, "complete")),
                _linalg.qr(x, "r").R,
                tuple(torch.qr(x[0], some=False)),
                tuple(torch.geqrf(x)),
            ),
            rand(2, rows, columns),
            rtol=1e-4,
        )
        for rows, columns in _SHAPES
    ),
    Case("qr-triangular", lambda x: tuple(_linalg.qr(x)), rand(4, 4).triu(), rtol=1e-4),
    Case(
        "householder_product",
        lambda x, t: (_linalg.householder_product(x, t), torch.orgqr(x, t)),
        tuple(torch.geqrf(rand(2, 5, 3))),
        rtol=1e-4,
    ),
    Case(
        "ormqr",
        lambda x, t, c: (
            torch.ormqr(x, t, c),
            torch.ormqr(x, t, c, transpose=True),
            torch.ormqr(x, t, c.mT, left=False),
            torch.ormqr(x, t, c.mT, left=False, transpose=True),
        ),
        (*torch.geqrf(rand(5, 3)), rand(5, 4)),
        rtol=1e-4,
    ),
    *(
        Case(
            f"eigvalsh-{size}",
            lambda x: (_linalg.eigvalsh(x), _linalg.eigvalsh(x[0], "U")),
            rand(2, size, size),
            rtol=1e-4,
        )
        for size in (1, 2, 5, 16)
    ),
    *(
        Case(
            f"eigenvalues-repeated-{size}",
            lambda x: (_linalg.eigvalsh(x), _linalg.svdvals(x)),
            _of_repeated_eigenvalues(size),
            rtol=2e-5,
        )
        for size in (4, 10, 24)
    ),
    *(
        Case(f"svdvals-{rows}x{columns}", _linalg.svdvals, rand(2, rows, columns), rtol=1e-4)
        for rows, columns in (*_SHAPES, (1, 4), (40, 33))
    ),
    Case("svdvals-deficient", _linalg.svdvals, _deficient(6, 5, 2), rtol=1e-4),
    Case(
        "matrix_rank",
        lambda x: (_linalg.matrix_rank(x), _linalg.matrix_rank(x, atol=3.0), _linalg.matrix_rank(x, rtol=0.5)),
        torch.stack([_deficient(6, 5, rank) for rank in (1, 3, 5)]),
    ),
    Case("matrix_rank-hermitian", lambda x: _linalg.matrix_rank(x, hermitian=True), _square(_deficient(6, 5, 2))),
    Case(
        "matrix_rank-tol",
        lambda x, t: (_linalg.matrix_rank(x, t), _linalg.matrix_rank(x, 1.5)),
        (rand(2, 4, 3), rand(2, low=0.5)),
    ),
    *(
        Case(
            f"pinv-{rows}x{columns}",
            lambda x: (_linalg.pinv(x), torch.pinverse(x[0])),
            rand(2, rows, columns),
            rtol=1e-4,
        )
        for rows, columns in _SHAPES
    ),
    Case(
        "pinv-cut",
        lambda x: (_linalg.pinv(x, rtol=0.4), _linalg.pinv(x, atol=1.0), _linalg.pinv(x, 0.3)),
        rand(5, 4),
        rtol=1e-4,
    ),
    Case(
        "pinv-tolerances",
        lambda x, t: (_linalg.pinv(x, atol=t), _linalg.pinv(x, rtol=t), _linalg.pinv(x, atol=t, rtol=t)),
        (rand(2, 5, 4), torch.tensor([0.0, 0.4])),
        rtol=1e-4,
    ),
    Case("pinv-rcond", lambda x, t: _linalg.pinv(x, t), (rand(2, 5, 4), torch.tensor([0.0, 0.4])), rtol=1e-4),
    Case("pinv-hermitian", lambda x: _linalg.pinv(x + x.mT, hermitian=True), rand(4, 4), rtol=1e-3),
    Case("pinv-empty", lambda x: _linalg.pinv(x), rand(2, 0, 3)),
    *(
        Case(
            f"lstsq-{driver}",
            lambda a, b, d=driver: tuple(_linalg.lstsq(a, b, driver=d)),
            (rand(2, 6, 3), rand(2, 6, 2)),
            rtol=1e-4,
        )
        for driver in ("gels", "gelss", "gelsd")
    ),
    Case("lstsq-wide", lambda a, b: tuple(_linalg.lstsq(a, b, driver="gelsd")), (rand(3, 6), rand(3, 2)), rtol=1e-4),
    Case("cond", lambda x: (_linalg.cond(x), _linalg.cond(x, 2), _linalg.cond(x, -2)), _regular(2, 4, 4), rtol=1e-4),
    Case("cond-empty", lambda x: _linalg.cond(x) + 1, rand(2, 0, 0)),
    Case(
        "dynamic",
        lambda x: (_linalg.qr(x).R, _linalg.svdvals(x), tuple(_linalg.lu_factor(x))),
        {"x": rand(2, 4, 3)},
        dynamic={"x": {0: (1, 2, 8)}},
        others=[{"x": rand(1, 4, 3)}, {"x": rand(7, 4, 3)}],
        rtol=1e-4,
    ),
    Case("svd-values", lambda x: (torch.linalg.svd(x).S, torch.svd(x, some=False)[1] * 2), rand(2, 3, 4), rtol=1e-4),
    Case("svd-values-norm", lambda x: torch.linalg.svd(x, full_matrices=False)[1].sum(-1), rand(5, 3), rtol=1e-4),
    Case("eigh-values", lambda x: torch.linalg.eigh(x + x.mT, UPLO="U").eigenvalues, rand(2, 4, 4), rtol=1e-4),
    *(
        Case(
            f"ldl-{size}",
            lambda x: (*torch.linalg.ldl_factor_ex(x), *torch.linalg.ldl_factor(x * 2)),
            _indefinite(size),
            rtol=1e-4,
        )
        for size in (1, 3, 9)
    ),
    Case("ldl-zeros", lambda x: torch.linalg.ldl_factor_ex(x * torch.tensor([[0.0, 0], [0, 1]])), _indefinite(2)),
    Case("ldl-exchange", torch.linalg.ldl_factor_ex, torch.eye(4).flip(0)),
    Case("ldl-empty", lambda x: torch.linalg.ldl_factor_ex(x).LD + 1, rand(2, 0, 0)),
    Case(
        "ldl_solve",
        lambda x, b: [torch.linalg.ldl_solve(*torch.linalg.ldl_factor(part), b) for part in (x, x[0])],
        (_indefinite(7), rand(5, 7, 2)),
        rtol=1e-3,
    ),
    Case("ldl_solve-few", lambda f, p, b: torch.linalg.ldl_solve(f, p, b), (*_factors(2), rand(2, 4)), rtol=1e-4),
    Case("ldl_solve-none", lambda f, p, b: torch.linalg.ldl_solve(f, p, b) + 1, (*_factors(3), rand(3, 0))),
    Case(
        "ldl-dynamic",
        lambda x: torch.linalg.ldl_factor(x),
        {"x": _indefinite(3)},
        {"x": {0: (1, 5, 8)}},
        [{"x": _indefinite(3)[:2]}, {"x": _indefinite(3)[1:]}],
        rtol=1e-4,
    ),
]
