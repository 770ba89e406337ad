"""Where constants come from, and computing them again from other parameters."""

from __future__ import annotations

import gc

import pytest
import torch

from torch2trt import errors, weights
from torch2trt.passes.fold import on_cpu_throughout
from torch2trt.weights import Origin, WeightMap, derive, origin, set_origin


def parameter(key: str, *shape: int) -> torch.Tensor:
    tensor = torch.randn(*shape)
    set_origin(tensor, Origin(key))
    return tensor


def test_derive_remembers_only_what_depends_on_parameters():
    weight = parameter("w", 3)
    assert origin(derive(torch.add, torch.ones(3), torch.ones(3))) is None
    result = derive(torch.add, weight, 1.0)
    assert origin(result).keys() == {"w"}
    assert torch.equal(origin(result).compute({"w": torch.zeros(3)}), torch.ones(3))


def test_derive_of_lists():
    first, second = parameter("a", 2), parameter("b", 2)
    joined = derive(torch.cat, [first, second])
    halves = derive(torch.chunk, joined, 2)
    assert origin(halves[1]).keys() == {"a", "b"}
    state = {"a": torch.zeros(2), "b": torch.ones(2)}
    assert torch.equal(origin(halves[1]).compute(state), torch.ones(2))


def test_a_function_that_gives_its_argument_back_keeps_the_origin():
    weight = parameter("w", 3)
    assert origin(derive(lambda x: x, weight)).key == "w"


def test_long_chains_need_no_recursion():
    tensor = parameter("w", 1)
    for _ in range(5000):
        tensor = derive(torch.add, tensor, 1.0)
    assert origin(tensor).compute({"w": torch.zeros(1)}).item() == 5000
    assert origin(tensor).keys() == {"w"}


def test_origins_go_with_their_tensors():
    tensor = parameter("w", 3)
    key = id(tensor)
    assert weights._origin_of[key][1].key == "w"
    del tensor
    gc.collect()
    assert key not in weights._origin_of


def test_weight_map_lists_all_that_is_wrong():
    mapping = WeightMap()
    for key in ("a", "b"):
        mapping.origins[key] = Origin(key)
        mapping.finish[key] = ((2,), torch.float16)
    with pytest.raises(errors.InputError, match="lacks a, b"):
        mapping.compute({})
    with pytest.raises(errors.InputError, match=r"a: \[3\] instead of \[2\]; b: \[4\] instead of \[2\]"):
        mapping.compute({"a": torch.ones(3), "b": torch.ones(4)})
    assert mapping.compute({"a": torch.ones(2)}, partial=True).keys() == {"a"}
    assert mapping.compute({"a": torch.ones(2), "b": torch.ones(2)})["b"].dtype == torch.float16


def test_constants_follow_the_state_dict_to_its_device():
    """The ``meta`` device stands for a GPU: it mixes with CPU tensors as little."""
    weight = parameter("w", 3)
    moved = derive(torch.add, weight, torch.arange(3.0))
    result = derive(torch.cat, [moved, torch.ones(2), derive(torch.Tensor.to, weight, "cpu")])
    computed = origin(result).compute({"w": torch.ones(3, device="meta")})
    assert computed.device.type == "meta" and computed.shape == (8,)
    assert torch.equal(origin(moved).compute({"w": torch.ones(3)}), torch.tensor([1.0, 2.0, 3.0]))


class Elsewhere(torch.Tensor):
    """A tensor that says that it lies on a GPU."""

    @property
    def device(self):
        return torch.device("cuda")

    def cpu(self):
        return self.as_subclass(torch.Tensor).clone()


def test_what_lies_on_a_gpu_is_copied_once_and_keeps_its_origin():
    plain, tensor = torch.zeros(3), torch.ones(2).as_subclass(Elsewhere)
    set_origin(tensor, Origin("w"))
    found = on_cpu_throughout([tensor, {"again": tensor}, plain, 3], {})
    assert type(found[0]) is torch.Tensor and found[0] is found[1]["again"]
    assert origin(found[0]).key == "w" and found[2] is plain and found[3] == 3
    known = [plain, (1, "text")]
    assert on_cpu_throughout(known) is known
