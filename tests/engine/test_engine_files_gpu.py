"""Engines on disk, refitted and looked into, on a GPU."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import torch2trt
from torch2trt.engine.bundle import Bundle, Environment
from torch2trt.engine.graphs import CapturedRun
from torch2trt.engine.options import BuildOptions
from torch2trt.engine.run import Engine
from torch2trt.errors import EngineError, InputError
from torch2trt.trt_compat import is_rtx
from torch2trt.weights import Origin, WeightMap

from . import networks
from .test_engine_gpu import EAGER, close, features

pytestmark = pytest.mark.gpu


# Files


def test_save_and_load(mlp, tmp_path):
    x = features(4)
    engine = mlp()
    path = tmp_path / "model.trt2"
    engine(x)
    engine.save(path)
    with Engine.load(path, cuda_graph=True) as again:
        close(again(x), EAGER(x))
        assert again.inputs == engine.inputs and again.profiles == engine.profiles
        assert again.build_options == engine.build_options and again.environment == Environment.here()
        again.save(path)
    with Engine.load(path) as third:
        close(third(x=x), EAGER(x))
    with pytest.raises(EngineError, match="absent"):
        engine.save(tmp_path / "absent" / "model.trt2")


def test_plain_engines(mlp, tmp_path):
    x = features(4)
    path = tmp_path / "model.engine"
    mlp().export_plan(path)
    with Engine.import_plan(path) as engine:
        close(engine(x), EAGER(x))
        close(engine(x=x), EAGER(x))


def test_copies(mlp):
    x = features(4)
    engine = mlp(auto_device=True)
    for again in (pickle.loads(pickle.dumps(engine)), copy.deepcopy(engine)):
        with again:
            close(again(x.cpu()), EAGER(x))


def test_bytes_that_are_no_engine(tmp_path, mlp):
    """In a process of its own: TensorRT reads these bytes, and must not bring the process down."""
    plan = mlp().bundle(kernels=False).plan
    contents = (b"", b"x" * 5000, plan[: len(plan) // 2], plan[:-1], b"\0" * 64 + plan[64:])
    code = """
        import sys
        from torch2trt.engine.run import Engine
        from torch2trt.errors import EngineError
        for path in sys.argv[1:]:
            try:
                Engine.import_plan(path)
            except EngineError as error:
                print("refused:", error.message.splitlines()[0])
    """
    paths = [tmp_path / f"bad{index}.engine" for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("refused:") == len(contents), done.stdout
    assert "no bytes" in done.stdout


def test_engine_for_another_machine(mlp):
    bundle = mlp().bundle()
    for changes in ({"tensorrt": "1.0.0.0"}, {"compute_capability": "5.0"}):
        with pytest.raises(EngineError, match="was built"):
            Engine(dataclasses.replace(bundle, environment=dataclasses.replace(Environment.here(), **changes)))


def test_built_without_a_gpu(tmp_path):
    """A plan from a process that sees no GPU runs here."""
    code = """
        import sys, torch
        sys.path.insert(0, ".")
        assert not torch.cuda.is_available()
        from tests.engine import networks
        from torch2trt.engine.bundle import Bundle, Environment
        from torch2trt.engine.options import BuildOptions
        made = networks.mlp()
        Bundle(made.serialize(), None, BuildOptions(), Environment.here()).write(sys.argv[1])
    """
    path = tmp_path / "model.trt2"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)], env=environment, check=True)
    x = features(4)
    with Engine.load(path) as engine:
        assert engine.environment.gpu == ""
        close(engine(x), EAGER(x))


COMPILES_NOTHING = "the full library compiles nothing at loading"


@pytest.mark.skipif(not is_rtx(), reason=COMPILES_NOTHING)
def test_compiled_kernels_are_kept(mlp, tmp_path):
    x, folder = features(4), tmp_path / "kernels"
    engine = mlp(kernel_cache=folder)
    close(engine(x), EAGER(x))
    (path,) = folder.glob("*.entry")
    compiled = engine.bundle().runtime_cache
    engine.close()  # what the call compiled is kept too
    kept = path.read_bytes()
    assert compiled and kept.endswith(compiled)
    os.utime(path, (1000, 1000))
    close(mlp(kernel_cache=folder)(x), EAGER(x))
    assert path.stat().st_mtime > 1000  # it was read
    path.write_bytes(b"damaged")
    close(mlp(kernel_cache=folder)(x), EAGER(x))
    assert len(path.read_bytes()) == len(kept)  # in any order


@pytest.mark.skipif(not is_rtx(), reason=COMPILES_NOTHING)
def test_where_kernels_are_kept(mlp, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH2TRT_CACHE_DIR", str(tmp_path / "default"))
    for choice, kept in ((None, 0), (False, 0), (True, 1)):
        mlp(kernel_cache=choice)(features(4))
        assert len(list(tmp_path.glob("default/*.entry"))) == kept
    (tmp_path / "file").write_bytes(b"")
    with pytest.warns(UserWarning, match="kernels are not kept"):
        close(mlp(kernel_cache=tmp_path / "file" / "c")(features(4)), EAGER(features(4)))


@pytest.mark.skipif(not is_rtx(), reason=COMPILES_NOTHING)
def test_kernels_hold_no_weights(tmp_path):
    """Of a network of the same form, and of another whose kernels are taken for its own."""
    x = torch.randn(4, 64, device="cuda").half()

    def engine(*modules, **options):
        return torch2trt.build_engine(nn.Sequential(*modules).eval(), (x,), **options)

    def count():
        return sorted((path.name, path.read_bytes()) for path in tmp_path.glob("*.entry"))

    first, second = nn.Linear(64, 64).cuda().half(), nn.Linear(64, 64).cuda().half()
    close(engine(first, nn.ReLU(), kernel_cache=tmp_path)(x), first(x).relu())
    kept = count()
    close(engine(second, nn.ReLU(), kernel_cache=tmp_path)(x), second(x).relu())
    assert count() == kept
    (kernels,) = [content[32:] for _, content in kept]
    with engine(second, nn.Sigmoid(), kernel_cache=None) as other:
        bundle = dataclasses.replace(other.bundle(), runtime_cache=kernels)
    with Engine(bundle) as other:
        close(other(x), second(x).sigmoid())


@pytest.mark.skipif(not is_rtx(), reason=COMPILES_NOTHING)
def test_kernels_of_something_else_are_compiled_again(mlp):
    x = features(4)
    with Engine(dataclasses.replace(mlp().bundle(), runtime_cache=b"no kernels at all" * 20)) as engine:
        close(engine(x), EAGER(x))


# Weights


NEW = {name: tensor.flip(0) * 0.5 + 0.125 for name, tensor in networks.mlp().weights.items()}
STATE = ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")


def weight_map():
    """The network's fc1.weight is the transpose of the module's; the others are entries as they are."""
    tensors = networks.mlp().weights
    origins = {name: Origin(key=name) for name in STATE}
    origins["fc1.weight"] = Origin(function=torch.t, inputs=(Origin(key="fc1.weight"),))
    return WeightMap(origins, {}, {name: (tuple(tensors[name].shape), torch.float32) for name in STATE})


def state_of(weights, device="cuda"):
    state = {name: tensor.to(device) for name, tensor in weights.items()}
    state["fc1.weight"] = state["fc1.weight"].t().contiguous()
    return {**state, "counter": torch.zeros((), device=device)}


SHAPES = {name: tuple(tensor.shape) for name, tensor in state_of(networks.mlp().weights, "cpu").items()}


@pytest.fixture
def refittable(engine_of):
    return lambda **options: engine_of(
        networks.mlp(),
        "mlp",
        build={"refit": True},
        weights=weight_map(),
        state_shapes=SHAPES,
        **options,
    )


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_refit(refittable, graph, device):
    engine = refittable(cuda_graph=graph)
    x = features(4)
    assert engine.refittable and set(STATE) <= set(engine.weight_names)
    for weights in (networks.mlp().weights, NEW, networks.mlp().weights):
        engine.refit(state_of(weights, device))
        close(engine(x), networks.mlp_eager(x, weights))


def test_graphs_are_captured_again_after_a_refit(refittable, monkeypatch):
    captures = []
    capture = CapturedRun._capture
    monkeypatch.setattr(CapturedRun, "_capture", lambda self, *args: captures.append(1) or capture(self, *args))
    engine = refittable(cuda_graph=True)
    for count, weights in ((1, NEW), (2, networks.mlp().weights)):
        engine.refit(state_of(weights))
        for seed in range(3):
            x = features(4, seed=seed)
            close(engine(x), networks.mlp_eager(x, weights))
        assert len(captures) == count


def test_refit_is_ordered_with_calls_on_other_streams(refittable):
    engine = refittable()
    x = features(8)
    old, new = state_of(networks.mlp().weights), state_of(NEW)
    engine.refit(old)
    engine(x)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(100_000_000)
        before = engine(x)
    with torch.cuda.stream(torch.cuda.Stream()):
        engine.refit(new)
        within = engine(x)
    after = engine(x)
    torch.cuda.synchronize()
    close(before, EAGER(x))
    close(within, networks.mlp_eager(x, NEW))
    close(after, networks.mlp_eager(x, NEW))


def test_partial_refit(refittable):
    engine = refittable()
    x = features(4)
    mixed = {**networks.mlp().weights, "fc2.bias": NEW["fc2.bias"]}
    engine.refit({"fc2.bias": NEW["fc2.bias"].cuda()}, partial=True)
    close(engine(x), networks.mlp_eager(x, mixed))
    mixed["fc1.weight"] = NEW["fc1.weight"]
    engine.refit({"fc1.weight": NEW["fc1.weight"].t()}, partial=True)
    close(engine(x), networks.mlp_eager(x, mixed))


def test_refit_that_does_not_fit_changes_nothing(refittable):
    engine = refittable()
    x = features(4)
    bad = state_of(NEW)
    del bad["fc2.bias"]
    bad["fc2.weight"] = bad["fc2.weight"][:, :7]
    bad["more"] = x
    with pytest.raises(InputError) as caught:
        engine.refit(bad)
    for words in ("fc2.bias is missing", "fc2.weight has shape [32, 7] instead of [32, 8]", "more is no entry"):
        assert words in str(caught.value)
    close(engine(x), EAGER(x))


def test_refit_by_network_names(refittable):
    engine = refittable()
    x = features(4)
    weights = {name: tensor.cuda() for name, tensor in NEW.items()}
    wrong = {**weights, "fc1.bias": weights["fc1.bias"].half(), "fc2.bias": x, "nonsense": x}
    del wrong["fc1.weight"]
    with pytest.raises(InputError) as caught:
        engine.refit_weights(wrong)
    for words in ("fc1.weight is missing", "fc1.bias has dtype", "fc2.bias has 64 elements", "nonsense is no"):
        assert words in str(caught.value)
    close(engine(x), EAGER(x))
    engine.refit_weights(weights)
    close(engine(x), networks.mlp_eager(x, NEW))


def test_refit_of_fixed_weights(mlp):
    engine = mlp()
    assert not engine.refittable and engine.weight_names == ()
    for call in (engine.refit, engine.refit_weights):
        with pytest.raises(EngineError, match=r"BuildOptions\(refit=True\)"):
            call(state_of(NEW))


def test_refit_from_a_module_and_a_file(refittable, tmp_path):
    module = torch.nn.Module()
    module.fc1, module.fc2 = torch.nn.Module(), torch.nn.Module()
    for name, tensor in state_of(NEW, "cpu").items():
        owner, _, part = name.rpartition(".")
        holder = getattr(module, owner) if owner else module
        holder.register_buffer(part, tensor)
    engine = refittable()
    x = features(4)
    engine.refit(module)
    close(engine(x), networks.mlp_eager(x, NEW))
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(state_of(networks.mlp().weights, "cpu"), tmp_path / "old.safetensors")
    engine.refit(tmp_path / "old.safetensors")
    close(engine(x), EAGER(x))


def test_saved_after_a_refit(refittable, tmp_path):
    engine = refittable()
    x = features(4)
    engine.refit(state_of(NEW))
    engine.save(tmp_path / "new.trt2")
    with Engine.load(tmp_path / "new.trt2") as again:
        close(again(x), networks.mlp_eager(x, NEW))
        assert again.refittable
        with pytest.raises(InputError, match=r"fc1\.weight"):
            again.refit(state_of(NEW))
        again.refit({"fc2.bias": torch.zeros(1, 8)}, partial=True)
        close(again(x), networks.mlp_eager(x, {**NEW, "fc2.bias": torch.zeros(1, 8)}))
        again.weights = weight_map()
        again.refit(state_of(networks.mlp().weights))
        close(again(x), EAGER(x))


def test_stripped_engine(engine_of, plans):
    made = networks.mlp()
    whole = plans(made, "mlp", refit=True)
    engine = engine_of(
        made, "mlp", build={"refit": True, "strip_weights": True}, weights=weight_map(), state_shapes=SHAPES
    )
    plan = engine.bundle(kernels=False).plan
    assert len(plan) < len(whole)
    x = features(4)
    with pytest.raises(EngineError, match="without its weights"):
        engine(x)
    with pytest.raises(InputError, match="is missing"):
        engine.refit({"fc2.bias": torch.zeros(1, 8)})
    engine.refit(state_of(NEW))
    close(engine(x), networks.mlp_eager(x, NEW))
    with Engine.from_bytes(engine.to_bytes()) as again:
        close(again(x), networks.mlp_eager(x, NEW))


@pytest.mark.skipif(is_rtx(), reason="TensorRT for RTX makes all weights replaceable or none")
def test_only_some_weights_refittable():
    from torch2trt.engine.build import serialize_network

    made = networks.mlp()
    plan = serialize_network(
        made.builder,
        made.network,
        BuildOptions(refit=True),
        profiles=made.profiles,
        refittable=["fc2.weight", "fc2.bias"],
    )
    x = features(4)
    with Engine(Bundle(plan)) as engine:
        assert set(engine.weight_names) == {"fc2.weight", "fc2.bias"}
        new = {name: NEW[name] for name in ("fc2.weight", "fc2.bias")}
        engine.refit_weights(new)
        close(engine(x), networks.mlp_eager(x, {**networks.mlp().weights, **new}))


# Inspection


def test_layers_and_profile(engine_of, tmp_path):
    engine = engine_of(networks.mlp(), "mlp", build={"profiling_verbosity": "detailed"})
    layers = engine.layers()
    assert layers and all(layer.name for layer in layers)
    assert any(layer.type for layer in layers)
    x = features(8)
    report = engine.profile(x, runs=5)
    assert report.runs == 5 and report.layers and report.total > 0
    assert sum(layer.share for layer in report.layers) == pytest.approx(1)
    report.chrome_trace(tmp_path / "trace.json")
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    print(report)
    print([(layer.name, layer.type, layer.sources, dict(layer.details).get("Metadata")) for layer in layers])
    close(engine(x), EAGER(x))
    with pytest.raises(InputError, match="dtype"):
        engine.profile(x.half())


def test_layers_of_an_engine_that_tells_nothing(engine_of):
    engine = engine_of(networks.mlp(), "mlp", build={"profiling_verbosity": "none"})
    assert all(not layer.type for layer in engine.layers())
