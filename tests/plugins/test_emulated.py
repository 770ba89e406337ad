"""The CUDA kernels themselves, without a GPU: compiled for the host, a block's threads as threads.

What a kernel computes is held against the CPU version through the plugins' harness.
"""

from __future__ import annotations

import re

import pytest
import torch

from tests.plugins import kernels
from tests.plugins.draws import OPERATORS, draw
from tests.plugins.life import Life, fields_of
from torch2trt.plugins import build as builder

EMULATOR = kernels.FOLDER.parent / "tests/plugins/emulator"
LAUNCH = re.compile(r"([\w:]+(?:<[\w, ]+>)?)<<<(.*?), stream>>>\(\s*", re.DOTALL)
SHARED = re.compile(r"extern __shared__ .*? (\w+)\[\];")


def translated(text):
    """CUDA's syntax that is not C++'s: launches, and shared memory of a size that is given at the launch."""
    text = LAUNCH.sub(r"emulator::launch(\1, \2, ", text)
    return SHARED.sub(r"unsigned char* \1 = emulator::shared();", text)


@pytest.fixture(scope="session")
def emulated(built, library):
    """The plugins over the emulated kernels."""
    if built.cuda:
        pytest.skip("the kernels run on a GPU here")
    folder = kernels.FOLDER / "kernels-emulated"
    folder.mkdir(parents=True, exist_ok=True)
    with builder.locked(folder / ".lock"):  # other processes of a run want them too
        return build_emulated(folder)


def build_emulated(folder):
    sources = folder / "csrc"
    for path in builder.SOURCES.rglob("*"):
        if path.suffix in (".cu", ".cuh", ".cpp", ".h"):
            target = sources / path.relative_to(builder.SOURCES)
            if path.suffix == ".cu":
                target = target.with_name(f"{path.stem}_emulated.cpp")
            target.parent.mkdir(parents=True, exist_ok=True)
            own = EMULATOR / path.name  # instructions that only the device has
            text = own.read_text() if own.exists() else translated(path.read_text())
            if not target.exists() or target.read_text() != text:
                target.write_text(text)
    compiler = builder.Compiler(builder.find_toolchain(False), folder / "objects", sources)
    # Without ivopts: with them g++ 12 loses what a block's threads put into the table of corners after the first phase.
    flags = ["-std=c++20", "-fno-ivopts", "-w", "-fno-strict-aliasing", f"-I{EMULATOR}", f"-I{sources}", "-pthread"]
    objects = compiler.objects([sources / "kernels" / op / "cuda_emulated.cpp" for op in builder.OPS], flags)
    objects += compiler.objects([sources / "kernels" / op / "cpu.cpp" for op in builder.OPS])
    headers = [f"-isystem{builder.find_tensorrt_headers()}", f"-isystem{builder.cuda_include()}"]
    objects += compiler.objects(sorted((sources / "trt_plugins").glob("*.cpp")), headers)
    return compiler.link(folder / builder.PLUGINS, objects, ["-pthread"])


