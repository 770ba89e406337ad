"""Rewrites of the plan: each finds its pattern, changes no result, and can be switched off."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import torch2trt
from torch2trt import errors
from torch2trt.passes.optimize import PASSES


def layer_types(converted):
    return [converted.network.get_layer(index).type.name for index in range(converted.network.num_layers)]


def randomised(module: nn.Module) -> nn.Module:
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.running_mean.uniform_(-1, 1)
            child.running_var.uniform_(0.5, 2)
            if child.affine:
                nn.init.uniform_(child.weight, 0.5, 2)
                nn.init.uniform_(child.bias, -1, 1)
    return module.eval()


CONVOLUTIONS = {
    "plain": (nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)),
    "no bias": (nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)),
    "groups": (nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)),
    "not affine": (nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3), nn.BatchNorm2d(6)),
    "transposed groups": (nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)),
    "3d": (nn.Conv3d(4, 6, 2), nn.BatchNorm3d(6)),
}


@pytest.mark.parametrize("pair", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_fold_batch_norm(pair):
    module = randomised(nn.Sequential(*pair))
    x = torch.randn(2, 4, *[5] * (module[0].weight.dim() - 2))
    folded = torch2trt.convert(module, x)
    plain = torch2trt.convert(module, x, optimize=False)
    assert len(layer_types(folded)) < len(layer_types(plain))
    for converted in (folded, plain):
        torch.testing.assert_close(converted.evaluate(x), module(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_fold_batch_norm_in_half_precision(dtype):
    """As near to float64 as eager is, which rounds between the convolution and the norm."""
    module = randomised(nn.Sequential(nn.Conv2d(32, 16, 3), nn.BatchNorm2d(16))).to(dtype)
    x = torch.randn(2, 32, 9, 9).to(dtype)
    converted = torch2trt.convert(module, x)
    assert "SCALE" not in layer_types(converted)
    with torch.no_grad():
        eager = module(x).double()
        exact = module.double()(x.double())
    error = (converted.evaluate(x).double() - exact).norm()
    assert error <= 1.5 * (eager - exact).norm()


def test_a_fold_that_half_precision_cannot_hold_is_left_out():
    module = randomised(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, eps=1e-12))).half()
    module[1].running_var.fill_(1e-7)
    module[0].weight.detach().mul_(300)
    x = torch.randn(1, 4, 5, 5).half() * 1e-6
    converted = torch2trt.convert(module, x)
    assert "SCALE" in layer_types(converted)
    torch.testing.assert_close(converted.evaluate(x), module(x).detach(), rtol=2e-3, atol=2e-3)


def test_folded_weights_follow_a_new_state_dict():
    first, second = (randomised(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6))) for _ in range(2))
    x = torch.randn(2, 4, 5, 5)
    converted = torch2trt.convert(first, x)
    state = second.state_dict()
    torch.testing.assert_close(converted.evaluate_with(state, x), second(x).detach(), rtol=1e-4, atol=1e-5)


def test_a_convolution_that_is_read_twice_stays():
    conv, norm = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)
    randomised(nn.Sequential(conv, norm))

    def function(x):
        y = conv(x)
        return norm(y) + y

    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(torch2trt.convert(function, x).evaluate(x), function(x).detach())


def test_a_users_handler_sees_its_node():
    from torch2trt import registry

    before = dict(registry._handlers)
    seen = []

    @torch2trt.register_node_handler("aten::batch_norm", override=True)
    def batch_norm(inputs, attributes):
        seen.append(attributes["kind"])
        return [inputs[0]]

    try:
        module = randomised(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)))
        torch2trt.convert(module, torch.randn(2, 4, 5, 5))
    finally:
        registry._handlers.clear()
        registry._handlers.update(before)
    assert seen == ["aten::batch_norm"]


def test_names_of_passes():
    assert "fold_batch_norm" in PASSES
    with pytest.raises(errors.InputError, match="no such pass: faster"):
        torch2trt.convert(lambda x: torch.exp(x), torch.ones(1), optimize=["faster"])


def test_every_pass_is_documented_in_order():
    text = (Path(__file__).parents[2] / "docs" / "rewrites.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(PASSES)


def test_passes_run_in_their_order_and_none_when_switched_off():
    x = torch.randn(2, 3)
    chosen = torch2trt.convert(lambda x: x.contiguous() + x.exp(), x, optimize=["dead_nodes", "no_ops"])
    assert list(chosen.graph.rewrites) == ["no_ops", "dead_nodes"] and chosen.graph.rewrites["no_ops"] == 1
    assert torch2trt.convert(lambda x: x.contiguous() + 1, x, optimize=False).graph.rewrites == {}
