"""Models that the command lines of these tests name."""

import itertools
import os

import torch
from torch import nn

CALLS = os.environ.get("CALLS_FILE")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.second = nn.Linear(8, 3)

    def forward(self, features, mask):
        hidden = torch.relu(self.first(features)) * mask
        return {"scores": self.second(hidden), "hidden": hidden}


def make_model():
    if CALLS:
        with open(CALLS, "a") as file:
            file.write("made\n")
    return Net(), {"features": torch.randn(2, 4), "mask": torch.ones(2, 1)}


def without_examples():
    return nn.Linear(4, 3)


def unseeded():
    """Other weights at every call, whatever the seed."""
    module = nn.Linear(4, 3)
    torch.seed()
    nn.init.normal_(module.weight)
    return module, torch.randn(2, 4)


class Stateful(nn.Module):
    """Differs from its own trace, which holds the first answer only: its state is outside of it."""

    calls = itertools.count(1)

    def forward(self, x):
        return torch.exp(x), x * next(self.calls)


def make_stateful():
    return Stateful(), torch.ones(2, 3)


class Writer(nn.Module):
    """Writes to its input."""

    def forward(self, x):
        x.add_(1)
        return x * 2


def make_writer():
    return Writer(), torch.ones(2, 3)


def make_half():
    return nn.Linear(4, 3).to(torch.bfloat16), torch.randn(2, 4, dtype=torch.bfloat16)


class Passing(nn.Module):
    """Its input is an output, and one tensor is two outputs."""

    def forward(self, x):
        y = torch.exp(x)
        return x, y, y


def make_passing():
    return Passing(), torch.ones(2, 3)


def raises():
    raise RuntimeError("the model is not at home")


def gives_a_string():
    return "model"


def double(network):
    """A network's post-processing: its outputs doubled."""
    import torch2trt

    trt = torch2trt.trt
    for output in [network.get_output(index) for index in range(network.num_outputs)]:
        network.unmark_output(output)
        doubled = network.add_elementwise(output, output, trt.ElementWiseOperation.SUM).get_output(0)
        doubled.name = f"doubled_{output.name}"
        network.mark_output(doubled)
