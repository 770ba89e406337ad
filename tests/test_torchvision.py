"""Whole models of torchvision: each converts, evaluates to eager's result, and builds an engine, all without a GPU."""

from __future__ import annotations

import pytest
import torch
import torchvision

import torch2trt

# One of each family; the others are slow tests.
FAMILIES = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11_bn",
    "vit_b_16",
    "wide_resnet50_2",
)
OTHERS = tuple(name for name in torchvision.models.list_models(module=torchvision.models) if name not in FAMILIES)


def load(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    options = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    model = torchvision.models.get_model(name, weights=None, **options).eval()
    for parameter in model.parameters():
        if not parameter.any():  # a head of zeros would make every result right
            torch.nn.init.normal_(parameter, std=0.02)
    # Without its weights a vision transformer takes 224 x 224, whatever these were trained at.
    crop = torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    size = 224 if name.startswith("vit") else crop
    return model, torch.randn(1, 3, size, size)


def check(name: str) -> None:
    model, image = load(name)
    with torch.no_grad():
        expected = model(image)
    converted = torch2trt.convert(model, image)
    actual = converted.evaluate(image)
    error = (actual - expected).abs().max() / expected.abs().max()
    assert error <= 1e-4, f"relative error {error:.1e}"
    assert converted.serialize(optimization_level=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other(name: str) -> None:
    check(name)
