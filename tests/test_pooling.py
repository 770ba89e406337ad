"""How many layers the maxima of windows take."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import torch2trt
from tests.passes.rewrites import layer_types

IMAGE = torch.arange(3 * 224 * 224.0).sin().reshape(1, 3, 224, 224)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.adaptive_max_pool2d(x, 2),
        lambda x: torch.ops.aten.max_pool2d_with_indices(x, [13, 13])[0],
        lambda x: F.max_pool2d(x, 3, return_indices=True)[0],
    ],
    ids=["adaptive", "windows", "small windows"],
)
def test_maxima_whose_indices_nothing_reads_are_one_layer(pool):
    assert layer_types(torch2trt.convert(pool, IMAGE)) == {"POOLING": 1}


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.adaptive_max_pool2d(x, 2, return_indices=True),
        lambda x: F.max_pool2d(x, 13, return_indices=True),
        lambda x: F.max_pool2d(x, 13, 1, 6, return_indices=True),
    ],
    ids=["adaptive", "windows", "padded"],
)
def test_indices_of_large_windows_take_a_few_layers_an_axis(pool):
    converted = torch2trt.convert(pool, IMAGE[..., :52, :52])
    assert converted.network.num_layers < 60


def test_indices_that_a_branch_reads_are_computed():
    @torch.jit.script
    def pick(values: torch.Tensor, indices: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        return values if bool(first.sum() > 0) else indices.float()

    def run(x):
        values, indices = F.max_pool2d(x, 2, return_indices=True)
        return pick(values, indices, x[0, 0, 0])

    converted = torch2trt.convert(run, IMAGE[..., :4, :4])
    other = -IMAGE[..., :4, :4]
    torch.testing.assert_close(converted.evaluate(other), run(other))