def check(harness, emulated, operators, folder, made, dtype):
    tensors = made.to(dtype)
    life = Life(harness, emulated, folder, made.name, fields_of(made), tensors)
    assert life.end == "done", life.lines
    expected = getattr(operators, made.name)(*made.arguments(tensors), **made.options)
    scale = max(expected[expected.isfinite()].abs().max().item(), 1.0) if expected.isfinite().any() else 1.0
    tolerance = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[dtype] * scale
    actual = life.result(expected)
    torch.testing.assert_close(actual.float(), expected.float(), rtol=0, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_kernel(harness, emulated, operators, name, dtype, tmp_path):
    made = [made for seed in range(6) if (made := draw(name, seed)).tensors[0].dim()]
    for one in made:
        check(harness, emulated, operators, tmp_path, one, dtype)


# Of a single processor's blocks, 112 places split the warps in two, 216 not at all; of many processors' the warpgroups'
# share their steps in clusters. Wider images are read in strips, of 16 places or 64.
@pytest.mark.parametrize(
    ("height", "width", "processors"), [(5, 6, 132), (7, 8, 1), (9, 12, 1), (5, 39, 1), (4, 40, 132), (3, 70, 132)]
)
@pytest.mark.parametrize(
    ("dtype", "warpgroups"),
    [(torch.float32, False), *((dtype, kind) for dtype in (torch.float16, torch.bfloat16) for kind in (False, True))],
    ids=str,
)
@pytest.mark.parametrize(
    ("channels", "maps", "groups", "offset_groups"), [(72, 200, 1, 1), (160, 136, 2, 1), (32, 40, 1, 4)]
)
def test_deform_conv2d_tiles(
    harness,
    emulated,
    operators,
    channels,
    maps,
    groups,
    offset_groups,
    dtype,
    height,
    width,
    processors,
    warpgroups,
    tmp_path,
    monkeypatch,
):
    monkeypatch.setenv("EMULATED_PROCESSORS", str(processors))
    monkeypatch.setenv("EMULATED_WARPGROUPS", str(int(warpgroups)))
    made = draw("deform_conv2d", 0)
    weight = torch.randn(maps, channels // groups, 2, 3) / (channels // groups * 6) ** 0.5
    offset = torch.randn(2, 12 * offset_groups, height, width) * 2
    mask = torch.rand(2, 6 * offset_groups, height, width)
    made.tensors = [torch.randn(2, channels, height + 1, width + 2), weight, offset, mask, torch.randn(maps)]
    made.options = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}
    check(harness, emulated, operators, tmp_path, made, dtype)


# The blocks of a cluster share the steps of several phases; how many they are, steps and processors say.
@pytest.mark.parametrize(
    ("blocks", "processors", "kernel"), [(1, 1, 9), (2, 4, 9), (3, 132, 3), (4, 132, 9), (4, 132, 20)]
)
@pytest.mark.parametrize("maps", [40, 128, 264])
def test_deform_conv2d_clusters(harness, emulated, operators, maps, blocks, processors, kernel, tmp_path, monkeypatch):
    monkeypatch.setenv("EMULATED_PROCESSORS", str(processors))
    monkeypatch.setenv("EMULATED_CLUSTER", str(blocks))
    made = draw("deform_conv2d", 0)
    channels = 64 if blocks == 3 else 144
    weight = torch.randn(maps, channels, 1, kernel) / (channels * kernel) ** 0.5
    offset, mask = torch.randn(1, 4 * kernel, 9, 14) * 2, torch.rand(1, 2 * kernel, 9, 14)
    made.tensors = [torch.randn(1, channels, 9, 13 + kernel), weight, offset, mask, torch.randn(maps)]
    made.options = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}
    check(harness, emulated, operators, tmp_path, made, torch.float16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("far", "width", "padding"), [(4, 36, 0), (4, 60, 4), (0, 32, 0), (2, 40, 0), (5, 37, 3)])
def test_correlation_volumes(harness, emulated, operators, far, width, padding, dtype, tmp_path):
    made = draw("correlation", 0)
    made.tensors = [torch.randn(2, 42, 7, width) for _ in range(2)]
    made.options |= {"kernel_size": 1, "max_displacement": far, "stride": 1, "padding": padding, "patch_dilation": 1}
    check(harness, emulated, operators, tmp_path, made, dtype)


