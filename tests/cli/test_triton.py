"""The model repository for Triton: checked against Triton's own schema, and its script run against a stand-in."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

import torch2trt
from tests.cli.commands import run
from torch2trt.engine import triton_model
from torch2trt.engine.bundle import Bundle, Environment
from torch2trt.engine.signature import EngineSignature, TensorSpec
from torch2trt.engine.triton import TritonOptions, max_batch_of, model_config, write_model_repository
from torch2trt.errors import EngineError, InputError

tritonclient = pytest.importorskip("tritonclient")
text_format = pytest.importorskip("google.protobuf.text_format")


@pytest.fixture(scope="module")
def schema():
    """Triton's model_config.proto; by its file, since the package around it needs gRPC."""
    path = Path(tritonclient.__path__[0]) / "grpc" / "model_config_pb2.py"
    description = importlib.util.spec_from_file_location("model_config_pb2", path)
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


def bundle(inputs, outputs, package="tensorrt"):
    signature = EngineSignature.plain([TensorSpec(*spec) for spec in inputs], [TensorSpec(*spec) for spec in outputs])
    return Bundle(b"an engine", signature, environment=Environment(package, "10.0", "2.11"))


BATCHED = bundle(
    [("image", torch.float32, (-1, 3, 8, -1)), ("mask", torch.bool, (-1,))],
    [("scores", torch.float16, (-1, 5)), ("ids", torch.int64, (-1, 2))],
)


def parsed(schema, text):
    return text_format.Parse(text, schema.ModelConfig())


def test_configuration_with_batching(schema):
    options = TritonOptions(16, (4, 8), 200, instances=2, gpus=(0, 3), version=7)
    config = parsed(schema, model_config(BATCHED, 'a "name"', options))
    assert (config.name, config.platform, config.backend, config.max_batch_size) == (
        'a "name"',
        "tensorrt_plan",
        "",
        16,
    )
    image, mask = config.input
    assert (image.name, image.data_type, list(image.dims)) == ("image", schema.TYPE_FP32, [3, 8, -1])
    assert (mask.data_type, list(mask.dims), list(mask.reshape.shape)) == (schema.TYPE_BOOL, [1], [])
    assert mask.HasField("reshape")
    assert [(out.name, out.data_type, list(out.dims)) for out in config.output] == [
        ("scores", schema.TYPE_FP16, [5]),
        ("ids", schema.TYPE_INT64, [2]),
    ]
    (group,) = config.instance_group
    assert (group.count, group.kind, list(group.gpus)) == (2, schema.ModelInstanceGroup.KIND_GPU, [0, 3])
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 8]
    assert config.dynamic_batching.max_queue_delay_microseconds == 200
    assert list(config.version_policy.specific.versions) == [7]


def test_configuration_without_batching(schema):
    config = parsed(schema, model_config(BATCHED, "net", TritonOptions()))
    assert config.max_batch_size == 0 and not config.HasField("dynamic_batching")
    assert list(config.input[0].dims) == [-1, 3, 8, -1] and list(config.input[1].dims) == [-1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int32, torch.int8, torch.uint8])
def test_every_dtype_is_one_of_tritons(schema, dtype):
    config = parsed(schema, model_config(bundle([("x", dtype, (2,))], [("y", dtype, ())]), "net", TritonOptions()))
    name = {torch.bfloat16: "TYPE_BF16"}.get(dtype, f"TYPE_{str(dtype)[6:].upper()}")
    assert config.input[0].data_type == schema.DataType.Value(name)


def test_files_for_the_full_library(tmp_path):
    folder = write_model_repository(BATCHED, tmp_path / "models", "net", TritonOptions(4, version=2))
    assert (folder / "2" / "model.plan").read_bytes() == b"an engine"
    assert {path.name for path in folder.rglob("*")} == {"2", "model.plan", "config.pbtxt"}
    with pytest.raises(InputError, match="exists"):
        write_model_repository(BATCHED, tmp_path / "models", "net", TritonOptions(4, version=2))
    write_model_repository(BATCHED, tmp_path / "models", "net", TritonOptions(4, version=2), force=True)
    write_model_repository(BATCHED, tmp_path / "models", "net", TritonOptions(4, version=3))
    assert {path.name for path in folder.iterdir()} == {"2", "3", "config.pbtxt"}


def test_files_for_rtx(schema, tmp_path):
    rtx = dataclasses.replace(BATCHED, environment=Environment("tensorrt_rtx", "1.4", "2.11"))
    folder = write_model_repository(rtx, tmp_path, "net")
    config = parsed(schema, (folder / "config.pbtxt").read_text())
    assert config.backend == "python" and not config.platform
    assert Bundle.read(folder / "1" / "model.trt2").plan == b"an engine"
    names = {}
    exec((folder / "1" / "model.py").read_text(), names)
    assert names["TritonPythonModel"] is triton_model.TritonPythonModel


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TritonOptions(-1), "too small"),
        (lambda: TritonOptions(instances=0), "too small"),
        (lambda: TritonOptions(4, (8,)), "not between 1 and 4"),
        (lambda: TritonOptions(queue_delay=5), "without a batch size"),
        (lambda: TritonOptions(gpus=(-1,)), "numbered from 0"),
        (lambda: model_config(bundle([("x", torch.float32, (2, 3))], []), "n", TritonOptions(4)), "first axis of x is"),
        (
            lambda: model_config(bundle([("x", torch.float8_e4m3fn, (2,))], []), "n", TritonOptions()),
            "no float8_e4m3fn",
        ),
        (lambda: model_config(Bundle(b"x"), "n", TritonOptions()), "does not say what it takes"),
        (lambda: write_model_repository(BATCHED, "x", "../up"), "is no name"),
        (lambda: write_model_repository(BATCHED, "x", ".."), "is no name"),
    ],
)
def test_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_repository_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((InputError, EngineError), match="file"):
        write_model_repository(BATCHED, tmp_path / "file", "net")


