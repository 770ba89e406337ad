from __future__ import annotations

import dataclasses
import json
import math
from collections import OrderedDict
from typing import NamedTuple

import pytest
import torch

from torch2trt.engine.signature import EngineSignature, Source, TensorSpec, structure_from_json, structure_to_json
from torch2trt.errors import EngineError, InputError
from torch2trt.structure import LEAF, Structure, flatten, unflatten


class Pair(NamedTuple):
    first: object
    second: object


@dataclasses.dataclass
class Result:
    logits: object
    extra: object = None


class Output(OrderedDict):
    pass


A, B, C = (torch.randn(2) for _ in range(3))
SPECS = tuple(TensorSpec(name, torch.float32, (2,)) for name in "abc")

STRUCTURES = [
    A,
    (A, B),
    (),
    [],
    {},
    [A, (B, [C]), None],
    {"x": A, "y": {"z": (B,)}, 3: C, ("k", 1): None},
    (A, 1, 2.5, True, None, "text", math.inf, 1 + 2j, torch.float16, torch.device("cpu")),
    Pair(A, [B, C]),
    Result(A, {"m": B}),
    (Output(q=A, r=B),),
]


@pytest.mark.parametrize("value", STRUCTURES, ids=range(len(STRUCTURES)))
def test_structure_round_trip(value):
    leaves, structure = flatten(value)
    classes = {f"{cls.__module__}:{cls.__qualname__}": cls for cls in (Pair, Result, Output)}
    back = structure_from_json(json.loads(json.dumps(structure_to_json(structure))), classes)
    assert back == structure
    assert type(unflatten(leaves, back)) is type(value)


def test_unknown_classes_are_replaced_not_looked_up():
    leaves, structure = flatten((Pair(A, B), Result(C), Output(q=A)))
    back = structure_from_json(json.loads(json.dumps(structure_to_json(structure))), {})
    pair, result, output = unflatten(leaves, back)
    assert type(pair) is not Pair and pair.first is A and pair[1] is B and type(pair).__name__ == "Pair"
    assert type(result) is not Result and result.logits is C and result.extra is None
    assert output == {"q": A} and type(output) is dict


@pytest.mark.parametrize("name", ["os:system", "x:class", "x:a b", "x:__import__('os')"])
@pytest.mark.parametrize("base", ["namedtuple", "dataclass"])
def test_hostile_class_names_make_no_code(name, base):
    values = {"object": name, "base": base, "fields": [["lambda" if name == "os:system" else "ok", {"leaf": True}]]}
    with pytest.raises(ValueError):
        structure_from_json(values, {})


def test_unstorable_constants():
    with pytest.raises(InputError, match="slice"):
        structure_to_json(flatten((A, slice(1, 2)))[1])


def signature(arguments=(A, B), result=(A, B), **changes):
    leaves, given = flatten(arguments)
    sources, returned = flatten(result)
    values = {
        "inputs": SPECS[: len(leaves)],
        "outputs": SPECS[: len(sources)],
        "arguments": given,
        "argument_names": tuple(f"p{i}" for i in range(len(arguments))),
        "input_of_leaf": tuple(range(len(leaves))),
        "result": returned,
        "sources": tuple(Source("output", index) for index in range(len(sources))),
    }
    return EngineSignature(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argument_names": ("p0",)}, "argument name"),
        ({"input_of_leaf": (0,)}, "each tensor"),
        ({"input_of_leaf": (0, 0)}, "each input"),
        ({"input_of_leaf": (0, None)}, "each input"),
        ({"sources": (Source("output", 0),)}, "each tensor"),
        ({"sources": (Source("output", 0), Source("output", 2))}, "no output 2"),
        ({"sources": (Source("output", 0), Source("input", 5))}, "no input 5"),
        ({"sources": (Source("output", 0), Source("elsewhere", 0))}, "no elsewhere"),
        ({"sources": (Source("output", 0), Source("constant"))}, "no constant"),
    ],
)
def test_parts_must_fit(changes, words):
    with pytest.raises(InputError, match=words):
        signature(**changes)


def test_a_dtype_that_the_network_lacks_is_stored():
    taken = TensorSpec("a", torch.int32, (2,), given=torch.int8)
    made = signature((A,), (A,), inputs=(taken,))
    assert EngineSignature.from_json(json.loads(json.dumps(made.to_json()))).inputs == (taken,)


def test_plain():
    one = EngineSignature.plain(SPECS[:2], SPECS[:1])
    assert one.is_flat
    assert one.argument_names == ("a", "b")
    assert one.result_builder()([A, B], [C]) is C
    two = EngineSignature.plain(SPECS[:1], SPECS[:2])
    assert two.result_builder()([A], [B, C]) == (B, C)


