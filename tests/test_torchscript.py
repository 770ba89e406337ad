"""Modules in TorchScript: scripted, saved and loaded, frozen, optimised."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn
from torch.nn import functional

import torch2trt
from tests import harness
from tests.harness import rand
from torch2trt import errors

ROWS = {"x": {0: (1, 3, 9)}}


# ---- dtypes and weights


class Recurrent(nn.Module):
    """Zeros of an input's dtype, and a layer with a list of weights."""

    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(4, 3, batch_first=True)

    def forward(self, x):
        state = torch.zeros([1, x.size(0), 3], dtype=x.dtype)
        return functional.softmax(self.layer(x, state)[0], 1, dtype=torch.float32)


def test_recurrent_layers_and_dtypes_of_tensors():
    module = Recurrent().eval()
    converted = torch2trt.convert(torch.jit.script(module), rand(3, 5, 4), dynamic_shapes=ROWS)
    for rows in (3, 1, 9):
        x = rand(rows, 5, 4)
        harness.assert_same(converted.evaluate(x), module(x), rtol=1e-5, atol=1e-6)


def test_transformer_layers():
    """Scripted ones ask for their device's type, and call the fused operators."""
    module = nn.Sequential(
        nn.TransformerEncoderLayer(8, 2, 12, batch_first=True),
        nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=True, activation="gelu"),
    ).eval()
    converted = torch2trt.convert(torch.jit.script(module), rand(3, 5, 8), dynamic_shapes={"input": {0: (1, 3, 9)}})
    for rows in (3, 1, 9):
        x = rand(rows, 5, 8)
        harness.assert_same(converted.evaluate(x), module(x), rtol=1e-5, atol=1e-5)


def test_lists_that_a_loop_adds_to():
    @torch.jit.script
    def function(x):
        rows = [x[0] * 0]
        rows += [x[0], x[0] - 1]
        for index in range(x.size(0)):
            rows += [x[index] * index]
        return torch.stack(rows)

    converted = torch2trt.convert(function, rand(3, 2), input_names=["x"], dynamic_shapes=ROWS)
    for count in (3, 1, 9):
        x = rand(count, 2)
        harness.assert_same(converted.evaluate(x), function(x))


# ---- attributes


class Writing(nn.Module):
    """Writes to an attribute before it reads it, which is no state."""

    def __init__(self):
        super().__init__()
        self.kept, self.count = torch.zeros(3), 0

    def forward(self, x):
        self.kept, self.count = x * 2, x.size(0)
        y = x + self.kept
        if bool(x.sum() > 0):
            y = y * self.kept
        self.kept = self.kept + 1
        return y - self.kept * self.count


class Twice(nn.Module):
    """Reads what a module inside has written."""

    def __init__(self):
        super().__init__()
        self.inner = Writing()

    def forward(self, x):
        return self.inner(x) + self.inner.kept + self.inner(x + 1)


class Stateful(nn.Module):
    """Reads an attribute first, or writes to it on one of two paths."""

    def __init__(self, always: bool):
        super().__init__()
        self.kept, self.always = torch.zeros(3), always

    def forward(self, x):
        if self.always:
            x = x + self.kept
            self.kept = x
        elif bool(x.sum() > 0):
            self.kept = x
        return x


def test_attributes_that_are_written_first():
    module = Twice().eval()
    converted = torch2trt.convert(torch.jit.script(module), rand(3))
    for x in (rand(3, low=0), rand(3, high=0)):
        harness.assert_same(converted.evaluate(x), module(x))


@pytest.mark.parametrize("always", [False, True])
def test_state_of_scripted_modules_is_refused(always):
    with pytest.raises(errors.TraceError, match="writes to its attribute 'kept'"):
        torch2trt.convert(torch.jit.script(Stateful(always).eval()), rand(3))


# ---- modules that were saved, frozen, optimised


class Named(nn.Module):
    """Of one argument, and numbers from its sizes."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, image):
        rows = image.size(0) if image.size(0) > 2 else 2
        return self.linear(image) / (image.size(0) + 1), image.new_ones([rows]) * sorted([3, 2])[0]


def loaded(module):
    file = io.BytesIO()
    torch.jit.save(module, file)
    file.seek(0)
    return torch.jit.load(file)


@pytest.mark.parametrize("change", [loaded, torch.jit.freeze, lambda module: loaded(torch.jit.freeze(module))])
def test_loaded_and_frozen_modules(change):
    """Their arguments have their names still; an int that an if chose is a size."""
    module = Named().eval()
    converted = torch2trt.convert(
        change(torch.jit.script(module)), rand(3, 4), dynamic_shapes={"image": {0: (1, 3, 9)}}
    )
    for rows in (3, 1, 9):
        x = rand(rows, 4)
        harness.assert_same(converted.evaluate(x), module(x))
    assert converted.serialize(optimization_level=0)


class Scale:
    """An object of a class of its own."""

    def __init__(self, factor: float):
        self.factor = factor

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        self.factor += 1.0
        return x * self.factor


class Holding(nn.Module):
    """Has such an object, and makes another."""

    def __init__(self):
        super().__init__()
        self.weights = Weights(0.5)

    def forward(self, x):
        return self.weights.apply(x) + Scale(3.0).apply(x)


class Weights:
    """An object that stays as it is."""

    def __init__(self, factor: float):
        self.factor = factor

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def test_objects_of_scripted_classes():
    x = rand(3)
    harness.assert_same(torch2trt.convert(torch.jit.script(Holding()).eval(), x).evaluate(x), x * 4.5)


class Ignoring(nn.Module):
    """Calls a method that stays Python's."""

    @torch.jit.ignore
    def in_python(self, x):
        return x + 3

    def forward(self, x):
        return self.in_python(x) * 2


class Nothing(nn.Module):
    """Gives a tensor and None."""

    def forward(self, x) -> tuple[torch.Tensor, torch.Tensor | None]:
        return x * 2, None


REFUSED = {
    "ignored": (lambda: torch.jit.script(Ignoring()), "calls in_python.* in Python"),
    "none": (lambda: torch.jit.script(Nothing()), "a scripted module gives None or a number"),
    "overloads": (lambda: torch.jit.script(nn.LSTM(3, 3)), "has no forward of its own"),
    "optimised": (
        lambda: torch.jit.optimize_for_inference(torch.jit.script(nn.Conv2d(3, 8, 3).eval())),
        "is for the CPU alone, where torch.jit.optimize_for_inference has put it",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_trace_holds_is_refused(name):
    make, text = REFUSED[name]
    with pytest.raises(errors.Torch2TRTError, match=text):
        torch2trt.convert(make(), rand(1, 3, 8, 8))
