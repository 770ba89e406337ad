from __future__ import annotations

import json

import pytest

from torch2trt.engine.options import BuildOptions, add_profiles, apply_options
from torch2trt.errors import BuildError, InputError
from torch2trt.trt_compat import is_rtx, trt

from . import networks


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optimization_level": 6}, "optimization_level=6"),
        ({"optimization_level": -1}, "optimization_level=-1"),
        ({"workspace": -5}, "workspace=-5"),
        ({"aux_streams": -1}, "aux_streams=-1"),
        ({"profiling_verbosity": "loud"}, "loud"),
        ({"compute_capability": "sm90"}, "sm90"),
        ({"compute_capability": ("current", "8.9")}, "current"),
    ],
)
def test_bad_values_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        BuildOptions(**values)


@pytest.mark.parametrize("capability", [None, "8.9", ("8.6", "12.0")])
def test_json_round_trip(capability):
    options = BuildOptions(3, 1 << 20, True, "detailed", True, True, capability, 2)
    back = BuildOptions.from_json(json.loads(json.dumps(options.to_json())))
    assert back.capabilities == options.capabilities
    assert back.to_json() == options.to_json()
    assert back == BuildOptions(3, 1 << 20, True, "detailed", True, True, options.capabilities or None, 2)


def test_unknown_names_in_json_are_left_out():
    assert BuildOptions.from_json({"refit": True, "later_option": 1}) == BuildOptions(refit=True)


def config_of(options, *, gpu=False):
    builder, _ = networks.new()
    config = builder.create_builder_config()
    apply_options(config, options, gpu=gpu)
    return config


def test_options_reach_tensorrt():
    config = config_of(
        BuildOptions(
            optimization_level=1,
            workspace=3 << 20,
            tf32=True,
            profiling_verbosity="detailed",
            refit=True,
            aux_streams=2,
        )
    )
    assert config.builder_optimization_level == 1
    assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 3 << 20
    assert config.max_aux_streams == 2
    assert config.profiling_verbosity == trt.ProfilingVerbosity.DETAILED
    assert config.get_flag(trt.BuilderFlag.TF32)
    assert config.get_flag(trt.BuilderFlag.REFIT)
    assert not config.get_flag(trt.BuilderFlag.STRIP_PLAN)


def test_tf32_is_off_by_default():
    builder, _ = networks.new()
    assert builder.create_builder_config().get_flag(trt.BuilderFlag.TF32)
    assert not config_of(BuildOptions()).get_flag(trt.BuilderFlag.TF32)
    assert config_of(BuildOptions(strip_weights=True)).get_flag(trt.BuilderFlag.STRIP_PLAN)


@pytest.mark.skipif(not is_rtx(), reason="the full library builds for its own GPU only")
def test_compute_capabilities_reach_tensorrt():
    config = config_of(BuildOptions(compute_capability=("8.6", "12.0")))
    found = [config.get_compute_capability(i).name for i in range(config.num_compute_capabilities)]
    assert found == ["SM86", "SM120"]
    assert config_of(BuildOptions()).num_compute_capabilities == 0
    current = config_of(BuildOptions(), gpu=True)
    assert [current.get_compute_capability(0).name] == ["CURRENT"]


def test_unknown_compute_capability_names_the_known_ones():
    with pytest.raises(BuildError, match=r"3\.5"):
        config_of(BuildOptions(compute_capability="3.5"))


class OldConfig:
    """A configuration as the full library has it: without compute capabilities."""

    def __init__(self):
        self.flags = set()

    def set_flag(self, flag):
        self.flags.add(flag.name)

    def clear_flag(self, flag):
        self.flags.discard(flag.name)


def test_library_without_compute_capabilities():
    apply_options(OldConfig(), BuildOptions(compute_capability="current"), gpu=True)
    with pytest.raises(BuildError, match=r"not for 8\.9"):
        apply_options(OldConfig(), BuildOptions(compute_capability="8.9"), gpu=True)


SHAPES = ((1, 16), (4, 16), (8, 16))


@pytest.mark.parametrize(
    ("profiles", "words"),
    [
        ([], "x"),
        ([{}], "profile 0: 'x' has no range"),
        ([{"x": SHAPES}, {}], "profile 1: 'x' has no range"),
        ([{"x": SHAPES, "z": SHAPES}], "no input 'z'"),
        ([{"x": SHAPES[:2]}], "needs three shapes"),
        ([{"x": ((4, 16), (1, 16), (8, 16))}], "ascending"),
        ([{"x": ((1, 16), (4, 16), (8, 17))}], "change axis 1"),
        ([{"x": ((1,), (4,), (8,))}], "2 entries"),
        ([{"x": ((-1, 16), (4, 16), (8, 16))}], "negative"),
    ],
)
def test_profiles_that_do_not_fit(profiles, words):
    made = networks.mlp()
    config = made.builder.create_builder_config()
    with pytest.raises(InputError, match=words):
        add_profiles(made.builder, made.network, config, profiles)
    assert config.num_optimization_profiles == 0


def test_every_mistake_of_the_profiles_is_listed():
    made = networks.mlp()
    with pytest.raises(InputError) as caught:
        add_profiles(made.builder, made.network, made.builder.create_builder_config(), [{"u": SHAPES}, {"v": SHAPES}])
    for words in ("'u'", "'v'", "profile 0: 'x'", "profile 1: 'x'"):
        assert words in str(caught.value)


def test_profiles_of_shape_values():
    made = networks.reshaped()
    config = made.builder.create_builder_config()
    with pytest.raises(InputError, match="sizes"):
        add_profiles(made.builder, made.network, config, [{"sizes": ((1,), (3,), (12,))}])
    add_profiles(made.builder, made.network, config, made.profiles)
    assert config.num_optimization_profiles == 1
