from __future__ import annotations

import dataclasses
import io
import json
import random
import zipfile

import pytest
import torch

from torch2trt.engine import bundle as bundles
from torch2trt.engine.bundle import Bundle, Environment, plain_bundle
from torch2trt.engine.options import BuildOptions
from torch2trt.engine.refit import StoredWeights
from torch2trt.engine.signature import EngineSignature, TensorSpec
from torch2trt.errors import EngineError, InputError

HERE = Environment("tensorrt_rtx", "1.4.0.76", "2.11.0", "13.0", "NVIDIA H200", "9.0")


def spec(name):
    return TensorSpec(name, torch.float32, (-1, 4))


def make(plan=b"plan" * 100, **changes):
    values = {
        "plan": plan,
        "signature": EngineSignature.plain([spec("x")], [spec("y")]),
        "options": BuildOptions(refit=True),
        "environment": HERE,
        "weights": StoredWeights({"w": ("m.weight", (2, 3), torch.float16)}, {"v": ("a", "b")}),
        "state_shapes": {"m.weight": (2, 3), "a": (), "b": (4,)},
        "runtime_cache": b"kernels",
    }
    return Bundle(**{**values, **changes})


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.setattr(Environment, "here", classmethod(lambda cls, device=None: HERE))


def test_round_trip(tmp_path):
    before = make()
    path = tmp_path / "model.trt2"
    before.write(path)
    after = Bundle.read(path)
    assert path.read_bytes() == before.to_bytes()
    assert (after.plan, after.runtime_cache) == (before.plan, before.runtime_cache)
    assert after.options == before.options and after.environment == HERE
    assert after.weights == before.weights and after.state_shapes == before.state_shapes
    assert after.signature.to_json() == before.signature.to_json()


def test_round_trip_without_what_is_not_known():
    after = Bundle.from_bytes(Bundle(b"p").to_bytes())
    assert after.plan == b"p" and after.runtime_cache == b""
    assert after.signature is after.options is after.environment is after.state_shapes is None
    assert after.weights == StoredWeights()


def test_it_is_a_zip_with_a_readable_manifest():
    with zipfile.ZipFile(io.BytesIO(make().to_bytes())) as archive:
        assert archive.namelist() == ["manifest.json", "engine.plan", "runtime.cache"]
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}  # equal engines, equal files
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["environment"]["tensorrt"] == "1.4.0.76"
    assert manifest["signature"]["inputs"] == [{"name": "x", "dtype": "float32", "shape": [-1, 4]}]
    assert manifest["weights"]["direct"]["w"]["key"] == "m.weight"


def test_empty_and_foreign_files(tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(b"")
    with pytest.raises(EngineError, match=r"empty is empty"):
        Bundle.read(path)
    for content in (b"x", b"ptrt" * 1000, b"PK\x03\x04", b"\0" * 200):
        with pytest.raises(EngineError, match="damaged"):
            Bundle.from_bytes(content)
    with pytest.raises(EngineError, match="cannot read"):
        Bundle.read(tmp_path / "absent")


def test_every_truncation_is_found():
    content = make().to_bytes()
    for length in range(0, len(content), 7):
        with pytest.raises(EngineError):
            Bundle.from_bytes(content[:length])


def same(left, right):
    return (left.plan, left.runtime_cache, left.signature.to_json(), left.options, left.weights, left.state_shapes) == (
        right.plan,
        right.runtime_cache,
        right.signature.to_json(),
        right.options,
        right.weights,
        right.state_shapes,
    )


def test_no_flipped_bit_changes_what_is_read():
    """Most flips are refused; those in the zip's dates and the like may pass, and then change nothing."""
    before = make()
    content = before.to_bytes()
    rng = random.Random(0)
    refused = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.randrange(8)
        try:
            after = Bundle.from_bytes(bytes(damaged))
        except EngineError:
            refused += 1
        else:
            assert same(before, after), position
    assert refused > 0.95 * len(content) - 150


def rewritten(content, **replaced):
    """The zip with entries replaced, its own checksums intact."""
    source = zipfile.ZipFile(io.BytesIO(content))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, replaced.get(name.replace(".", "_"), source.read(name)))
    return out.getvalue()


def test_swapped_engine():
    content = make().to_bytes()
    with pytest.raises(EngineError, match=r"engine\.plan in .* is not the one"):
        Bundle.from_bytes(rewritten(content, engine_plan=b"nalp" * 100))
    with pytest.raises(EngineError, match=r"runtime\.cache in .* is not the one"):
        Bundle.from_bytes(rewritten(content, runtime_cache=b""))
    assert same(Bundle.from_bytes(rewritten(content)), make())


