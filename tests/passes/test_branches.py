"""The shorter branch of a sum is computed first: TensorRT for RTX 1.4 gives wrong numbers otherwise."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

import torch2trt
from tests.passes.rewrites import check_rewrite
from tests.passes.test_optimize import randomised


class Branches(nn.Module):
    """A function of three convolutions, of one beside them and of an input, as in a ResNet's bottleneck."""

    def __init__(self, channels, wide, function):
        super().__init__()
        middle = nn.Conv2d(channels, channels, 3, padding=1)
        self.deep = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.ReLU(), middle, nn.ReLU(), nn.Conv2d(channels, wide, 1)
        )
        self.beside = nn.Conv2d(channels, wide, 1)
        self.function = function

    def forward(self, x):
        return self.function(self.deep, self.beside, x)


def convolutions(converted):
    layers = (converted.network.get_layer(index) for index in range(converted.network.num_layers))
    return [layer.name.partition("/")[0] for layer in layers if layer.type.name == "CONVOLUTION"]


def test_the_shorter_branch_comes_first():
    beside = nn.Sequential(nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16))
    module = randomised(Bottleneck(8, 4, downsample=beside))
    expected = ["downsample.0", "conv1", "conv2", "conv3"]
    assert convolutions(torch2trt.convert(module, torch.randn(2, 8, 5, 5))) == expected
    in_half = torch2trt.convert(module.half(), torch.randn(2, 8, 5, 5).half())
    assert convolutions(in_half) == [*expected[1:], expected[0]]


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda deep, beside, x: deep(x) + beside(x), 1),
        (lambda deep, beside, x: beside(x).add(deep(x), alpha=2), 0),  # is first already
        (lambda deep, beside, x: torch.add(other=deep(x), input=beside(x)), 1),
        (lambda deep, beside, x: deep(x) + beside(x) + beside(x), 2),
        (lambda deep, beside, x: torch.sigmoid(deep(x)) + beside(x), 1),
        (lambda deep, beside, x: deep(x) * beside(x), 0),
        (lambda deep, beside, x: deep(x) + beside(deep(x)[:, :4]), 0),  # its input is not there before
        (lambda deep, beside, x: deep(x) + 2 * beside(x[:, :, 1:-1].sigmoid().flip(1)).mean(2, True), 1),
        (lambda deep, beside, x: deep(deep(x)[:, :4]) + deep(x), 1),
        (lambda deep, beside, x: deep(x) + x[:, :1], 0),
        (lambda deep, beside, x: beside(x) + beside(x + 1), 0),  # as long as the other
        (lambda deep, beside, x: deep(x) + 1, 0),
    ],
)
def test_patterns(function, count):
    check_rewrite("short_branches_first", Branches(4, 6, function).eval(), torch.randn(2, 4, 5, 5), count)


@pytest.mark.gpu
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("order", [lambda deep, beside: deep + beside, lambda deep, beside: beside + deep])
def test_runs_without_a_pause(graph, order):
    """The GPU is kept busy, so that all kernels wait for the one before and none for the host."""
    torch.manual_seed(0)
    module = Branches(64, 256, lambda deep, beside, x: torch.relu(order(deep(x), beside(x)))).cuda().eval()
    x = torch.randn(1, 64, 56, 56, device="cuda")
    with torch.no_grad(), torch2trt.build_engine(module, x, cuda_graph=graph) as engine:
        expected = engine(x)
        torch.cuda.synchronize()
        torch.cuda._sleep(40_000_000)
        found = [engine(x).clone() for _ in range(40)]
        for result in found:
            torch.testing.assert_close(result, expected)
