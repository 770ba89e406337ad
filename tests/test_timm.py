"""Models of timm, one of each of its families: as eager at the traced batch and two others; in float16, and built."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import nn

import torch2trt

timm = pytest.importorskip("timm")


FAST = (
    "efficientvit_b0",
    "fastvit_t8",
    "ghostnet_050",
    "test_mambaout",
    "test_vit_relpos",
    "gcvit_xxtiny",
)
OTHERS = (
    "beit_base_patch16_224",
    "halonet_h1",
    "mobileone_s1",
    "cait_xxs24_224",
    "coat_tiny",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_atto_rms",
    "cpubone_nano",
    "crossvit_tiny_240",
    "csatv2",
    "cs3darknet_focus_s",
    "cspnext_tiny",
    "davit_tiny",
    "deit_tiny_patch16_224",
    "densenet121",
    "dla46x_c",
    "dpn48b",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "mnasnet_small",
    "efficientvim_m1",
    "efficientvit_m0",
    "eva02_tiny_patch14_224",
    "fasternet_t0",
    "focalnet_tiny_srf",
    "hardcorenas_b",
    "hgnetv2_b0",
    "hiera_tiny_224",
    "hieradet_small",
    "hrnet_w18_small",
    "iformer_t",
    "inception_next_atto",
    "inception_resnet_v2",
    "inception_v3",
    "inception_v4",
    "lcnetv2_small",
    "levit_128s",
    "lowformer_b0",
    "maxvit_tiny_rw_224",
    "poolformerv2_s12",
    "gmlp_ti16_224",
    "mobilenetv3_small_050",
    "mobilenetv5_base",
    "mobilevit_xxs",
    "mvitv2_tiny",
    "naflexvit_base_patch16_parfac_gap",
    "nasnetalarge",
    "nest_tiny",
    "nextvit_small",
    "test_nfnet",
    "pit_ti_224",
    "pvt_v2_b0",
    "qwen3_vit_88m",
    "rdnet_tiny",
    "regnetx_002",
    "repghostnet_050",
    "repvit_m1",
    "res2next50",
    "resnest14d",
    "resnet18",
    "resnetv2_18",
    "rexnet_100",
    "selecsls42",
    "legacy_seresnet18",
    "sequencer2d_s",
    "shvit_s1",
    "skresnet18",
    "starnet_s050",
    "swiftformer_xs",
    "swin_tiny_patch4_window7_224",
    "swinv2_tiny_window8_256",
    "swinv2_cr_tiny_224",
    "tiny_vit_5m_224",
    "tnt_s_legacy_patch16_224",
    "tresnet_m",
    "twins_svt_small",
    "vgg11",
    "visformer_tiny",
    "vit_tiny_patch16_224",
    "vit_tiny_r_s16_p8_224",
    "samvit_base_patch16_224",
    "vitamin_small_224",
    "volo_d1_224",
    "ese_vovnet19b_slim_dw",
    "legacy_xception",
    "xception41p",
    "xcit_tiny_12_p8_224",
)
"""The smallest model of each other family; those of more than 500 MB of weights are left out."""

_SIZES = {
    "nasnetalarge": 96,
    "qwen3_vit_88m": 224,
    "csatv2": 256,
    "inception_resnet_v2": 128,
    "inception_v3": 128,
    "inception_v4": 128,
    "tresnet_m": 128,
    "vgg11": 64,
    "legacy_xception": 128,
    "xception41p": 128,
}
"""Sides of the images of models that take any, where their own is larger."""


def load(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False).eval()
    for parameter in model.parameters():
        if not parameter.any():  # a head of zeros would make every result right
            nn.init.normal_(parameter, std=0.02)
    channels, height, width = model.default_cfg["input_size"]
    side = _SIZES.get(name)
    return model, torch.randn(1, channels, side or height, side or width)


def _convert(model: nn.Module, image: torch.Tensor, **options: Any) -> torch2trt.Converted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch2trt.convert(model, image, **options)


def _error(converted: torch2trt.Converted, model: nn.Module, image: torch.Tensor) -> float:
    with torch.no_grad():
        expected = model(image)
    actual = converted.evaluate(image)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    expected, actual = expected.float(), actual.float()
    if not expected.isfinite().all():  # random weights may exceed float16: what eager loses is lost, or as in float32
        if torch.equal(actual.isfinite(), expected.isfinite()):
            return 0.0
        with torch.no_grad():
            expected = copy.deepcopy(model).float()(image.float())
    assert expected.std() > 0
    return float((actual - expected).abs().max() / expected.abs().max())


def check(name: str) -> None:
    model, image = load(name)
    converted = _convert(model, image, dynamic_shapes={"x": {0: (1, 1, 8)}})
    for batch in (1, 3, 5):
        assert _error(converted, model, torch.randn(batch, *image.shape[1:])) <= 1e-4


def check_half(name: str) -> None:
    model, image = load(name)
    model, image = model.half(), image.half()
    converted = _convert(model, image)
    assert _error(converted, model, image) <= 2e-2
    assert converted.serialize(optimization_level=0)


@pytest.mark.parametrize("name", FAST)
def test_family(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_family(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", FAST[:2])
def test_half(name: str) -> None:
    check_half(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", (*FAST[2:], *OTHERS))
def test_other_half(name: str) -> None:
    check_half(name)
