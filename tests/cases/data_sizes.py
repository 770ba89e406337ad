"""Sizes that depend on values: what was traced for one input must not hold for others."""

import torch

from tests.harness import Case, rand

_NO_NON_ZERO = "TensorRT for RTX has no kernel for the non-zero layer"
_X = torch.tensor([[0.5, -1.0], [2.0, 0.0], [-3.0, 1.0], [-1.0, -2.0]])


def _masked(x):
    y = x[x > 0]
    return y / y.shape[0], y.new_ones(y.numel(), 2), y.view(-1, 1).expand(y.size(0), 3), y * y.size(0)


def _nonzero(x):
    places = x.relu().nonzero()
    rows = places[:, 0]
    return (
        torch.zeros(rows.size(0), 2).scatter(1, places % 2, 1.0),
        places.reshape(places.size(0) * 2),
        torch.where(x > 1),
    )


def _unique(x):
    values, counts = x.unique(return_counts=True)
    return torch.arange(values.size(0)), counts.float().unsqueeze(0).expand(2, counts.size(0))


def _merged(x):
    result = torch.zeros_like(x)
    places = torch.where(x[:, 0] > 0)[0]
    result[places] = x[places] * places.size(0)
    return result, result.size(0) * 2 + result


CASES = [
    Case("masked", _masked, rand(9), others=[rand(9), rand(9, low=0.1), torch.full((9,), -1.0)], unbuilt=_NO_NON_ZERO),
    Case("nonzero", _nonzero, rand(3, 2), others=[rand(3, 2), rand(3, 2, low=0.1)], unbuilt=_NO_NON_ZERO),
    Case(
        "unique",
        _unique,
        rand(8, low=0, high=4).floor(),
        others=[rand(8, low=0, high=9).floor(), torch.ones(8)],
        unbuilt=_NO_NON_ZERO,
    ),
    Case("merged", _merged, _X, others=[rand(4, 2), rand(4, 2, low=0.1)], unbuilt=_NO_NON_ZERO),
]
