"""Numerical derivatives along axes."""

import torch

from tests.harness import Case, rand

_POINTS = torch.tensor([0.0, 0.5, 1.5, 1.75, 3.0])


CASES = [
    Case(
        "gradient",
        lambda x: (*torch.gradient(x), *torch.gradient(x, dim=1), *torch.gradient(x, dim=(0, -1))),
        rand(4, 5),
    ),
    Case(
        "gradient-spacing",
        lambda x: (
            *torch.gradient(x, spacing=0.5),
            *torch.gradient(x, spacing=2.0, dim=0),
            *torch.gradient(x, spacing=2.0, dim=(0, 1), edge_order=2),
        ),
        rand(4, 5),
    ),
    Case(
        "gradient-points",
        lambda x, p, q: (
            *torch.gradient(x, spacing=(p,), dim=1),
            *torch.gradient(x, spacing=(p,), dim=1, edge_order=2),
            *torch.gradient(x, spacing=(q, p), dim=(0, 1)),
            *torch.gradient(x, spacing=(q, p)),
        ),
        (rand(4, 5), _POINTS, torch.tensor([0.0, 1.0, 4.0, 4.5])),
    ),
    Case("gradient-int", lambda x: torch.gradient(x), rand(4, 5, dtype=torch.int64, low=-9, high=9)),
    Case("gradient-half", lambda x: torch.gradient(x, edge_order=2), rand(4, 5, dtype=torch.float16)),
    Case(
        "gradient-dynamic",
        lambda x: torch.gradient(x),
        {"x": rand(4, 5)},
        dynamic={"x": {0: (2, 4, 16)}},
        others=[{"x": rand(2, 5)}, {"x": rand(9, 5)}],
    ),
]
