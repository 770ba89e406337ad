"""The models that are measured: each gives a module in eval mode and example inputs, all float32 on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Loaded = tuple[torch.nn.Module, tuple[torch.Tensor, ...]]


def vision(name: str, batch: int) -> Callable[[], Loaded]:
    def load() -> Loaded:
        import torchvision

        options = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
        if name == "deeplabv3_resnet50":
            options = {"weights_backbone": None}
        model = torchvision.models.get_model(name, weights=None, **options).eval()
        size = 520 if name == "deeplabv3_resnet50" else 299 if name == "inception_v3" else 224
        return model, (torch.randn(batch, 3, size, size),)

    return load


class Logits(torch.nn.Module):
    """A transformers model that gives its first tensor alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(*inputs, return_dict=False)[0]


def bert(batch: int, length: int) -> Callable[[], Loaded]:
    def load() -> Loaded:
        import transformers

        model = transformers.BertModel(transformers.BertConfig()).eval()
        ids = torch.randint(0, 30000, (batch, length))
        return Logits(model), (ids, torch.ones_like(ids))

    return load


def gpt2(batch: int, length: int) -> Callable[[], Loaded]:
    def load() -> Loaded:
        import transformers

        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(use_cache=False)).eval()
        return Logits(model), (torch.randint(0, 50000, (batch, length)),)

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
        return Logits(transformers.LlamaModel(config).eval()), (torch.randint(0, 8000, (batch, length)),)

    return load


def whisper_encoder() -> Loaded:
    import transformers

    config = transformers.WhisperConfig(d_model=512, encoder_layers=6, encoder_attention_heads=8)
    model = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
    return Logits(model), (torch.randn(1, config.num_mel_bins, 3000),)


class Lstm(torch.nn.Module):
    """Two LSTM layers over 128 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(256, 512, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


MODELS: dict[str, Callable[[], Any]] = {
    "resnet50 b1": vision("resnet50", 1),
    "resnet50 b32": vision("resnet50", 32),
    "inception_v3 b1": vision("inception_v3", 1),
    "mobilenet_v3_large b1": vision("mobilenet_v3_large", 1),
    "efficientnet_b0 b1": vision("efficientnet_b0", 1),
    "convnext_tiny b1": vision("convnext_tiny", 1),
    "vit_b_16 b1": vision("vit_b_16", 1),
    "vit_b_16 b32": vision("vit_b_16", 32),
    "swin_t b1": vision("swin_t", 1),
    "deeplabv3 b1": vision("deeplabv3_resnet50", 1),
    "bert_base b1 s128": bert(1, 128),
    "bert_base b8 s128": bert(8, 128),
    "bert_base b32 s384": bert(32, 384),
    "gpt2 prefill s512": gpt2(1, 512),
    "llama blocks s512": llama(1, 512),
    "whisper encoder": whisper_encoder,
    "lstm": lambda: (Lstm().eval(), (torch.randn(1, 128, 256),)),
}
