"""Linear systems, determinants, inverses and powers."""

import torch

from tests.harness import Case, rand

_linalg, _aten = torch.linalg, torch.ops.aten


def _regular(*shape):
    """Matrices far from singular, whose elimination exchanges rows."""
    size = shape[-1]
    return rand(*shape) + 3 * torch.eye(size).roll(1, 0)


def _triangular(*shape, upper=False):
    value = rand(*shape) + 4 * torch.eye(shape[-1])
    return value.triu() if upper else value.tril()


# One size is unrolled, the other a loop, but for triangular systems.
_SIZES = (4, 9)

CASES = [
    *(
        Case(f"{name}-{size}", function, _regular(2, size, size), rtol=1e-3)
        for size in _SIZES
        for name, function in {
            "det": lambda x: (_linalg.det(x), torch.det(x[0])),
            "slogdet": lambda x: (_linalg.slogdet(x), torch.slogdet(x[1])),
            "inv": lambda x: (_linalg.inv(x), torch.inverse(x[0])),
            "inv_ex": lambda x: tuple(_linalg.inv_ex(x)),
            "matrix_power": lambda x: (_linalg.matrix_power(x, 3), torch.matrix_power(x, -2), x.matrix_power(0)),
            "matrix_exp": lambda x: (torch.matrix_exp(x), _linalg.matrix_exp(0.01 * x), _aten.matrix_exp(x)),
        }.items()
    ),
    Case("det-empty", lambda x: torch.det(x) + 1, rand(2, 0, 0)),
    Case("det-one", torch.det, rand(1, 1)),
    Case("det-singular", torch.det, torch.ones(3, 3)),
    Case("slogdet-singular", lambda x: tuple(torch.slogdet(x)), torch.ones(3, 3)),
    Case(
        "logdet", torch.logdet, torch.stack([_regular(3, 3) @ torch.diag(torch.tensor([s, 1.0, 1.0])) for s in (1, -1)])
    ),
    Case("trace", torch.trace, rand(3, 4)),
    Case("trace-int", torch.trace, rand(4, 3, dtype=torch.int32)),
    Case("trace-empty", lambda x: torch.trace(x) + 1, rand(0, 3)),
    *(
        Case(
            f"solve-{size}",
            lambda a, b: (_linalg.solve(a, b), _linalg.solve(a, b[0].mT, left=False)),
            inputs,
            rtol=1e-4,
        )
        for size in _SIZES
        for inputs in [(_regular(2, size, size), rand(2, size, 3))]
    ),
    Case(
        "solve-vector", lambda a, b: (_linalg.solve(a[0], b[0]), _linalg.solve(a, b)), (_regular(2, 4, 4), rand(2, 4))
    ),
    Case("solve-broadcast", _linalg.solve, (_regular(3, 1, 4, 4), rand(2, 4, 3)), rtol=1e-4),
    Case("solve_ex", lambda a, b: tuple(_linalg.solve_ex(a, b)), (_regular(4, 4), rand(4, 2)), rtol=1e-4),
    Case("tensorinv", lambda x: _linalg.tensorinv(x, 1), _regular(6, 6).reshape(6, 2, 3), rtol=1e-4),
    Case("tensorsolve", _linalg.tensorsolve, (_regular(6, 6).reshape(2, 3, 6), rand(2, 3)), rtol=1e-4),
    Case(
        "tensorsolve-dims",
        lambda a, b: _linalg.tensorsolve(a, b, dims=(0,)),
        (_regular(6, 6).reshape(2, 3, 6).movedim(-1, 0), rand(2, 3)),
        rtol=1e-4,
    ),
    *(
        Case(
            f"solve_triangular-{size}",
            lambda a, b, c: (
                _linalg.solve_triangular(a, b, upper=False),
                _linalg.solve_triangular(c, b, upper=True),
                _linalg.solve_triangular(c, b.mT, upper=True, left=False),
                _linalg.solve_triangular(a, b, upper=False, unitriangular=True),
            ),
            (_triangular(2, size, size) / 4, rand(2, size, 3), _triangular(2, size, size, upper=True)),
            rtol=1e-4,
        )
        for size in _SIZES
    ),
    Case(
        "triangular_solve",
        lambda b, a: (
            tuple(torch.triangular_solve(b, a, upper=False)),
            tuple(torch.triangular_solve(b, a, upper=False, transpose=True, unitriangular=True)),
        ),
        (rand(4, 3), _triangular(4, 4)),
    ),
    Case(
        "power-dynamic",
        lambda x: (_linalg.matrix_power(x, 0), _linalg.matrix_power(x, 3)),
        {"x": rand(2, 3, 3)},
        dynamic={"x": {0: (1, 2, 8), 1: ("rows", 2, 3, 8), 2: "rows"}},
        others=[{"x": rand(1, 5, 5)}, {"x": rand(7, 2, 2)}],
    ),
    Case(
        "dynamic",
        lambda x: (_linalg.inv(x), _linalg.det(x)),
        {"x": _regular(2, 3, 3)},
        dynamic={"x": {0: (1, 2, 8)}},
        others=[{"x": _regular(1, 3, 3)}, {"x": _regular(7, 3, 3)}],
        rtol=1e-4,
    ),
    Case(
        "solve_triangular-loop",
        lambda a, b: (
            _linalg.solve_triangular(a.tril(), b, upper=False),
            _linalg.solve_triangular(a.triu(), b[:, :, :1], upper=True),
            _linalg.inv(a[0]),
        ),
        (
            torch.eye(26) * 4 + torch.linspace(-1, 1, 1352).sin().view(2, 26, 26),
            torch.linspace(-2, 2, 156).view(2, 26, 3),
        ),
        rtol=1e-4,
    ),
]
