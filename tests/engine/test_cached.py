"""``engine_cache=``: engines that are found again instead of built."""

from __future__ import annotations

import pytest
import torch

import torch2trt
from torch2trt.engine import cached
from torch2trt.engine.bundle import Bundle
from torch2trt.engine.cache import DiskCache, EngineCache
from torch2trt.errors import BuildError, EngineError, InputError
from torch2trt.trt_compat import trt


def model(seed=0, features=8):
    torch.manual_seed(seed)
    layers = [torch.nn.Conv2d(3, features, 3), torch.nn.BatchNorm2d(features), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers).eval()


X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def builds(monkeypatch):
    """The engines that are really built; small ones, made without TensorRT, which refuses refittable ones here."""
    made = []

    def serialize(*args, **options):
        made.append(options)
        return b"plan %d" % len(made)

    monkeypatch.setattr(cached, "serialize_network", serialize)
    return made


def plan_of(module, cache, x=X, **options):
    convert = {key: options.pop(key) for key in ("dynamic_shapes", "precision") if key in options}
    return torch2trt.convert(module, x, **convert).serialize(engine_cache=cache, **options)


def test_a_real_engine_is_found_again(tmp_path):
    first = torch2trt.convert(model(), X).bundle(engine_cache=tmp_path)
    again = torch2trt.convert(model(), X).bundle(engine_cache=tmp_path)
    assert isinstance(again, Bundle) and len(first.plan) > 1000
    assert first.plan == again.plan and first.state_shapes == again.state_shapes
    assert DiskCache(tmp_path).size > len(first.plan)


def test_what_an_engine_depends_on(builds, tmp_path):
    variants = [
        (model(), {}),
        (model(seed=1), {}),
        (model(features=4), {}),
        (model(), {"x": X[:, :, :7]}),
        (model(), {"optimization_level": 1}),
        (model(), {"precision": "float16"}),
        (model(), {"dynamic_shapes": {"input": {0: (1, 2, 4)}}}),
        (model(), {"dynamic_shapes": {"input": {0: (1, 2, 5)}}}),
    ]
    plans = [plan_of(module, tmp_path, **options) for module, options in variants]
    assert len(set(plans)) == len(builds) == len(variants)
    assert [plan_of(module, str(tmp_path), **options) for module, options in variants] == plans
    assert len(builds) == len(variants)


