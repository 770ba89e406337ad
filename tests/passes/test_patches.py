"""Convolutions of an image: over patches that do not overlap, and over blocks with a stride."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import check_rewrite, layer_types, users_handler


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 8, 4, 4), (2, 3, 8, 12)),
        (nn.Conv2d(3, 8, (2, 3), (2, 3), bias=False), (2, 3, 8, 12)),
        (nn.Conv3d(2, 5, (1, 2, 3), (1, 2, 3)), (2, 2, 3, 4, 6)),
        (nn.Conv1d(3, 8, 5, 5), (2, 3, 20)),
    ],
)
def test_patches(layer, shape):
    converted = check_rewrite("patches_to_linear", layer.eval(), torch.randn(shape), 1)
    assert layer_types(converted)["CONVOLUTION"] == 0


def test_any_batch():
    x = torch.randn(2, 3, 8, 8)
    others = (torch.randn(5, 3, 8, 8), torch.randn(1, 3, 8, 8))
    check_rewrite("patches_to_linear", nn.Conv2d(3, 8, 4, 4), x, 1, dynamic={"input": {0: (1, 2, 6)}}, others=others)


def test_the_transposition_behind_a_patch_embedding_goes():
    conv = nn.Conv2d(3, 8, 4, 4)
    x = torch.randn(2, 3, 8, 12)
    converted = torch2trt.convert(lambda x: conv(x).flatten(2).transpose(1, 2) * 2, x)
    types = layer_types(converted)
    assert types["MATRIX_MULTIPLY"] == 1 and types["SHUFFLE"] == 3  # in two steps to the rows, and one to the result
    torch.testing.assert_close(converted.evaluate(x), conv(x).flatten(2).transpose(1, 2).detach() * 2)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 8, 4, 2),
        nn.Conv2d(3, 8, 4, 4, padding=2),
        nn.Conv2d(3, 8, 2, 2, dilation=2),
        nn.Conv2d(3, 9, 4, 4, groups=3),
        nn.ConvTranspose2d(3, 8, 4, 4),
        nn.Conv2d(3, 8, 1),
        nn.Sequential(nn.Conv2d(3, 5, 1), nn.Conv2d(5, 8, 4, 4)),  # of many channels
        nn.Conv2d(3, 8, 3, 3),  # a rest of 8 is left out
    ],
)
def test_others_stay(layer):
    check_rewrite("patches_to_linear", layer, torch.randn(2, 3, 8, 8), 0)


def test_unknown_sizes_stay():
    sizes = {"input": {2: (8, 16, 24), 3: (8, 16, 24)}}
    x = torch.randn(1, 3, 16, 16)
    check_rewrite("patches_to_linear", nn.Conv2d(3, 8, 4, 4), x, 0, dynamic=sizes, others=(torch.randn(1, 3, 8, 24),))


def test_a_users_handler_keeps_its_node():
    with users_handler("aten::_convolution") as seen:
        torch2trt.convert(nn.Conv2d(3, 8, 4, 4), torch.randn(1, 3, 8, 8))
    assert seen == ["aten::_convolution"]


def test_refit_follows():
    first, second = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(3, 8, 4, 4)
    x = torch.randn(1, 3, 8, 8)
    converted = torch2trt.convert(first, x)
    torch.testing.assert_close(converted.evaluate_with(second.state_dict(), x), second(x).detach())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 8, 7, 2, 3), (2, 3, 16, 20)),
        (nn.Conv2d(3, 8, 7, 2, 3), (2, 3, 17, 19)),
        (nn.Conv2d(3, 8, 11, 4, 2, bias=False), (1, 3, 27, 30)),
        (nn.Conv2d(1, 8, (5, 7), 2), (2, 1, 14, 15)),
        (nn.Conv2d(4, 8, 5, 4), (2, 4, 20, 23)),  # rests of the image that no window reaches
    ],
)
def test_blocks(layer, shape):
    converted = check_rewrite("space_to_depth", layer.eval(), torch.randn(shape), 1)
    layers = [converted.network.get_layer(index) for index in range(converted.network.num_layers)]
    (convolution,) = [layer for layer in layers if layer.type.name == "CONVOLUTION"]
    assert convolution.get_input(0).shape[1] % 8 == 0


def test_blocks_of_any_batch():
    x, others = torch.randn(2, 3, 18, 18), (torch.randn(5, 3, 18, 18), torch.randn(1, 3, 18, 18))
    check_rewrite("space_to_depth", nn.Conv2d(3, 8, 7, 2, 3), x, 1, dynamic={"input": {0: (1, 2, 6)}}, others=others)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 8, 3, 2),  # too small a kernel
        nn.Conv2d(3, 8, 7, 1),
        nn.Conv2d(3, 8, 7, (2, 1)),
        nn.Conv2d(3, 8, 7, 3),  # 27 numbers a block: too many zeros
        nn.Conv2d(3, 8, 5, 2, dilation=2),
        nn.Conv2d(3, 9, 5, 2, groups=3),
        nn.ConvTranspose2d(3, 8, 5, 2),
        nn.Sequential(nn.Conv2d(3, 5, 1), nn.Conv2d(5, 8, 5, 2)),  # of many channels
    ],
)
def test_strides_that_stay(layer):
    check_rewrite("space_to_depth", layer, torch.randn(2, 3, 16, 16), 0)


def test_refit_of_blocks():
    first, second = nn.Conv2d(3, 8, 7, 2, 3), nn.Conv2d(3, 8, 7, 2, 3)
    x = torch.randn(1, 3, 16, 16)
    converted = torch2trt.convert(first, x)
    assert converted.graph.rewrites["space_to_depth"] == 1
    torch.testing.assert_close(converted.evaluate_with(second.state_dict(), x), second(x).detach())
