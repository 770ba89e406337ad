"""Trains a small CNN on digits, builds an engine whose first convolution is a dummy, and refits only that."""

from __future__ import annotations

import copy
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

import torch2trt

EPOCHS = 6


class Net(nn.Module):
    """conv, pool, conv, pool, linear, relu, linear: 28 x 28 grey images to 10 scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.conv1(image), 2)
        x = nn.functional.max_pool2d(self.conv2(x), 2)
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


def load_mnist() -> tuple[TensorDataset, TensorDataset]:
    """MNIST, if torchvision finds or can fetch it."""
    from torchvision.datasets import MNIST

    parts = []
    for train in (True, False):
        data = MNIST("data", train=train, download=True)
        parts.append(TensorDataset(data.data[:, None].float() / 255, data.targets))
    return parts[0], parts[1]


def load_digits() -> tuple[TensorDataset, TensorDataset]:
    """scikit-learn's 1,797 handwritten digits of 8 x 8, resized to 28 x 28; a quarter of them for the test."""
    from sklearn.datasets import load_digits as load

    digits = load()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    images = nn.functional.interpolate(images, (28, 28), mode="bilinear")
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    test, train = order[:450], order[450:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[test], labels[test])


def load_data() -> tuple[TensorDataset, TensorDataset, str]:
    """Training and test data, and their name."""
    try:
        return *load_mnist(), "MNIST"
    except (OSError, RuntimeError):  # torchvision raises RuntimeError when every mirror fails
        return *load_digits(), "scikit-learn's handwritten digits (MNIST cannot be fetched)"


def train(model: nn.Module, data: TensorDataset) -> None:
    """Adam on cross entropy; about a minute on MNIST, seconds on the digits."""
    epochs = EPOCHS if len(data) > 10000 else 5 * EPOCHS
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in tqdm(range(epochs), desc="training", file=sys.stderr):
        for images, labels in DataLoader(data, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()


def main() -> int:
    torch.manual_seed(0)
    training, test, name = load_data()
    print(f"data: {name}, {len(training)} to train on, {len(test)} to test")
    model = Net()
    train(model, training)
    model.eval()

    dummy = copy.deepcopy(model)
    for parameter in dummy.conv1.parameters():
        nn.init.uniform_(parameter, -1, 1)
    images, labels = test.tensors
    shapes = {"image": {0: (1, len(images), len(images))}}
    converted = torch2trt.convert(dummy, images, dynamic_shapes=shapes)
    conv1 = {key: value for key, value in model.state_dict().items() if key.startswith("conv1.")}

    if torch.cuda.is_available():
        engine = converted.build(refit=True)
        before = engine(images.cuda()).cpu()
        engine.refit({key: value.cuda() for key, value in conv1.items()}, partial=True)
        after = engine(images.cuda()).cpu()
        print("engine on the GPU, conv1 refitted in place:")
    else:
        before = converted.evaluate(images)
        after = converted.evaluate_with({**dummy.state_dict(), **conv1}, images)
        print("no GPU: the network in the reference evaluator, conv1's weights overridden:")
    wrong = int((before.argmax(1) == labels).sum())
    right = int((after.argmax(1) == labels).sum())
    print(f"before: {wrong}/{len(labels)} correct")
    print(f"after:  {right}/{len(labels)} correct")
    return 0 if right / len(labels) >= (0.98 if name == "MNIST" else 0.97) else 1


if __name__ == "__main__":
    sys.exit(main())
