"""Models named in text, and their weights."""

from __future__ import annotations

import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from torch2trt import modelspec
from torch2trt.errors import InputError
from torch2trt.modelspec import load_model, read_weights


def test_one_instance_in_a_process(folder):
    spec = f"{folder}/models.py:make_with_example"
    first, second = load_model(spec), load_model(spec)
    assert first.module is second.module and first.inputs is second.inputs
    assert not first.module.training and first.inputs["image"].shape == (2, 3, 6, 6)
    assert load_model(spec, seed=1).module is not first.module


def test_the_seed_decides_about_the_weights(folder):
    (folder / "other.py").write_text((folder / "models.py").read_text())
    one = load_model(f"{folder}/models.py", seed=3).module
    same = load_model(f"{folder}/other.py:make_model", seed=3).module
    other = load_model(f"{folder}/models.py", seed=4).module
    assert torch.equal(one.conv.weight, same.conv.weight) and not torch.equal(one.conv.weight, other.conv.weight)


def test_importable_modules_classes_instances_and_arguments(folder):
    assert isinstance(load_model("torch.nn:ReLU").module, nn.ReLU)
    assert load_model("torch.nn:Linear", arguments={"in_features": 2, "out_features": 7}).module.out_features == 7
    assert isinstance(load_model(f"{folder}/models.py:a_module").module, nn.ReLU)
    assert load_model("torchvision.models:resnet18", arguments={"num_classes": 4}).module.fc.out_features == 4


def test_a_script_imports_its_neighbours_and_stays_importable(folder):
    (folder / "neighbour.py").write_text("import torch\nclass Mine(torch.nn.ReLU): pass\n")
    (folder / "script.py").write_text(
        "from neighbour import Mine\nclass Own(Mine): pass\ndef make_model(): return Own()\n"
    )
    path = list(sys.path)
    module = load_model(f"{folder}/script.py").module
    assert type(pickle.loads(pickle.dumps(module))) is type(module)
    assert sys.path == path


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing.py", "there is no file"),
        ("nonsense", "names no model"),
        ("os:", "names no model"),
        ("no_such_module_at_all:make", "there is no module no_such_module_at_all"),
        ("torch.nn:Lineer", "torch.nn has no Lineer"),
        ("{}/models.py:make_modle", "has no make_modle"),
        ("{}/models.py:raises", "raised ValueError: no such thing here at .*models.py:"),
        ("{}/models.py:gives_nothing", "gave None"),
        ("{}/models.py:gives_three", "gave a tuple of int, int, int"),
        ("{}/models.py:network", "gave a TensorRT network"),
        ("{}/models.py:not_callable", "is int, and no function"),
        ("{}/broken.py", "raised SyntaxError"),
        ("{}/missing.py", "raised ModuleNotFoundError: No module named 'not_there'"),
        ("{}/empty.py", "has no make_model or load_network"),
    ],
)
def test_refused(folder, spec, message):
    (folder / "broken.py").write_text("def make_model(:\n")
    (folder / "missing.py").write_text("import not_there\n")
    (folder / "empty.py").write_text("")
    with pytest.raises(InputError, match=message):
        load_model(spec.format(folder))


def test_near_names_are_told(folder):
    with pytest.raises(InputError, match="make_model"):
        load_model(f"{folder}/models.py:make_modle")


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "wrapped.pt"])
def test_weights(folder, suffix):
    state = {
        key: torch.full_like(value, 0.5) for key, value in load_model(f"{folder}/models.py").module.state_dict().items()
    }
    path = folder / f"weights.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if "wrapped" in suffix else state, path)
    module = load_model(f"{folder}/models.py", weights=path).module
    assert all(torch.equal(value, torch.full_like(value, 0.5)) for value in module.state_dict().values())
    assert not torch.equal(load_model(f"{folder}/models.py").module.conv.bias, module.conv.bias)


class Trap:
    def __reduce__(self):
        return open, ("trap_was_sprung", "w")


def test_pickled_code_is_refused_and_does_not_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    torch.save({"conv.weight": torch.zeros(1), "extra": Trap()}, "weights.pt")
    with pytest.raises(InputError, match="is refused: it holds pickled objects"):
        read_weights("weights.pt")
    assert not (folder / "trap_was_sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot read"),
        (b"junk that is no archive", "is refused|cannot read"),
    ],
)
def test_damaged_weights(folder, content, message):
    for name in ("weights.pt", "weights.safetensors"):
        (folder / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_weights(folder / name)
    with pytest.raises(InputError, match="there is no weights file"):
        read_weights(folder / "none.pt")


def test_weights_that_do_not_fit(folder):
    torch.save({"conv.weight": torch.zeros(1, 2)}, folder / "weights.pt")
    with pytest.raises(InputError, match="do not fit") as caught:
        load_model(f"{folder}/models.py", weights=folder / "weights.pt")
    assert "head.bias" in str(caught.value) and "conv.weight" in str(caught.value)
    torch.save([torch.zeros(1)], folder / "list.pt")
    with pytest.raises(InputError, match="holds list, and no state_dict"):
        read_weights(folder / "list.pt")


def test_a_network_is_told_from_other_tuples(folder):
    assert modelspec.is_network(modelspec.call_named(f"{folder}/models.py:network"))
    assert not modelspec.is_network((nn.ReLU(), torch.zeros(1)))
