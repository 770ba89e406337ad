"""The TensorRT plugins, from creator to enqueue, without TensorRT's library; and in TensorRT's own registry."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import torch

from tests.plugins.draws import OPERATORS, draw
from tests.plugins.life import FLOATS, TYPES, Life, fields_of, some_draw
from torch2trt import trt_compat

LINEAR = "0"


def exact(made):
    """The tensors, made such that sums come out the same in any order: a scatter adds in none."""
    if made.name != "scatter_reduce":
        return made.tensors
    return [x.nan_to_num().mul(2).round() if x.is_floating_point() else x for x in made.tensors]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_life(harness, library, built, operators, name, dtype, tmp_path):
    for seed in range(6):
        made = draw(name, seed)
        if name == "scatter_reduce" and not made.tensors[0].dim():
            continue  # a handler gives a number to native layers
        tensors = [x.to(dtype) if x is not None and x.is_floating_point() else x for x in exact(made)]
        life = Life(harness, library, tmp_path, name, fields_of(made), tensors)
        assert life.end == "done", life.lines
        device = "cuda" if built.cuda else "cpu"
        placed = [None if x is None else x.to(device) for x in tensors]
        expected = getattr(operators, name)(*made.arguments(placed), **made.options).cpu()
        assert life.said("shape") == [[str(size) for size in expected.shape]]
        torch.testing.assert_close(life.result(expected), expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.gpu
@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_sanitizer(harness, library, built, name, dtype, tool, tmp_path):
    sanitizer = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")
    if sanitizer is None or not built.cuda:
        pytest.skip("needs compute-sanitizer and the kernels built for CUDA")
    prefix = [sanitizer, "--tool", tool, "--error-exitcode", "9"]
    made = [made for seed in range(8) if (made := draw(name, seed)).tensors[0].dim()]
    for one in made:
        life = Life(harness, library, tmp_path, name, fields_of(one), one.to(dtype), prefix=prefix)
        assert "done" in life.lines, life.lines


@pytest.mark.parametrize("name", OPERATORS)
def test_formats(harness, library, name, tmp_path):
    made = some_draw(name)
    life = Life(harness, library, tmp_path, name, fields_of(made), made.tensors)
    tensors = [x for x in made.tensors if x is not None]
    accepted = {}
    for position, kind, layout in life.said("accepts"):
        assert layout == LINEAR
        accepted.setdefault(int(position), set()).add(kind)
    indices = [i for i, x in enumerate(tensors) if not x.is_floating_point()]
    for position in range(len(tensors) + 1):
        if position == 0:
            assert accepted[position] == FLOATS
        elif position == len(tensors) or tensors[position].is_floating_point():
            assert accepted[position] == {"float32"}, position
        elif position == indices[0]:
            assert accepted[position] == {"int32", "int64"}
        else:
            assert accepted[position] == {TYPES[tensors[indices[0]].dtype]}


def test_creators(harness, library, tmp_path):
    made = draw("roi_align", 0)
    life = Life(harness, library, tmp_path, "roi_align", fields_of(made), made.tensors)
    assert life.said("getCreators") == life.said("getPluginCreators") == [["6"]]
    assert life.said("creator") == [["1", "torch2trt"]]
    assert [name for (name,) in life.said("field")] == list(fields_of(made))


def _life(harness, library, folder, name, change=None, tensors=None, edits=()):
    made = some_draw(name)
    fields = fields_of(made)
    if change is not None:
        change(fields)
    return Life(harness, library, folder, name, fields, tensors or made.tensors, edits)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("roi_align", lambda f: f.pop("pooled_height"), "field pooled_height is missing"),
        ("roi_align", lambda f: f.update(pooled_height=3.0), "field pooled_height must be int32"),
        ("roi_align", lambda f: f.update(spatial_scale=1), "field spatial_scale must be float32"),
        ("roi_align", lambda f: f.update(extra=1), "there is no field extra"),
        ("deform_conv2d", lambda f: f.update(stride=[1]), "field stride must hold 2 numbers, got 1"),
        ("scatter_reduce", lambda f: f.pop("dim"), "field dim is missing"),
    ],
)
def test_bad_fields(harness, library, name, change, message, tmp_path):
    life = _life(harness, library, tmp_path, name, change)
    assert life.end == "failed createPlugin" and message in life.log


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("drop aligned", "field aligned is missing"),
        ("drop abi", "truncated, or not this library's"),
        ("shorten pooled_width", "field pooled_width must hold 1 numbers, got 0"),
        ("shorten abi", "field abi must hold 1 numbers"),
        ("change abi 99", "another version of the library (99, this one is 1)"),
    ],
)
def test_bad_serialised_data(harness, library, edit, message, tmp_path):
    life = _life(harness, library, tmp_path, "roi_align", edits=[edit])
    assert life.end == "failed recreating" and message in life.log


@pytest.mark.parametrize(
    ("name", "change", "shapes", "stage", "message"),
    [
        ("roi_align", None, [(1, 2, 4, 4), (3, 4)], "onShapeChange", "rois must have 5 columns"),
        ("roi_align", None, [(1, 2, 4), (3, 5)], "getOutputShapes", "wrong number of axes"),
        ("roi_align", None, [(1, 2, 4, 4)], "getOutputDataTypes", "number of inputs"),
        ("roi_align", lambda f: f.update(pooled_width=0), None, "onShapeChange", "must be 1 at least"),
        ("correlation", lambda f: f.update(stride=0), None, "getOutputShapes", "could not be computed"),
        ("correlation", None, [(1, 2, 9, 9), (1, 2, 9, 8)], "onShapeChange", "must have one shape"),
        ("correlation", lambda f: f.update(kernel_size=50), None, "a negative size", ""),
        ("deform_conv2d", lambda f: f.update(stride=[0, 1]), None, "onShapeChange", "strides"),
        ("deform_conv2d", lambda f: f.update(padding=[9, 9]), None, "onShapeChange", "offset has the wrong shape"),
        ("grid_sample_3d", lambda f: f.update(padding_mode=7), None, "onShapeChange", "padding_mode"),
        ("grid_sample_3d", None, [(1, 2, 3, 3, 3), (1, 2, 2, 2, 2)], "onShapeChange", "grid has the wrong shape"),
        ("scatter_reduce", lambda f: f.update(dim=9), None, "onShapeChange", "dim is out of range"),
        ("scatter_reduce", lambda f: f.update(reduce=5), None, "onShapeChange", "reduce must be"),
    ],
)
def test_bad_shapes(harness, library, name, change, shapes, stage, message, tmp_path):
    tensors = None if shapes is None else [torch.zeros(shape) for shape in shapes]
    life = _life(harness, library, tmp_path, name, change, tensors)
    assert life.end == f"failed {stage}" and message in life.log


@pytest.mark.parametrize("edit", ["largest 0 1 99", "largest 1 0 99", "largest 2 1 99"])
def test_sizes_that_cannot_be_dynamic(harness, library, edit, tmp_path):
    life = _life(harness, library, tmp_path, "deform_conv2d", edits=[edit])
    assert life.end == "failed configurePlugin" and "cannot be dynamic" in life.log


def test_values_out_of_range_give_nan(harness, library, tmp_path):
    fields = {"spatial_scale": 1.0, "pooled_height": 1, "pooled_width": 1}
    rois = torch.tensor([[9.0, 0, 0, 1, 1], [0, 0, 0, 1, 1]])
    life = Life(harness, library, tmp_path, "roi_align", fields, [torch.ones(1, 2, 4, 4), rois])
    result = life.result(torch.empty(2, 2, 1, 1))
    assert result[0].isnan().all() and (result[1] == 1).all()
    index = torch.tensor([[0, 1], [1, 9]])
    tensors = [torch.zeros(2, 3), index, torch.ones(2, 2)]
    life = Life(harness, library, tmp_path, "scatter_reduce", {"dim": 1, "reduce": 0}, tensors)
    result = life.result(torch.empty(2, 3))
    assert result[0].tolist() == [1, 1, 0] and result[1].isnan().all()
    tensors = [torch.ones(1, 4, 1, 2), torch.tensor([[9, 9]]), torch.tensor([0])]
    tensors += [torch.zeros(1, 3, 1, 1, 2, 2), torch.ones(1, 3, 1, 1, 2)]
    life = Life(harness, library, tmp_path, "ms_deform_attn", {}, tensors)
    assert life.result(torch.empty(1, 3, 2)).isnan().all()


def test_needs_no_tensorrt_library(library):
    needed = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True, check=False).stdout
    assert "NEEDED" in needed and "nvinfer" not in needed
    undefined = subprocess.run(["nm", "-D", "-u", str(library)], capture_output=True, text=True, check=False).stdout
    assert "nvinfer" not in undefined


def test_tensorrt_registers_them(library):
    """TensorRT's own registry loads the library and makes plugins of it; TensorRT for RTX has one too."""
    if not trt_compat.is_available():
        pytest.skip("TensorRT is not installed")
    import numpy as np

    from torch2trt.plugins.library import load_plugins
    from torch2trt.reference.plugins import _identity
    from torch2trt.trt_compat import trt

    assert load_plugins(library) == ""
    creator = trt_compat.plugin_registry().get_creator("GridSample3d", "1", "torch2trt")
    mode = trt.PluginField("padding_mode", np.array([1], np.int32), trt.PluginFieldType.INT32)
    plugin = creator.create_plugin("", trt.PluginFieldCollection([mode]), trt.TensorRTPhase.BUILD)
    assert _identity(plugin) == ("GridSample3d", "1")
    wrong = trt.PluginField("padding_mode", np.array([1], np.float32), trt.PluginFieldType.FLOAT32)
    assert creator.create_plugin("", trt.PluginFieldCollection([wrong]), trt.TensorRTPhase.BUILD) is None
