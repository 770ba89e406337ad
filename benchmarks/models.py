"""The models that are measured: each gives a module in eval mode and example inputs, all float32 on the CPU.

Weights are random, but such that every layer's outputs are of order 1, as a trained model's are: an error in half
precision then means something. Batch norms hold the statistics of random inputs; what is initialised to zero is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Loaded = tuple[torch.nn.Module, tuple[torch.Tensor, ...]]


@dataclass(frozen=True)
class Model:
    """One row of the benchmark.

    Args:
        load: makes the module and its inputs.
        batch: how many items one call takes, for the throughput.
        dtypes: what it is measured in.
        slack: how many times the error of other models it may have: eager's own is large where every pixel counts.
    """

    load: Callable[[], Loaded]
    batch: int
    dtypes: tuple[str, ...] = ("float16",)
    slack: int = 1


class First(torch.nn.Module):
    """A model that gives its first tensor alone."""

    def __init__(self, model: torch.nn.Module, **options: Any) -> None:
        super().__init__()
        self.model, self.options = model, options

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        result = self.model(x, **self.options) if mask is None else self.model(x, mask, **self.options)
        return next(iter(result.values())) if isinstance(result, dict) else result[0]


_NORMS = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.LayerNorm, torch.nn.GroupNorm)


def sensible(module: torch.nn.Module, *inputs: torch.Tensor) -> torch.nn.Module:
    """``module`` with weights that keep activations of order 1.

    Args:
        module: changed in place.
        inputs: what its batch norms are fed to find their statistics.
    """
    for child in module.modules():
        if isinstance(child, (torch.nn.modules.conv._ConvNd, torch.nn.Linear)):
            fan_in = child.weight[0].numel()
            torch.nn.init.normal_(child.weight, std=fan_in**-0.5)
            if child.bias is not None:
                torch.nn.init.uniform_(child.bias, -0.1, 0.1)
    for parameter in module.parameters(recurse=True):
        if parameter.dim() and bool((parameter.detach().abs() < 1e-4).all()):  # layer scales, zero-initialised heads
            torch.nn.init.uniform_(parameter, 0.1, 0.3)
    norms = [child for child in module.modules() if isinstance(child, _NORMS[0])]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over what it is fed
        norm.train()
    if norms:
        with torch.no_grad():
            module(*inputs)
    return module.eval()


def biased(module: torch.nn.Module) -> torch.nn.Module:
    """``module`` with random biases in place of zeros, which a trained model has not, and some roads leave out."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias") and not parameter.any():
            torch.nn.init.uniform_(parameter, -0.1, 0.1)
    return module.eval()


def vision(name: str, batch: int) -> Callable[[], Loaded]:
    def load() -> Loaded:
        import torchvision

        options: dict[str, Any] = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
        if name == "deeplabv3_resnet50":
            options = {"weights_backbone": None}
        model = torchvision.models.get_model(name, weights=None, **options).eval()
        size = 520 if name == "deeplabv3_resnet50" else 299 if name == "inception_v3" else 224
        model = First(model) if name == "deeplabv3_resnet50" else model
        return sensible(model, torch.randn(2, 3, size, size)), (torch.randn(batch, 3, size, size),)

    return load


def detr() -> Loaded:
    import transformers

    backbone = transformers.ResNetConfig(out_features=["stage4"])
    config = transformers.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone
    )
    model = transformers.DetrForObjectDetection(config).eval()
    for norm in model.modules():
        if type(norm).__name__ == "DetrFrozenBatchNorm2d":
            norm.running_var.uniform_(0.5, 2)
    image = torch.randn(1, 3, 512, 512)
    return First(sensible(model, image), return_dict=False).eval(), (image,)


def bert(batch: int, length: int) -> Callable[[], Loaded]:
    def load() -> Loaded:
        import transformers

        model = biased(transformers.BertModel(transformers.BertConfig()))
        ids = torch.randint(0, 30000, (batch, length))
        return First(model, return_dict=False).eval(), (ids, torch.ones_like(ids))

    return load


def gpt2(batch: int, length: int) -> Callable[[], Loaded]:
    def load() -> Loaded:
        import transformers

        model = biased(transformers.GPT2LMHeadModel(transformers.GPT2Config(use_cache=False)))
        return First(model, return_dict=False).eval(), (torch.randint(0, 50000, (batch, length)),)

    return load


def llama(batch: int, length: int) -> Callable[[], Loaded]:
    def load() -> Loaded:
        import transformers

        config = transformers.LlamaConfig(
            hidden_size=1024,
            intermediate_size=2816,
            num_hidden_layers=4,
            num_attention_heads=16,
            num_key_value_heads=4,
            vocab_size=8000,
            use_cache=False,
        )
        model = transformers.LlamaModel(config).eval()
        return First(model, return_dict=False).eval(), (torch.randint(0, 8000, (batch, length)),)

    return load


def whisper_encoder() -> Loaded:
    import transformers

    config = transformers.WhisperConfig(d_model=512, encoder_layers=6, encoder_attention_heads=8)
    model = biased(transformers.models.whisper.modeling_whisper.WhisperEncoder(config))
    return First(model, return_dict=False).eval(), (torch.randn(1, config.num_mel_bins, 3000),)


class Lstm(torch.nn.Module):
    """Two LSTM layers over 128 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(256, 512, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


def unet() -> Loaded:
    try:
        from benchmarks.unet import UNet
    except ImportError:  # run as a script
        from unet import UNet
    model = sensible(UNet(width=320))
    return model, (torch.randn(2, 4, 64, 64), torch.tensor([10.0, 500.0]), torch.randn(2, 77, 768))


def smoke() -> Loaded:
    """A model of a few layers, to try the roads with."""
    layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten()]
    return sensible(torch.nn.Sequential(*layers, torch.nn.Linear(8 * 36, 10)), torch.randn(4, 3, 8, 8)), (
        torch.randn(2, 3, 8, 8),
    )


_FULL = ("float16", "float32")

MODELS: dict[str, Model] = {
    "resnet50 b1": Model(vision("resnet50", 1), 1, _FULL),
    "resnet50 b32": Model(vision("resnet50", 32), 32),
    "inception_v3 b1": Model(vision("inception_v3", 1), 1, _FULL),
    "mobilenet_v3_large b1": Model(vision("mobilenet_v3_large", 1), 1),
    "efficientnet_b0 b1": Model(vision("efficientnet_b0", 1), 1),
    "convnext_tiny b1": Model(vision("convnext_tiny", 1), 1),
    "vit_b_16 b1": Model(vision("vit_b_16", 1), 1, _FULL),
    "vit_b_16 b32": Model(vision("vit_b_16", 32), 32),
    "swin_t b1": Model(vision("swin_t", 1), 1),
    "deeplabv3 b1": Model(vision("deeplabv3_resnet50", 1), 1, slack=5),
    "detr b1": Model(detr, 1),
    "bert_base b1 s128": Model(bert(1, 128), 1),
    "bert_base b8 s128": Model(bert(8, 128), 8, _FULL),
    "bert_base b32 s384": Model(bert(32, 384), 32),
    "gpt2 prefill s512": Model(gpt2(1, 512), 1),
    "llama blocks s512": Model(llama(1, 512), 1, ("float16", "bfloat16")),
    "whisper encoder": Model(whisper_encoder, 1),
    "lstm": Model(lambda: (Lstm().eval(), (torch.randn(1, 128, 256),)), 1),
    "unet b2": Model(unet, 2),
}

ALL = {**MODELS, "smoke": Model(smoke, 2, ("float32",))}
"""The models of the benchmark, and one that is none of them."""
