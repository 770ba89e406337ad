"""torchvision's models with random weights that leave something to compare: spread activations, boxes that survive."""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import nn

# Of the last layer of each head: how its outputs are spread, and where they lie.
_HEADS = {
    "cls_logits": (1.5, -2.0),
    "classification_head.module_list": (1.5, 0.0),
    "cls_score": (2.0, 0.0),
    "bbox_reg": (0.3, 0.0),
    "regression_head.module_list": (0.3, 0.0),
    "bbox_pred": (0.3, 0.0),
    "bbox_ctrness": (1.0, 1.0),
    "mask_fcn_logits": (2.0, 0.0),
    "kps_score_lowres": (2.0, 0.0),
}

_THRESHOLDS = {"keypointrcnn_resnet50_fpn": 0.2, "fcos_resnet50_fpn": 0.85}


def kind_of(name: str) -> str:
    """``classification``, ``segmentation``, ``detection``, ``video`` or ``optical_flow``."""
    package = torchvision.models.get_model_builder(name).__module__.removeprefix("torchvision.models.")
    return package.split(".")[0] if "." in package else "classification"


def load(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """A model in eval mode and example arguments for it, small where the model allows that."""
    torch.manual_seed(0)
    kind = kind_of(name)
    model = torchvision.models.get_model(name, weights=None, **_options(name, kind)).eval()
    for parameter in model.parameters():
        if not parameter.any():  # a head of zeros would make every result right
            nn.init.normal_(parameter, std=0.02)
    for path, module in model.named_modules():
        if path.endswith("bn3"):  # weak residual branches, lest rounding errors grow from block to block
            nn.init.constant_(module.weight, 0.2)
    inputs = _inputs(name, kind)
    if kind == "detection":
        spread(model, inputs)
    else:
        normalize(model, inputs)
    return model, inputs


def _options(name: str, kind: str) -> dict[str, Any]:
    if name in ("inception_v3", "googlenet"):
        return {"init_weights": False}
    if kind == "segmentation":
        return {"weights_backbone": None}
    if kind != "detection":
        return {}
    options: dict[str, Any] = {"weights_backbone": None, "num_classes": 6}
    if not name.startswith("ssd"):  # which have a size of their own
        options |= {"min_size": 128, "max_size": 192}
    # How many boxes pass is left to the scores, and is less than the most that the model gives.
    options["box_score_thresh" if "rcnn" in name else "score_thresh"] = _THRESHOLDS.get(name, 0.9)
    if name.startswith("keypoint"):
        options["num_classes"] = 2
    return options


def _inputs(name: str, kind: str) -> tuple[Any, ...]:
    if kind == "detection":
        return ([torch.rand(3, 140, 160)],)
    if kind == "segmentation":
        return (torch.randn(1, 3, 65, 97),)
    if kind == "optical_flow":
        return torch.rand(1, 3, 128, 136) * 2 - 1, torch.rand(1, 3, 128, 136) * 2 - 1
    if kind == "video":
        fixed = name.startswith("mvit")
        frames, size = (16, 224) if fixed else (14, 224) if name == "s3d" else (6, 64)
        return (torch.randn(1, 3, frames, size, size),)
    # Without its weights a vision transformer takes 224 x 224, whatever these were trained at.
    crop = torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    size = 224 if name.startswith("vit") else crop
    return (torch.randn(1, 3, size, size),)


def normalize(model: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Give batch norms the statistics of what they get; new ones let most networks give the same for every image."""
    hooks = [
        module.register_forward_pre_hook(_take_statistics)
        for module in model.modules()
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d))
    ]
    with torch.no_grad():
        model(*inputs)
    for hook in hooks:
        hook.remove()


def spread(model: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Give batch norms the statistics of what they get, and a detector's heads outputs that differ from box to box."""
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(_take_statistics))
        head = next((spec for part, spec in _HEADS.items() if part in name), None)
        last = isinstance(module, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d))
        if head is not None and last and not name.endswith((".0.0", ".0.0.0")):
            hooks.append(module.register_forward_hook(_spread_outputs(*head)))
    with torch.no_grad():
        model(*inputs)
    for hook in hooks:
        hook.remove()


def _take_statistics(module: nn.BatchNorm2d | nn.BatchNorm3d, args: tuple[torch.Tensor, ...]) -> None:
    (value,) = args
    axes = [axis for axis in range(value.dim()) if axis != 1]
    module.running_mean = value.mean(axes)
    module.running_var = value.var(axes, correction=0) + 1e-3


def _spread_outputs(deviation: float, mean: float) -> Any:
    def hook(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        if getattr(module, "is_spread", False) or not output.numel():
            return output
        factor = deviation / output.std()
        module.weight.mul_(factor)
        module.bias.mul_(factor).sub_(output.mean() * factor - mean)
        module.is_spread = True
        return (output - output.mean()) * factor + mean

    return hook
