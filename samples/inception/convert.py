"""A photo's Inception v3 becomes a TensorRT engine, and the proof that it computes what PyTorch computes: no GPU."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import matplotlib.cbook
import torch
import torchvision
from PIL import Image
from torchvision.models import Inception_V3_Weights, inception_v3

import torch2trt

HERE = Path(__file__).parent
WEIGHTS = Inception_V3_Weights.IMAGENET1K_V1


def load_model() -> tuple[torch.nn.Module, str]:
    """Inception v3 with pretrained weights if they can be had, else with seeded random ones; and which."""
    try:
        return inception_v3(weights=WEIGHTS, progress=False).eval(), "pretrained weights (ImageNet)"
    except OSError as error:  # no network, and nothing cached
        torch.manual_seed(0)
        model = inception_v3(weights=None, init_weights=False, transform_input=True).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):  # weights of a size that lets the photo through to the scores
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        return model, f"seeded random weights (pretrained ones cannot be fetched: {type(error).__name__})"


def load_photo() -> torch.Tensor:
    """The photo that matplotlib ships, as the model wants it: 1 x 3 x 299 x 299, float32, normalised."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        photo = Image.open(file).convert("RGB")
    return WEIGHTS.transforms()(photo).unsqueeze(0)


def top5(scores: torch.Tensor) -> str:
    """The five best classes and their probabilities."""
    probabilities, classes = scores.softmax(1).topk(5)
    names = WEIGHTS.meta["categories"]
    rows = zip(classes[0].tolist(), probabilities[0].tolist(), strict=True)
    return ", ".join(f"{names[index]} {probability:.4f}" for index, probability in rows)


def main() -> int:
    torch.set_num_threads(os.cpu_count() or 1)
    model, origin = load_model()
    photo = load_photo()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"model      Inception v3, {parameters / 1e6:.1f} M parameters, {origin}")
    print(f"software   torch {torch.__version__}, torchvision {torchvision.__version__}, ", end="")
    print(f"{torch2trt.trt.__name__} {torch2trt.trt.__version__}")

    start = time.perf_counter()
    converted = torch2trt.convert(model, photo, input_names=["image"], param_exclude=".*AuxLogits.*")
    seconds = time.perf_counter() - start
    print(f"converted  {converted.network.num_layers} layers in {seconds:.2f} s, tracing included")
    for kind, count in list(converted.graph.op_counts().items())[:10]:
        print(f"           {count:5d}  {kind}")

    with torch.no_grad():
        expected = model(photo)
    start = time.perf_counter()
    actual = converted.evaluate(photo)
    error = (actual - expected).abs().max().item()
    relative = error / expected.abs().max().item()
    print(f"evaluated  the network, layer by layer, in {time.perf_counter() - start:.2f} s")
    print(f"           max error {error:.2e}, relative {relative:.2e}")
    print(f"PyTorch    {top5(expected)}")
    print(f"network    {top5(actual)}")

    path = HERE / "inception_v3.engine"
    start = time.perf_counter()
    blob = converted.serialize(path, progress=sys.stdout.isatty())
    print(f"built      {path.name}, {len(blob) / 1e6:.1f} MB, in {time.perf_counter() - start:.1f} s, no GPU used")
    if relative > 1e-4:
        print("the network and PyTorch disagree")
        return 1
    print("the network computes what PyTorch computes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
