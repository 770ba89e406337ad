"""Whole models of torchvision: each converts and evaluates to eager's result, and builds an engine, without a GPU."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
import torchvision

import torch2trt
from tests import harness, vision_models
from torch2trt import structure
from torch2trt.graph import walk_nodes

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
    "deeplabv3_mobilenet_v3_large",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
    "raft_small",
    "r3d_18",
    "s3d",
    "swin3d_t",
)
OTHERS = tuple(
    name
    for name in torchvision.models.list_models()
    if name not in FAMILIES and not name.startswith("quantized_")  # whose weights are no floats
)


def check(name: str) -> None:
    model, inputs = vision_models.load(name)
    kind = vision_models.kind_of(name)
    converted = _convert(model, inputs)
    expected = _eager(model, inputs)
    # A detector's noise differs from box to box: rounding errors grow on their way through the random network.
    _assert_close(converted.evaluate(*inputs), expected, 1e-3 if kind == "detection" else 1e-4)
    if kind == "detection":
        assert len(expected[0]["boxes"]), "no box is left to compare"
        with pytest.raises(torch2trt.errors.BuildError):  # TensorRT for RTX has no kernels for suppression
            converted.serialize(optimization_level=0)
    elif kind in ("classification", "segmentation"):
        assert converted.serialize(optimization_level=0)


def _convert(model: torch.nn.Module, inputs: Any, **options: Any) -> torch2trt.Converted:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's Python branches on sizes, some with a FutureWarning
        return torch2trt.convert(model, inputs, **options)


def _eager(model: torch.nn.Module, inputs: Any) -> Any:
    with torch.no_grad():
        return model(*inputs)


def _assert_close(actual: Any, expected: Any, tolerance: float) -> None:
    found, nesting = structure.flatten(actual)
    wanted, expected_nesting = structure.flatten(expected)
    assert nesting == expected_nesting
    for left, right in zip(found, wanted, strict=True):
        assert (left.shape, left.dtype) == (right.shape, right.dtype)
        if not right.dtype.is_floating_point:
            assert torch.equal(left, right)
        elif right.numel():
            error = (left - right).abs().max() / right.abs().max()
            assert error <= tolerance, f"relative error {error:.1e}"


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn"])
def test_detector_of_other_images(name: str) -> None:
    """How many boxes there are, and of which level, is another number for every image."""
    model, inputs = vision_models.load(name)
    converted = _convert(model, inputs)
    counts = {len(_eager(model, inputs)[0]["boxes"])}
    for seed in (10, 11):
        torch.manual_seed(seed)
        image = ([torch.rand_like(inputs[0][0])],)
        expected = _eager(model, image)
        _assert_close(converted.evaluate(*image), expected, 1e-3)
        counts.add(len(expected[0]["boxes"]))
    assert len(counts) > 1


def test_compiled_detector() -> None:
    """The backbone is an engine; suppression, and what follows it, stays in PyTorch."""
    model, inputs = vision_models.load("fasterrcnn_mobilenet_v3_large_320_fpn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fast = torch2trt.compile(model, inputs, backend="reference")
    in_torch = [node for segment in fast.segments if not segment.in_engine for node in segment.nodes]
    kept = {node.kind for node in walk_nodes(in_torch)}  # suppression lies in a branch: are there boxes at all?
    assert "torchvision::nms" in kept and "aten::_convolution" not in kept
    _assert_close(fast(*inputs), _eager(model, inputs), 1e-3)


_IMAGE = {"x": {0: (1, 2, 4), 2: (64, 96, 192), 3: (64, 96, 192)}}
_IMAGES = [(3, 3, 64, 128), (1, 3, 160, 96)]
_CLIP = {"x": {0: (1, 1, 4)}}


@pytest.mark.parametrize(
    ("name", "dynamic", "traced", "others"),
    [
        ("resnet18", _IMAGE, (2, 3, 96, 96), _IMAGES),
        ("mobilenet_v3_small", _IMAGE, (2, 3, 96, 96), _IMAGES),
        ("lraspp_mobilenet_v3_large", _IMAGE, (2, 3, 96, 96), _IMAGES),
        ("deeplabv3_mobilenet_v3_large", _IMAGE, (2, 3, 96, 96), _IMAGES),
        ("r3d_18", _CLIP, (1, 3, 6, 64, 64), [(2, 3, 6, 64, 64), (3, 3, 6, 64, 64)]),
    ],
)
def test_dynamic_sizes(name: str, dynamic: Any, traced: Any, others: Any) -> None:
    model, _ = vision_models.load(name)
    key = next(iter(torch2trt.binding.argument_names(model, (torch.empty(0),), {})))
    converted = _convert(model, torch.randn(traced), dynamic_shapes={key: dynamic["x"]})
    for shape in others:
        inputs = (harness.rand(*shape),)
        _assert_close(converted.evaluate(*inputs), _eager(model, inputs), 1e-4)
