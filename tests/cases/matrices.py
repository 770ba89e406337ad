"""Linear systems and factorisations of matrices whose sizes are dynamic."""

import torch

from tests.harness import Case

_linalg = torch.linalg


def _normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def _regular(*shape):
    return _normal(*shape) + 3 * torch.eye(shape[-2], shape[-1])


def _definite(*shape):
    value = _normal(*shape)
    return value @ value.mT + torch.eye(shape[-1])


def _symmetric(*shape):
    value = _normal(*shape)
    return value + value.mT


def _case(name, function, make, oblong=False, **options):
    """Of batches of matrices, square ones unless ``oblong``: then with their rows and columns apart."""
    columns = ("columns", 2, 3, 9) if oblong else "rows"
    sizes = [(2, 5, 3), (1, 9, 4), (3, 2, 7)] if oblong else [(2, 3, 3), (1, 9, 9), (3, 2, 2)]
    dynamic = {"x": {0: ("batch", 1, 2, 4), 1: ("rows", 2, 3, 9), 2: columns}}
    first, *others = ({"x": make(*size)} for size in sizes)
    return Case(name, function, first, dynamic, others, rtol=1e-4, **options)


def _with_vector(matrix):
    """A right side for every matrix of a batch."""
    return matrix.sum(-1) + 1


def _from_eigenvectors(x):
    found = _linalg.eigh(x)
    return (found.eigenvectors * found.eigenvalues.unsqueeze(-2)) @ found.eigenvectors.mT


CASES = [
    _case("inverse", lambda x: (_linalg.inv(x), tuple(_linalg.inv_ex(x))), _regular),
    _case("determinant", lambda x: (_linalg.det(x), tuple(_linalg.slogdet(x)), torch.logdet(x @ x.mT)), _regular),
    _case(
        "solve",
        lambda x: (
            _linalg.solve(x, _with_vector(x)),
            _linalg.solve(x, x[..., :2] + 1),
            _linalg.solve(x, x[:, :1] - 1, left=False),
            tuple(_linalg.solve_ex(x, x + 1)),
        ),
        _regular,
    ),
    _case("solve-broadcast", lambda x: _linalg.solve(x, x[0, :, :2] + 1), _regular),
    _case(
        "triangular",
        lambda x: (
            _linalg.solve_triangular(x.tril(), x[..., :2], upper=False),
            _linalg.solve_triangular(x.triu(), x[:, :1], upper=True, left=False, unitriangular=True),
        ),
        _regular,
    ),
    _case(
        "cholesky",
        lambda x: (_linalg.cholesky(x), tuple(_linalg.cholesky_ex(x, upper=True)), torch.cholesky_inverse(x.tril())),
        _definite,
    ),
    _case("cholesky_solve", lambda x: torch.cholesky_solve(x[..., :1], _linalg.cholesky(x)), _definite),
    _case("lu", lambda x: (tuple(_linalg.lu(x)), tuple(_linalg.lu_factor_ex(x))), _normal, oblong=True),
    _case("lu_solve", lambda x: _linalg.lu_solve(*_linalg.lu_factor(x), x.mT + 1), _regular),
    _case("lu_unpack", lambda x: tuple(torch.lu_unpack(*_linalg.lu_factor(x))), _normal, oblong=True),
    _case("qr", lambda x: (tuple(_linalg.qr(x)), _linalg.qr(x, "r").R), _normal, oblong=True),
    _case("qr-complete", lambda x: tuple(_linalg.qr(x, "complete")), _normal, oblong=True),
    _case("reflections", lambda x: torch.ormqr(*torch.geqrf(x), x + 1), _normal, oblong=True),
    _case("ldl", lambda x: _linalg.ldl_solve(*_linalg.ldl_factor(x), x[..., :2] + 1), _symmetric),
    _case("eigenvalues", lambda x: (_linalg.eigvalsh(x), _linalg.eigvalsh(x[0], "U")), _symmetric),
    _case("singular-values", lambda x: (_linalg.svdvals(x), _linalg.matrix_norm(x, "nuc")), _normal, oblong=True),
    _case("rank", lambda x: (_linalg.matrix_rank(x), _linalg.cond(x)), _normal, oblong=True),
    _case("pinv", lambda x: (_linalg.pinv(x), torch.pinverse(x[0], rcond=1e-5)), _normal, oblong=True),
    _case("pinv-hermitian", lambda x: _linalg.pinv(x, hermitian=True), _symmetric),
    _case("lstsq", lambda x: tuple(_linalg.lstsq(x[0], x[0, :, :2] + 1, driver="gels"))[:2], _normal, oblong=True),
    _case("exponential", lambda x: _linalg.matrix_exp(x / 4), _normal),
    _case("power", lambda x: _linalg.matrix_power(x, -2), _regular),
    _case("complex", lambda x: _linalg.inv(torch.complex(x, x.mT)).imag, _regular),
    _case("complex-factors", lambda x: tuple(part.abs() for part in _linalg.qr(torch.complex(x, x * 2 + 1))), _normal),
    _case(
        "eigenvectors",
        _from_eigenvectors,
        _symmetric,
        options={"allow_other_signs": True},
    ),
]