def test_bind_by_position_and_name():
    made = signature((A, {"m": B, "n": [C]}, True))
    assert not made.is_flat
    value = {"n": [C], "m": B}
    for call in (
        made.bind((A, value, True), {}),
        made.bind((A,), {"p1": value}),
        made.bind((), {"p2": True, "p1": value, "p0": A}),
    ):
        assert [id(leaf) for leaf in call] == [id(A), id(B), id(C)]


def test_bind_accepts_objects_for_mappings_and_classes():
    made = signature((Result(A, B),))
    assert made.bind((Result(B, C),), {}) == [B, C]
    assert made.bind(({"logits": A, "extra": B},), {}) == [A, B]


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((A, A, A, A), {}, "4 positional"),
        ((A, {"m": B, "n": [C]}), {"p7": A}, "unknown: p7"),
        ((A, {"m": B, "n": [C]}), {"p0": A}, "twice: p0"),
        ((A,), {}, "missing: p1"),
        ((1, {"m": B, "n": [C]}), {}, "argument p0 must be a tensor, not int"),
        ((A, {"m": B}), {}, r"argument p1 has the keys \['m'\]"),
        ((A, [B, C]), {}, "argument p1 of type list"),
        ((A, {"m": B, "n": [C, C]}), {}, r"argument p1\['n'\] must be a list of 1 entries, not 2 entries"),
        ((A, {"m": B, "n": C}), {}, r"argument p1\['n'\] must be a list of 1 entries, not Tensor"),
        ((A, {"m": B, "n": ["s"]}), {}, r"argument p1\['n'\]\[0\] must be a tensor"),
        ((A, {"m": B, "n": [C]}, False), {}, "argument p2 is False, and the module was converted with True"),
        ((A, {"m": B, "n": [C]}, 1), {}, "argument p2 is 1"),
        ((A, {"m": B, "n": [C]}, A), {}, "argument p2 is a tensor"),
    ],
)
def test_bind_names_what_is_wrong(args, kwargs, words):
    with pytest.raises(InputError, match=words):
        signature((A, {"m": B, "n": [C]}, True)).bind(args, kwargs)


def test_empty_containers_as_arguments():
    made = signature((A, {}, ()))
    assert made.bind((A, {}, ()), {}) == [A]
    assert made.bind((A,), {}) == [A]
    with pytest.raises(InputError, match="p1"):
        made.bind((A, {"x": 1}), {})


def test_unused_and_shared_arguments():
    made = signature((A, B, C), inputs=SPECS[:1], input_of_leaf=(0, None, 0))
    assert made.select_inputs([A, B, A]) == [A]
    with pytest.raises(InputError, match="one tensor for several arguments"):
        made.select_inputs([A, B, C])


def test_result_with_duplicates_pass_through_and_constants():
    fixed = torch.tensor([[1.5, -2.0]], dtype=torch.float16)
    sources = (Source("output", 0), Source("output", 0), Source("input", 1), Source("constant", value=fixed))
    made = signature((A, B), {"x": A, "y": [A, B], "z": C, "n": None}, outputs=SPECS[:1], sources=sources)
    stored = EngineSignature.from_json(json.loads(json.dumps(made.to_json())))
    for each in (made, stored):
        result = each.result_builder()([A, B], [C])
        assert list(result) == ["x", "y", "z", "n"]
        assert result["x"] is C and result["y"][0] is C and result["y"][1] is B and result["n"] is None
        assert torch.equal(result["z"], fixed) and result["z"].dtype == torch.float16
        result["z"].zero_()
        assert torch.equal(each.result_builder()([A, B], [C])["z"], fixed)


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_constants_of_any_dtype(dtype, shape):
    fixed = torch.randint(0, 2, shape).to(dtype)
    made = signature((A,), (A,), sources=(Source("constant", value=fixed),))
    back = EngineSignature.from_json(json.loads(json.dumps(made.to_json()))).sources[0].value
    assert back.dtype == dtype and back.shape == fixed.shape and torch.equal(back, fixed)


def test_json_round_trip():
    made = signature((A, {"m": B}, 3), Pair(A, [B]))
    back = EngineSignature.from_json(json.loads(json.dumps(made.to_json())), types=[Pair])
    for name in ("inputs", "outputs", "arguments", "argument_names", "input_of_leaf", "result"):
        assert getattr(back, name) == getattr(made, name)


@pytest.mark.parametrize("name", ["inputs", "arguments", "sources", "result"])
@pytest.mark.parametrize("value", [None, 3, [3], [{}], {"leaf": 1, "x": 2}, "text"])
def test_damaged_json(name, value):
    values = signature().to_json()
    values[name] = value
    if name in ("arguments", "result") and isinstance(value, dict):
        values[name] = {"object": "a:B", "base": "nonsense", "fields": []}
    with pytest.raises((EngineError, InputError)):
        EngineSignature.from_json(values)


def test_structure_of_signature_is_a_tuple():
    with pytest.raises(InputError):
        signature(arguments=(A, B), **{"argument_names": ()})
    assert signature().arguments == Structure("tuple", (LEAF, LEAF))
