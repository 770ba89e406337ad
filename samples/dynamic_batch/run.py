"""One network for every batch size and image size, and models that make Python ints of sizes."""

from __future__ import annotations

import torch
import torchvision

import torch2trt


class Counted(torch.nn.Module):
    """Takes the batch size out of the trace by int(): every trace shows what it is."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.reshape(int(image.shape[0]), -1)


class InPairs(torch.nn.Module):
    """Takes half of the batch size out of it: no axis has that size."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.reshape(int(image.shape[0]) // 2, 2, -1)


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
    image, batch = torch.rand(4, 3, 8, 8), {"image": {0: (2, 4, 16)}}
    counted = torch2trt.convert(Counted(), image, dynamic_shapes=batch)
    print(f"an int that is a size is followed: {list(counted.evaluate(torch.rand(9, 3, 8, 8)).shape)} for a batch of 9")
    try:
        torch2trt.convert(InPairs(), image, dynamic_shapes=batch)
    except torch2trt.errors.ShapeError as error:
        print(f"a size that was baked in is refused:\n{error}")


if __name__ == "__main__":
    main()
