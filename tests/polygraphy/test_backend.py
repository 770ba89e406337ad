"""Loaders and runners in Polygraphy's Python interface."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.cli.commands import RTX  # sets POLYGRAPHY_USE_TENSORRT_RTX before Polygraphy is imported

pytest.importorskip("polygraphy")

from polygraphy.backend.trt import EngineBytesFromNetwork, EngineFromNetwork, TrtRunner
from polygraphy.comparator import Comparator, DataLoader
from polygraphy.exception import PolygraphyException

from torch2trt.polygraphy import (
    DebugRunner,
    EagerRunner,
    ModelFromScript,
    NetworkFromModule,
    ReferenceRunner,
    TraceFromModule,
    model_from_script,
    network_from_module,
    trace_from_module,
)


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3)).eval()


X = torch.linspace(-1, 1, 8).reshape(2, 4)


def test_functors_and_immediate_forms(module):
    builder, network = network_from_module(module, X, input_names=["x"], output_names=["y"])
    again = NetworkFromModule((module, X), input_names=["x"], output_names=["y"])()
    for found in (network, again[1]):
        assert (found.get_input(0).name, found.get_output(0).name) == ("x", "y") and builder is not None
    script, graph = trace_from_module(lambda: (module, X))
    assert isinstance(script, torch.jit.ScriptModule) and graph.input_names == ["input"]


def test_runners_agree_with_the_module(module):
    with torch.no_grad():
        expected = module(X)
    runners = [
        EagerRunner(module, X, input_names=["x"], output_names=["y"]),
        DebugRunner(TraceFromModule(module, X, input_names=["x"]), output_names=["y"]),
        ReferenceRunner(NetworkFromModule(module, X, input_names=["x"], output_names=["y"])),
    ]
    for runner in runners:
        with runner:
            metadata = runner.get_input_metadata(use_numpy_dtypes=False)
            assert list(metadata) == ["x"] and tuple(metadata["x"].shape) == (2, 4)
            result = runner.infer({"x": X.numpy()})
            torch.testing.assert_close(torch.from_numpy(result["y"]), expected)
            assert runner.last_inference_time() > 0


def test_comparator(module):
    runners = [EagerRunner(module, X), ReferenceRunner(NetworkFromModule(module, X))]
    results = Comparator.run(runners, data_loader=DataLoader(seed=1))
    assert bool(Comparator.compare_accuracy(results))


def test_dynamic_axes_are_in_the_metadata(module):
    profiles = [{"input": ((1, 4), (2, 4), (8, 4))}]
    runner = ReferenceRunner(NetworkFromModule(module, X, profiles=profiles))
    eager = EagerRunner(module, X, profiles=profiles)
    debug = DebugRunner(TraceFromModule(module, X, profiles=profiles))
    for each in (runner, eager, debug):
        with each:
            assert tuple(each.get_input_metadata(use_numpy_dtypes=False)["input"].shape) == (-1, 4)
            assert each.infer({"input": np.ones((7, 4), np.float32)})["output"].shape == (7, 3)


def test_any_network_runs_in_the_reference_runner():
    import torch2trt
    from torch2trt import trt

    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    held = network.add_unary(network.add_input("x", trt.float32, (3,)), trt.UnaryOperation.NEG).get_output(0)
    held.name = "y"
    network.mark_output(held)
    with ReferenceRunner((builder, network)) as runner:
        assert runner.infer({"x": np.arange(3, dtype=np.float32)})["y"].tolist() == [0, -1, -2]
    assert torch2trt is not None


def test_errors_are_polygraphys(module, tmp_path):
    with pytest.raises(PolygraphyException, match="gives no example inputs"):
        network_from_module(module)
    with pytest.raises(PolygraphyException, match="there is no file"):
        model_from_script(str(tmp_path / "none.py"), "make_model")
    with pytest.raises(PolygraphyException, match="excluded"):
        network_from_module(module, X, param_exclude="2.*")


def test_scripts_share_their_module(tmp_path):
    path = tmp_path / "script.py"
    path.write_text("import torch\ndef make_model():\n    return torch.nn.Linear(2, 3)\n")
    first, second = ModelFromScript(str(path)), ModelFromScript(str(path), "make_model")
    assert first().module is ModelFromScript(str(path))().module and second().module.out_features == 3


@pytest.mark.skipif(not RTX and not torch.cuda.is_available(), reason="the full library builds on a GPU only")
def test_polygraphys_loaders_take_our_networks(module):
    content = EngineBytesFromNetwork(NetworkFromModule(module, X))()
    assert len(bytes(content)) > 1000


@pytest.mark.gpu
def test_engine_from_our_network(module):
    with torch.no_grad():
        expected = module(X)
    with TrtRunner(EngineFromNetwork(NetworkFromModule(module, X))) as runner:
        result = runner.infer({"input": X.numpy()})
    torch.testing.assert_close(torch.from_numpy(result["output"]), expected, rtol=5e-3, atol=5e-3)


@pytest.mark.gpu
def test_eager_runner_on_a_gpu_leaves_the_module_where_it_is(module):
    with torch.no_grad():
        expected = module(X)
    with EagerRunner(module, X, device="cuda") as runner:
        result = runner.infer({"input": X.numpy()})
    torch.testing.assert_close(torch.from_numpy(result["output"]), expected)
    assert module[0].weight.device.type == "cpu"
