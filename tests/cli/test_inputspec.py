"""Inputs described in text."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from torch2trt.dynamic import Range
from torch2trt.errors import InputError
from torch2trt.inputspec import InputSpec, bind, from_profiles, parse_input
from torch2trt.modelspec import NamedModel, load_model


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image:[1,3,224,224]", InputSpec("image", (1, 3, 224, 224))),
        ("image:[1, 3]:float16", InputSpec("image", (1, 3), torch.float16)),
        ("[2]:int64", InputSpec("", (2,), torch.int64)),
        ("scalar:[]", InputSpec("scalar", ())),
        ("x:[1:4:16,3]", InputSpec("x", (Range(1, 4, 16), 3))),
        ("x:[batch=1:4:16,n=2:2:2]", InputSpec("x", (Range(1, 4, 16, "batch"), Range(2, 2, 2, "n")))),
        ("a.b:c:[5]", InputSpec("a.b:c", (5,))),
    ],
)
def test_parse(text, expected):
    assert parse_input(text) == expected


@pytest.mark.parametrize(
    "text", ["image", "image:[1,a]", "image:[1,3", "x:[1:2]", "x:[4:2:1]", "x:[1]:float99", "x:[b=3]", "x:[-1]", ""]
)
def test_refused(text):
    with pytest.raises(InputError):
        parse_input(text)


def specs(*texts):
    return [parse_input(text) for text in texts]


def test_examples_are_made_by_parameter_names(folder):
    model = NamedModel("m", load_model(f"{folder}/models.py:make_two").module, None)
    bound = bind(model, specs("scale:[2,3]", "tokens:[2,3]:int32"))
    assert bound.names == ["tokens", "scale"] and list(bound.inputs) == ["tokens", "scale"]
    assert bound.inputs["tokens"].dtype == torch.int32 and bound.inputs["scale"].dtype == torch.float32
    assert set(bound.inputs["tokens"].unique().tolist()) <= {0, 1}


def test_other_names_are_taken_in_order():
    bound = bind(NamedModel("m", nn.Linear(4, 3), None), specs("features:[1:2:5,4]"))
    assert bound.names == ["features"] and bound.inputs[0].shape == (2, 4)
    assert bound.dynamic_shapes == {"features": {0: Range(1, 2, 5)}}


def test_an_example_is_changed_and_keeps_its_values(folder):
    model = load_model(f"{folder}/models.py:make_two")
    bound = bind(model, specs("tokens:[4,3]"))
    assert bound.names == ["tokens", "scale"]
    tokens, scale = bound.inputs
    assert tokens.tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2], [3, 4, 5]] and tokens.dtype == torch.int32
    assert torch.equal(scale, model.inputs[1])
    assert bind(model, specs("scale:[2,3]:float16")).inputs[1].dtype == torch.float16


def test_the_same_seed_gives_the_same_data():
    model = NamedModel("m", nn.ReLU(), None)
    one, same, other = (bind(model, specs("x:[5]"), seed=seed).inputs[0] for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_names_of_ones_own(folder):
    model = load_model(f"{folder}/models.py:make_two")
    assert bind(model, specs("b:[2,3]"), names=["a", "b"]).names == ["a", "b"]
    with pytest.raises(InputError, match="1 input names .* for 2 tensors"):
        bind(model, [], names=["a"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "gives no example inputs"),
        (["x:[2]", "x:[3]"], "described twice"),
        (["a:[2,4]", "b:[2]"], "do not fit Linear"),
    ],
)
def test_bind_refuses(texts, message):
    with pytest.raises(InputError, match=message):
        bind(NamedModel("m", nn.Linear(4, 3), None), specs(*texts))


def test_unknown_names_are_told(folder):
    with pytest.raises(InputError, match="no input 'token'; its inputs are tokens, scale"):
        bind(load_model(f"{folder}/models.py:make_two"), specs("token:[2,3]"))


def test_profiles():
    profiles = [
        {"x": ((1, 3), (2, 3), (4, 3)), "y": ((1,), (1,), (1,))},
        {"x": ((5, 3), (6, 3), (8, 3))},
    ]
    assert from_profiles({"x": (2, 3), "z": (7,)}, profiles) == [
        InputSpec("x", (Range(1, 2, 8), 3)),
        InputSpec("z", (7,)),
        InputSpec("y", (1,)),
    ]
    with pytest.raises(InputError, match="different ranks"):
        from_profiles({}, [{"x": ((1,), (1, 2), (1, 2))}])