def test_no_cache_unless_it_is_asked_for(builds, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH2TRT_CACHE_DIR", str(tmp_path / "default"))
    for choice in (None, False):
        plan_of(model(), choice)
        plan_of(model(), choice)
    assert len(builds) == 4 and not (tmp_path / "default").exists()
    for _ in range(2):
        plan_of(model(), True)
    assert len(builds) == 5 and (tmp_path / "default").is_dir()
    with pytest.raises(InputError, match=r"3\.5 is no place for a cache"):
        plan_of(model(), 3.5)


def test_refittable_engines_are_found_whatever_their_weights(builds, tmp_path):
    def find(module, **options):
        converted = torch2trt.convert(module, X)
        bundle, current = converted._make(cached.BuildOptions(**options), False, DiskCache(tmp_path))
        return bundle.plan, current

    assert find(model(), refit=True) == (b"plan 1", True)
    assert find(model(seed=1), refit=True) == (b"plan 1", False)
    assert find(model(), refit=True) == (b"plan 1", True)
    assert find(model(features=4), refit=True) == (b"plan 2", True)
    assert find(model(), refit=True, strip_weights=True) == (b"plan 3", True)
    assert find(model(seed=1), refit=True, strip_weights=True) == (b"plan 3", True)  # it holds none
    assert find(model(), strip_weights=True) == (b"plan 4", True)
    assert find(model(seed=1), strip_weights=True) == (b"plan 5", True)


def test_a_full_disk_costs_the_entry_and_not_the_engine(builds, tmp_path, monkeypatch):
    def full(self, key, content):
        raise EngineError("cannot write: no space left on device")

    monkeypatch.setattr(DiskCache, "put", full)
    with pytest.warns(UserWarning, match="no space left"):
        assert plan_of(model(), tmp_path) == b"plan 1"


def test_a_folder_that_cannot_be_made_is_said_before_the_build(builds, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EngineError, match="cache folder"):
        plan_of(model(), tmp_path / "file" / "cache")
    assert not builds


class Shifted(torch.nn.Linear):
    """A linear layer by a constant of its own."""

    def forward(self, x):
        return torch.relu(super().forward(x)) * torch.linspace(1, 2, 100)


def test_stripped_engines_keep_what_no_parameter_gives(builds, monkeypatch):
    monkeypatch.setattr(cached, "is_rtx", lambda: False)
    converted = torch2trt.convert(Shifted(4, 100).eval(), torch.randn(2, 4))
    converted.bundle(refit=True, strip_weights=True)
    converted.bundle(refit=True)
    assert [options["refittable"] for options in builds] == [["bias", "weight"], None]


def test_tensorrt_for_rtx_strips_parameters_alone(builds, monkeypatch):
    monkeypatch.setattr(cached, "is_rtx", lambda: True)
    torch2trt.convert(torch.nn.Linear(4, 100).eval(), torch.randn(2, 4)).bundle(refit=True, strip_weights=True)
    assert [options["refittable"] for options in builds] == [None]
    with pytest.raises(BuildError, match=r"(?s)mul.*constant.*next: build without strip_weights"):
        torch2trt.convert(Shifted(4, 100).eval(), torch.randn(2, 4)).bundle(refit=True, strip_weights=True)
    assert len(builds) == 1


@pytest.mark.gpu
def test_stripped_engine_of_a_module(tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()).eval()
    x = torch.randn(2, 3, 9, 9)
    with torch2trt.build_engine(module, x, refit=True, strip_weights=True) as engine:
        engine.refit(module.state_dict())
        torch.testing.assert_close(engine(x.cuda()).cpu(), module(x).detach(), rtol=0, atol=5e-3)


def test_timing_caches_are_kept_in_the_same_place(builds, tmp_path):
    plan_of(model(), tmp_path)
    (options,) = builds
    options["timing_cache"].write(b"tactics")
    assert cached.TimingCacheFile(DiskCache(tmp_path)).read() == b"tactics"


@pytest.mark.gpu
def test_only_the_weights_differ(tmp_path, monkeypatch):
    built = []
    get = EngineCache.get_or_build

    def counted(self, *args, **options):
        found = get(self, *args, **options)
        built.append(found.fresh)
        return found

    monkeypatch.setattr(EngineCache, "get_or_build", counted)
    x = X.cuda()
    for seed in (0, 1, 0):
        module = model(seed)
        with torch2trt.build_engine(module, X, refit=True, engine_cache=tmp_path) as engine:
            torch.testing.assert_close(engine(x).cpu(), module(X).detach(), rtol=0, atol=5e-3)
        bundle = torch2trt.convert(module, X).bundle(refit=True, engine_cache=tmp_path)
        with torch2trt.Engine(bundle) as engine:
            torch.testing.assert_close(engine(x).cpu(), module(X).detach(), rtol=0, atol=5e-3)
    assert built == [True, False, False, False, False, False]


@pytest.mark.gpu
def test_compiled_modules_use_the_cache(tmp_path):
    module, x = model().cuda(), X.cuda()
    for _ in range(2):
        fast = torch2trt.compile(module, x, engine_cache=tmp_path)
        torch.testing.assert_close(fast(x), module(x).detach(), rtol=0, atol=5e-3)
    entries = {path.name for path in tmp_path.glob("*.entry")}
    torch2trt.compile(module, x, engine_cache=tmp_path)(x)
    assert {path.name for path in tmp_path.glob("*.entry")} == entries


def test_layers_carry_their_names_as_metadata():
    network = torch2trt.convert(model(), X).network
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    assert any(layer.type == trt.LayerType.CONVOLUTION for layer in layers)
    assert all(layer.metadata == layer.name for layer in layers)
