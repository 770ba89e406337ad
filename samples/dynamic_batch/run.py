"""One network for every batch size and image size, and a model whose trace would have baked a size in."""

from __future__ import annotations

import torch
import torchvision

import torch2trt


class Baked(torch.nn.Module):
    """Takes the batch size out of the trace by int()."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.reshape(int(image.shape[0]), -1)


def main() -> None:
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v3_small(weights=None).eval()
    shapes = {"image": {0: (1, 4, 16), 2: (64, 96, 128), 3: (64, 96, 128)}}
    converted = torch2trt.convert(model, torch.rand(4, 3, 96, 96), input_names=["image"], dynamic_shapes=shapes)
    print(f"network input: {list(converted.network.get_input(0).shape)}, profile {converted.profile()['image']}")
    for size in ((1, 3, 64, 64), (4, 3, 96, 96), (7, 3, 128, 80)):
        image = torch.rand(size)
        with torch.no_grad():
            error = (converted.evaluate(image) - model(image)).abs().max().item()
        print(f"{list(size)}: max error {error:.1e}")
    print(f"engine for all of them: {len(converted.serialize()) / 1e6:.1f} MB")
    try:
        torch2trt.convert(Baked(), torch.rand(4, 3, 8, 8), dynamic_shapes={"image": {0: (1, 4, 16)}})
    except torch2trt.errors.ShapeError as error:
        print(f"a size that was baked in is refused:\n{error}")


if __name__ == "__main__":
    main()