def manifest_of(content, **changes):
    manifest = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("manifest.json"))
    for name, value in changes.items():
        if value is KeyError:
            del manifest[name]
        else:
            manifest[name] = value
    return rewritten(content, manifest_json=json.dumps(manifest).encode())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "zip"}, "no torch2trt-engine file"),
        ({"format_version": 2}, "format version 2"),
        ({"format_version": KeyError}, "format version None"),
        ({"files": {}}, "manifest lists"),
        ({"files": None}, "manifest lists"),
        ({"files": {"engine.plan": None, "runtime.cache": None}}, "not the one"),
        ({"signature": 3}, "signature"),
        ({"signature": KeyError}, "manifest"),
        ({"options": {"workspace": -1}}, "manifest"),
        ({"options": [1]}, "manifest"),
        ({"environment": {"gpu": "x"}}, "manifest"),
        ({"weights": {"direct": {"w": {}}, "computed": {}}}, "weight names"),
        ({"state_shapes": {"a": "b"}}, "manifest"),
    ],
)
def test_damaged_manifest(changes, words):
    with pytest.raises(EngineError, match=words):
        Bundle.from_bytes(manifest_of(make().to_bytes(), **changes))


def test_manifest_that_is_no_json():
    for text in (b"", b"[", b"\xff", b"[" * 100_000, b"3"):
        with pytest.raises(EngineError):
            Bundle.from_bytes(rewritten(make().to_bytes(), manifest_json=text))


def zip_of(*entries, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


def test_entries_that_do_not_belong():
    manifest = ("manifest.json", b"{}")
    for entries in ([manifest], [("engine.plan", b"p")], [], [manifest, ("engine.plan", b"p"), ("../evil", b"x")]):
        with pytest.raises(EngineError, match="it holds"):
            Bundle.from_bytes(zip_of(*entries))
    with pytest.raises(EngineError, match="not stored plainly"):
        Bundle.from_bytes(zip_of(manifest, ("engine.plan", b"0" * 10_000_000), method=zipfile.ZIP_DEFLATED))


def test_nothing_is_unpickled(monkeypatch):
    import pickle

    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    assert Bundle.from_bytes(make().to_bytes()).plan


def check(built, options=None):
    make(environment=built, options=options).check(torch.device("cuda", 0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tensorrt": "1.5.0.1"}, r"built by tensorrt_rtx 1\.5\.0\.1, and this is tensorrt_rtx 1\.4\.0\.76"),
        ({"package": "tensorrt"}, "built by tensorrt 1"),
        ({"compute_capability": "8.9", "gpu": "NVIDIA L4"}, r"8\.9 \(NVIDIA L4\), and cuda:0 is NVIDIA H200 with 9\.0"),
    ],
)
def test_engines_from_elsewhere(changes, words):
    with pytest.raises(EngineError, match=words):
        check(dataclasses.replace(HERE, **changes))


def test_engines_that_fit():
    check(None)
    check(HERE)
    check(dataclasses.replace(HERE, torch_version="2.13", cuda="13.2"))
    check(HERE, BuildOptions(compute_capability="current"))
    check(dataclasses.replace(HERE, gpu="", compute_capability=""))
    check(dataclasses.replace(HERE, compute_capability="8.9"), BuildOptions(compute_capability=("8.9", "9.0")))
    with pytest.raises(EngineError, match=r"8\.6"):
        check(HERE, BuildOptions(compute_capability="8.6"))


def test_plain_engines():
    assert plain_bundle(b"ptrt", None, None).plan == b"ptrt"
    with pytest.raises(EngineError, match="no bytes"):
        plain_bundle(b"", None, None)
    with pytest.raises(EngineError, match=r"Engine\.load"):
        plain_bundle(make().to_bytes(), None, None)


def test_unstorable_value_leaves_the_old_file(tmp_path):
    from torch2trt.structure import LEAF, Structure

    arguments = Structure("tuple", (LEAF, Structure("constant", value=object())))
    plain = make().signature
    bad = dataclasses.replace(plain, arguments=arguments, argument_names=("x", "o"))
    path = tmp_path / "model.trt2"
    make().write(path)
    with pytest.raises(InputError, match="object"):
        make(signature=bad).write(path)
    assert same(Bundle.read(path), make())
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.trt2"]


def test_environment_of_this_machine(monkeypatch):
    monkeypatch.undo()
    here = Environment.here()
    assert here.torch_version == torch.__version__
    assert here.package == bundles.library_identity()["package"]
    assert bool(here.gpu) == bool(here.compute_capability) == torch.cuda.is_available()