def test_largest_batch():
    assert max_batch_of([{"a": ((1, 2), (2, 2), (8, 2)), "b": ((1,), (2,), (4,))}]) == 4
    assert max_batch_of([{}]) == 0 == max_batch_of([])


# The command


def test_command(schema, folder):
    command = "torch2trt export-triton models.py repository --name net"
    result = run(f"{command} -i image:[1:2:4,3,6,6] --queue-delay 50 --preferred-batch 2 --instances 3", folder)
    assert result.status == 0, result.text
    config = parsed(schema, (folder / "repository" / "net" / "config.pbtxt").read_text())
    assert config.max_batch_size == 4 and config.instance_group[0].count == 3
    assert list(config.input[0].dims) == [3, 6, 6]
    again = run(f"{command} -i image:[1,3,6,6] --json", folder)
    assert again.status == 2 and "exists" in json.loads(again.out)["error"]["message"]
    fixed = run(f"{command} -i image:[1,3,6,6] --force --json", folder)
    assert json.loads(fixed.out)["max_batch_size"] == 0


# Triton's Python backend


class Tensor:
    def __init__(self, name, value):
        self.name, self.value = name, value

    def to_dlpack(self):
        return torch.to_dlpack(self.value)

    @classmethod
    def from_dlpack(cls, name, capsule):
        return cls(name, torch.from_dlpack(capsule))


class InferenceResponse:
    def __init__(self, output_tensors=None, error=None):
        self.error = error
        self.outputs = {tensor.name: tensor.value for tensor in output_tensors or []}


@pytest.fixture
def backend(monkeypatch):
    """The functions of triton_python_backend_utils that the script uses; a request is a dict of tensors."""
    utilities = types.SimpleNamespace(
        get_input_tensor_by_name=lambda request, name: Tensor(name, request[name]),
        Tensor=Tensor,
        InferenceResponse=InferenceResponse,
        TritonError=str,
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", utilities)
    return utilities


class FakeEngine:
    """Doubles `x` and gives its row sums; counts its calls."""

    def __init__(self, bundle, device=None):
        self.calls = []
        self.inputs = [TensorSpec("x", torch.float32, (-1, -1))]
        self.outputs = [TensorSpec("double", torch.float32, (-1, -1)), TensorSpec("sum", torch.float32, (-1,))]

    def __call__(self, x):
        self.calls.append(tuple(x.shape))
        if x.shape[1] > 8:
            raise EngineError("too wide")
        return 2 * x, x.sum(1)

    def close(self):
        self.calls = None


def arguments(folder, max_batch):
    config = {"max_batch_size": max_batch, "output": [{"name": "sum"}, {"name": "double"}]}
    return {
        "model_config": json.dumps(config),
        "model_repository": str(folder),
        "model_version": "1",
        "model_instance_device_id": "0",
    }


@pytest.fixture
def model(backend, monkeypatch, tmp_path):
    def make(max_batch):
        made = triton_model.TritonPythonModel()
        made.initialize(arguments(tmp_path, max_batch))
        made._device = torch.device("cpu")
        return made

    monkeypatch.setattr(triton_model, "Engine", FakeEngine)
    monkeypatch.setattr(triton_model.Bundle, "read", lambda path: Bundle(b"x"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: types.SimpleNamespace(synchronize=lambda: None))
    return make


def test_requests_are_joined_by_shape_and_split_again(model):
    made = model(8)
    values = [torch.randn(2, 3), torch.randn(1, 4), torch.randn(3, 3)]
    responses = made.execute([{"x": value} for value in values])
    assert made._engine.calls == [(5, 3), (1, 4)]
    for value, response in zip(values, responses, strict=True):
        assert response.error is None and list(response.outputs) == ["sum", "double"]
        assert torch.equal(response.outputs["double"], 2 * value)
        torch.testing.assert_close(response.outputs["sum"], value.sum(1))
    made.finalize()
    assert made._engine.calls is None


def test_without_batching_each_request_runs_alone(model):
    made = model(0)
    made.execute([{"x": torch.ones(2, 3)}, {"x": torch.ones(2, 3)}])
    assert made._engine.calls == [(2, 3), (2, 3)]


def test_one_mistake_leaves_the_other_requests_whole(model):
    responses = model(8).execute([{"x": torch.ones(1, 9)}, {"x": torch.ones(1, 3)}])
    assert "too wide" in responses[0].error and responses[1].outputs["sum"].item() == 3


@pytest.mark.gpu
def test_an_engine_behind_the_script(backend, tmp_path):
    module = nn.Linear(3, 2).eval()
    converted = torch2trt.convert(
        module, torch.randn(2, 3), input_names=["x"], output_names=["y"], dynamic_shapes={"x": {0: (1, 2, 8)}}
    )
    folder = write_model_repository(converted.bundle(), tmp_path, "net", TritonOptions(8))
    made = triton_model.TritonPythonModel()
    made.initialize({**arguments(folder, 8), "model_config": '{"max_batch_size": 8, "output": [{"name": "y"}]}'})
    values = [torch.randn(2, 3), torch.randn(3, 3)]
    for value, response in zip(values, made.execute([{"x": value} for value in values]), strict=True):
        with torch.no_grad():
            torch.testing.assert_close(response.outputs["y"].cpu(), module(value), rtol=5e-3, atol=5e-3)
    made.finalize()