# Of a single processor each thread has all places of a query; of many four threads share them. Blocks hold some places
# of some queries at a time, and some packs of a head.
@pytest.mark.parametrize("processors", [1, 132])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize(
    ("channels", "queries", "points"), [(32, 70, 4), (40, 9, 7), (7, 130, 3), (264, 5, 2), (1, 40, 1)]
)
def test_ms_deform_attn_blocks(
    harness, emulated, operators, channels, queries, points, dtype, processors, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMULATED_PROCESSORS", str(processors))
    made = draw("ms_deform_attn", 0)
    sizes = torch.tensor([[4, 5], [3, 1], [1, 1], [2, 6]])
    starts = sizes.prod(1).cumsum(0) - sizes.prod(1)
    locations = torch.rand(2, queries, 3, 4, points, 2) * 1.4 - 0.2
    weights = torch.rand(2, queries, 3, 4, points)
    made.tensors = [torch.randn(2, 36, 3, channels), sizes, starts, locations, weights]
    check(harness, emulated, operators, tmp_path, made, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize(("channels", "depth"), [(3, 4), (4, 4), (4, 5), (8, 4), (40, 5)])
@pytest.mark.parametrize("points", [(3, 4, 50), (1, 1, 300)], ids=["volume", "list"])
def test_grid_sample_3d_packs(harness, emulated, operators, points, channels, depth, dtype, tmp_path):
    made = draw("grid_sample_3d", 0)
    made.tensors = [torch.randn(2, channels, depth, 5, 3), torch.randn(2, *points, 3)]
    made.options = {"interpolation_mode": 0, "padding_mode": 0, "align_corners": False}
    check(harness, emulated, operators, tmp_path, made, dtype)


# As many points as a single processor's threads: read two at a time, where they are even.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize(("channels", "width"), [(1, 24), (3, 24), (3, 25), (4, 24)])
def test_grid_sample_3d_pairs(
    harness, emulated, operators, channels, width, mode, padding, dtype, tmp_path, monkeypatch
):
    monkeypatch.setenv("EMULATED_PROCESSORS", "1")
    made = draw("grid_sample_3d", 0)
    grid = (torch.randn(2, 5, 5, width, 3) * 64).round() / 64 + 1 / 331
    made.tensors = [torch.randn(2, channels, 6, 5, 7), grid]
    made.options = {"interpolation_mode": mode, "padding_mode": padding, "align_corners": False}
    check(harness, emulated, operators, tmp_path, made, dtype)


# Sizes that are dynamic: the workspace of the largest must do for all others.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize(
    ("name", "edits"),
    [
        ("grid_sample_3d", ["largest 0 1 6"]),  # not a multiple of four channels
        ("grid_sample_3d", ["largest 1 1 3", "largest 1 2 4"]),  # not a list of points
        ("roi_align", ["largest 0 1 9", "largest 0 2 11"]),
        ("scatter_reduce", ["largest 0 0 9", "largest 1 0 5"]),
        ("deform_conv2d", ["largest 0 2 40"]),
    ],
)
def test_workspace(harness, emulated, name, edits, dtype, tmp_path):
    made = draw(name, 0)
    if name == "grid_sample_3d":
        made.tensors = [torch.randn(2, 4, 5, 5, 3), torch.randn(2, 1, 1, 300, 3)]
        made.options = {"interpolation_mode": 0, "padding_mode": 0, "align_corners": False}
    if name == "deform_conv2d":
        made.tensors = [torch.randn(1, 16, 5, 5), torch.randn(4, 16, 1, 1), torch.zeros(1, 2, 5, 5), None, None]
        made.options = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1]}
    fields, tensors = fields_of(made), made.to(dtype)
    lives = [Life(harness, emulated, tmp_path, name, fields, tensors, more) for more in ([], edits)]
    assert [life.end for life in lives] == ["done", "done"], [life.lines for life in lives]
    needed, given = (int(life.said("workspace")[0][0]) for life in lives)
    assert given >= needed > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("kind", [torch.int64, torch.int32], ids=str)
@pytest.mark.parametrize(
    ("reduce", "include_self"), [("sum", True), ("mean", True), ("sum", False), ("mean", False), ("amax", False)]
)
def test_scatter_reduce_rows(harness, emulated, operators, reduce, include_self, kind, dtype, tmp_path):
    made = draw("scatter_reduce", 0)
    index = torch.randint(0, 5, (3, 20, 1)).expand(-1, -1, 8).contiguous()
    index[:, ::3] = torch.randint(0, 5, (3, 7, 8))  # rows whose elements part ways
    made.tensors = [torch.randn(4, 5, 12), index.to(kind), torch.randn(3, 24, 8)]
    made.options, made.between = {"reduce": reduce, "include_self": include_self}, {1: 1}
    check(harness, emulated, operators, tmp_path, made, dtype)
    index[1, 4, 5] = 7  # of the line [1, :, 5]
    made.tensors[1] = index.to(kind)
    tensors = made.to(dtype)
    result = Life(harness, emulated, tmp_path, made.name, fields_of(made), tensors).result(tensors[0])
    expected = torch.zeros(4, 5, 12, dtype=torch.bool)
    expected[1, :, 5] = True
    assert torch.equal(result.isnan(), expected)
