"""Models that the command lines of these tests name; copied to a folder of its own for each test."""

import torch
from torch import nn

import torch2trt


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(4, 5)

    def forward(self, image):
        return self.head(self.dropout(torch.relu(self.conv(image))).permute(0, 2, 3, 1))


def make_model():
    return Net()


def make_with_example(channels=3):
    return Net(), {"image": torch.randn(2, channels, 6, 6)}


class Two(nn.Module):
    def forward(self, tokens, scale):
        return {"sum": tokens + 1, "scaled": (torch.exp(scale), scale * 2)}


def make_two():
    return Two(), (torch.arange(6, dtype=torch.int32).reshape(2, 3), torch.rand(2, 3))


def make_half():
    return nn.Linear(4, 3).to(torch.bfloat16)


def make_unsupported():
    """A module with two ops that nobody has a handler for."""
    library = torch.library.Library("mystery", "DEF")
    for name in ("first", "second"):
        library.define(f"{name}(Tensor x) -> Tensor")
        library.impl(name, torch.exp, "CompositeExplicitAutograd")

    class Unsupported(nn.Module):
        def __init__(self):
            super().__init__()
            self.library = library  # the ops live as long as it

        def forward(self, image):
            return torch.ops.mystery.first(torch.ops.mystery.second(image) + torch.ops.mystery.second(image * 2))

    return Unsupported()


def make_wrong():
    """A module, and a handler for one of its ops that is wrong by a percent."""

    @torch2trt.register_node_handler("aten::relu", override=True)
    def relu(inputs, attributes):
        if not torch2trt.has_trt_tensor(inputs):
            return [torch.relu(inputs[0])]
        from torch2trt import emit

        return [emit.mul(emit.activation("RELU", inputs[0]), 1.01)]

    return Net()


def raises():
    raise ValueError("no such thing here")


def must_not_run():
    raise AssertionError("the model is made")


class Writing(nn.Module):
    def forward(self, x):
        x.add_(1)
        return x * 2


def make_writing():
    return Writing(), torch.randn(2, 3)


def gives_nothing():
    return None


def gives_three():
    return 1, 2, 3


def network():
    """Not a module but a TensorRT network."""
    converted = torch2trt.convert(nn.Linear(4, 3).eval(), torch.randn(2, 4), input_names=["x"])
    return converted.builder, converted.network


not_callable = 3
a_module = nn.ReLU()
