"""The torch operators against PyTorch's and torchvision's own, over random calls and bad ones."""

from __future__ import annotations

import math

import pytest
import torch

from tests.plugins.draws import OPERATORS, draw

HALVES = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def assert_near(actual, expected, tolerance, what=""):
    assert actual.shape == expected.shape, what
    scale = expected[expected.isfinite()].abs().max().item() if expected.isfinite().any() else 0.0
    torch.testing.assert_close(
        actual.double().cpu(), expected.double(), rtol=0, atol=tolerance * max(scale, 1.0), equal_nan=True
    )


def call(operators, made, tensors, device="cpu"):
    placed = [None if tensor is None else tensor.to(device) for tensor in tensors]
    return getattr(operators, made.name)(*made.arguments(placed), **made.options)


def check(operators, name, dtype, seed, device="cpu"):
    made = draw(name, seed)
    tensors = made.to(dtype)
    actual = call(operators, made, tensors, device)
    assert actual.dtype == dtype and actual.device.type == device
    # float32 as PyTorch computes it; half precisions against float64 of the same numbers
    wide = [x.double() if x is not None and x.is_floating_point() else x for x in tensors]
    expected = made.expected(*(tensors if dtype == torch.float32 else wide))
    assert_near(actual, expected, HALVES.get(dtype, 2e-5), f"{name} of seed {seed}: {made.options}")


@pytest.mark.parametrize("name", OPERATORS)
def test_float32(operators, name):
    for seed in range(60):
        check(operators, name, torch.float32, seed)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_half_precision(operators, name, dtype):
    for seed in range(30):
        check(operators, name, dtype, seed)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_cuda(operators, name, dtype):
    for seed in range(100):
        check(operators, name, dtype, seed, "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize(("channels", "maps", "groups"), [(128, 128, 1), (256, 256, 1), (128, 256, 2), (96, 72, 4)])
def test_cuda_deform_conv2d_tiles(operators, dtype, channels, maps, groups):
    from torchvision.ops import deform_conv2d

    x = torch.randn(2, channels, 25, 42).to(dtype)
    weight = (torch.randn(maps, channels // groups, 3, 3) / (9 * channels // groups) ** 0.5).to(dtype)
    offset, mask = torch.randn(2, 18, 25, 42).to(dtype), torch.rand(2, 9, 25, 42).to(dtype)
    actual = operators.deform_conv2d(x.cuda(), weight.cuda(), offset.cuda(), mask.cuda(), None, 1, 1, 1)
    expected = deform_conv2d(x.double(), offset.double(), weight.double(), mask=mask.double(), padding=1)
    assert_near(actual, expected, HALVES.get(dtype, 2e-5))
    last = operators.deform_conv2d(
        x.cuda().to(memory_format=torch.channels_last), weight.cuda(), offset.cuda(), mask.cuda(), None, 1, 1, 1
    )
    assert torch.equal(last, actual)


# So many points that a thread has two of them, where their number is even.
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize(("channels", "width"), [(1, 64), (3, 64), (3, 65), (4, 64), (16, 64)])
@pytest.mark.parametrize("mode", [0, 1])
def test_cuda_grid_sample_3d_of_many_points(operators, dtype, channels, width, mode):
    x = torch.randn(2, channels, 20, 21, 22).to(dtype)
    grid = ((torch.randn(2, 65, 65, width, 3) * 64).round() / 64 + 1 / 331).to(dtype)
    for padding in range(3):
        actual = operators.grid_sample_3d(x.cuda(), grid.cuda(), mode, padding, False)
        expected = torch.ops.aten.grid_sampler_3d(x.double(), grid.double(), mode, padding, False)
        if mode == 0:
            assert_near(actual, expected, HALVES.get(dtype, 2e-5))
        else:  # a place in the middle of two elements may be rounded to either
            assert (actual.cpu() != expected.to(dtype)).float().mean() < 1e-3


@pytest.mark.parametrize("name", ["roi_align", "deform_conv2d"])
def test_channels_last(operators, name):
    for seed in range(10):
        made = draw(name, seed)
        first, *rest = made.tensors
        actual = call(operators, made, [first.to(memory_format=torch.channels_last), *rest])
        torch.testing.assert_close(actual, call(operators, made, made.tensors), rtol=1e-6, atol=1e-6)


def test_strided_inputs(operators):
    made = draw("grid_sample_3d", 1)
    spread = [torch.stack([tensor, tensor + 1], -1)[..., 0] for tensor in made.tensors]
    assert torch.equal(call(operators, made, spread), call(operators, made, made.tensors))


@pytest.mark.parametrize("name", OPERATORS)
def test_opcheck(operators, name):
    made = draw(name, 3)
    torch.library.opcheck(getattr(operators, name).default, made.arguments(made.tensors), made.options)


@pytest.mark.parametrize("name", OPERATORS)
def test_traces(operators, name):
    made = draw(name, 4)
    given = [tensor for tensor in made.tensors if tensor is not None]

    def function(*tensors):
        left = iter(tensors)
        return call(operators, made, [None if tensor is None else next(left) for tensor in made.tensors])

    traced = torch.jit.trace(function, tuple(given))
    assert f"torch2trt::{name}" in str(traced.graph)
    torch.testing.assert_close(traced(*given), function(*given), equal_nan=True)


def test_empty_boxes(operators):
    result = operators.roi_align(torch.randn(2, 3, 4, 4), torch.zeros(0, 5), 1.0, 2, 2)
    assert result.shape == (0, 3, 2, 2)


def test_empty_batches(operators):
    empty = torch.zeros(0, 8, 5, 5)
    assert operators.deform_conv2d(empty, torch.zeros(4, 8, 3, 3), torch.zeros(0, 18, 3, 3)).shape == (0, 4, 3, 3)
    assert operators.grid_sample_3d(torch.zeros(0, 2, 3, 3, 3), torch.zeros(0, 1, 2, 2, 3)).shape == (0, 2, 1, 2, 2)
    assert operators.correlation(empty, empty).shape == (0, 3, 3, 5, 5)
    assert operators.roi_align(empty, torch.zeros(0, 5), 1.0, 2, 2).shape == (0, 8, 2, 2)
    levels = torch.tensor([[2, 2]]), torch.tensor([0])
    places, weights = torch.zeros(0, 5, 2, 1, 3, 2), torch.zeros(0, 5, 2, 1, 3)
    assert operators.ms_deform_attn(torch.zeros(0, 4, 2, 8), *levels, places, weights).shape == (0, 5, 16)
    self, index = torch.randn(3, 4), torch.zeros(0, 4, dtype=torch.int64)
    assert torch.equal(operators.scatter_reduce(self, 0, index, torch.zeros(0, 4), "sum"), self)
    assert operators.scatter_reduce(torch.zeros(0, 4), 0, index, torch.zeros(0, 4), "sum").shape == (0, 4)


def test_offsets_far_outside_read_zeros(operators):
    x, weight = torch.randn(1, 8, 5, 5), torch.randn(4, 8, 1, 1)
    for value in (1e30, -1e30, math.inf, -math.inf, math.nan, 5.0, -1.0):
        offset = torch.full((1, 2, 5, 5), value)
        result = operators.deform_conv2d(x, weight, offset, bias=torch.ones(4))
        if not abs(value) < 5:
            assert torch.equal(result, torch.ones(1, 4, 5, 5)), value


def test_boxes_that_are_not_finite(operators):
    x = torch.randn(1, 2, 4, 4)
    for value in (math.inf, -math.inf, math.nan, 1e30):
        rois = torch.tensor([[0, 0, 0, value, 2], [0, 0, 0, 2, 2]], dtype=torch.float32)
        result = operators.roi_align(x, rois, 1.0, 2, 2, aligned=True)
        assert result[0].isnan().all() and result[1].isfinite().all()


def test_huge_boxes_take_no_time(operators):
    x = torch.randn(1, 1, 4, 4)
    rois = torch.tensor([[0, -1e6, -1e6, 1e6, 1e6]])
    assert operators.roi_align(x, rois, 1.0, 1, 1).abs().item() < 1e-3


def test_places_that_are_not_finite(operators):
    x, grid = torch.ones(1, 1, 2, 2, 2), torch.full((1, 1, 1, 1, 3), math.nan)
    assert operators.grid_sample_3d(x, grid).item() == 0
    assert operators.grid_sample_3d(x, grid, 0, 1).item() == 1
    assert operators.grid_sample_3d(x, torch.full_like(grid, math.inf)).item() == 0
    assert operators.grid_sample_3d(x, torch.full_like(grid, 1e38), 0, 2).isfinite().all()


BAD = {
    "roi_align rank": ("roi_align", lambda x: (x[0], torch.zeros(1, 5), 1.0, 2, 2), "must have 4 axes"),
    "roi_align columns": ("roi_align", lambda x: (x, torch.zeros(1, 4), 1.0, 2, 2), r"shape \(K, 5\)"),
    "roi_align image": (
        "roi_align",
        lambda x: (x, torch.tensor([[7.0, 0, 0, 1, 1]]), 1.0, 2, 2),
        "image 7, of a batch",
    ),
    "roi_align image nan": ("roi_align", lambda x: (x, torch.full((1, 5), math.nan), 1.0, 2, 2), "of a batch of 2"),
    "roi_align size": ("roi_align", lambda x: (x, torch.zeros(1, 5), 1.0, 0, 2), "must be 1 at least"),
    "roi_align dtypes": ("roi_align", lambda x: (x, torch.zeros(1, 5).half(), 1.0, 2, 2), "rois is Half"),
    "roi_align float64": ("roi_align", lambda x: (x.double(), torch.zeros(1, 5).double(), 1.0, 2, 2), "not Double"),
    "roi_align empty map": ("roi_align", lambda x: (x[:, :, :0], torch.zeros(1, 5), 1.0, 2, 2), "height and width"),
    "deform stride": (
        "deform_conv2d",
        lambda x: (x, torch.zeros(2, 8, 1, 1), torch.zeros(2, 2, 5, 5), None, None, 0),
        "strides",
    ),
    "deform channels": (
        "deform_conv2d",
        lambda x: (x, torch.zeros(2, 3, 1, 1), torch.zeros(2, 2, 5, 5)),
        "does not fit 8 channels",
    ),
    "deform offset channels": (
        "deform_conv2d",
        lambda x: (x, torch.zeros(2, 8, 3, 3), torch.zeros(2, 17, 3, 3)),
        "multiple of 18",
    ),
    "deform offset size": (
        "deform_conv2d",
        lambda x: (x, torch.zeros(2, 8, 1, 1), torch.zeros(2, 2, 4, 5)),
        "offset must have shape",
    ),
    "deform mask": (
        "deform_conv2d",
        lambda x: (x, torch.zeros(2, 8, 1, 1), torch.zeros(2, 2, 5, 5), torch.zeros(2, 2, 5, 5)),
        "mask must have shape",
    ),
    "deform kernel": (
        "deform_conv2d",
        lambda x: (x, torch.zeros(2, 8, 7, 7), torch.zeros(2, 98, 1, 1)),
        "larger than the padded input",
    ),
    "grid last axis": (
        "grid_sample_3d",
        lambda x: (x[None], torch.zeros(1, 1, 1, 1, 2)),
        "grid must have shape",
    ),
    "grid mode": ("grid_sample_3d", lambda x: (x[None], torch.zeros(1, 1, 1, 1, 3), 2), "bilinear"),
    "grid padding": ("grid_sample_3d", lambda x: (x[None], torch.zeros(1, 1, 1, 1, 3), 0, -1), "reflection"),
    "grid empty": ("grid_sample_3d", lambda x: (x[None, :, :0], torch.zeros(1, 1, 1, 1, 3)), "must be 1 at least"),
    "scatter range": (
        "scatter_reduce",
        lambda x: (x, 1, torch.full_like(x, 8, dtype=torch.int64), x, "sum"),
        "out of range",
    ),
    "scatter negative": (
        "scatter_reduce",
        lambda x: (x, 1, torch.full_like(x, -1, dtype=torch.int64), x, "sum"),
        "out of range",
    ),
    "scatter dim": ("scatter_reduce", lambda x: (x, 4, x.long(), x, "sum"), "dim 4 is out of range"),
    "scatter reduce": ("scatter_reduce", lambda x: (x, 0, x.long(), x, "max"), "got max"),
    "scatter index": ("scatter_reduce", lambda x: (x, 0, x, x, "sum"), "indices of int64 or int32"),
    "scatter src": ("scatter_reduce", lambda x: (x, 0, x.long(), x[:1], "sum"), "larger than src"),
    "attention levels": (
        "ms_deform_attn",
        lambda x: (
            x,
            torch.tensor([[99, 99]]),
            torch.tensor([0]),
            torch.zeros(2, 1, 5, 1, 1, 2),
            torch.zeros(2, 1, 5, 1, 1),
        ),
        "does not lie within value",
    ),
    "attention overflow": (
        "ms_deform_attn",
        lambda x: (
            x,
            torch.tensor([[2**62, 4]]),
            torch.tensor([0]),
            torch.zeros(2, 1, 5, 1, 1, 2),
            torch.zeros(2, 1, 5, 1, 1),
        ),
        "does not lie within value",
    ),
    "attention weights": (
        "ms_deform_attn",
        lambda x: (
            x,
            torch.tensor([[2, 2]]),
            torch.tensor([0]),
            torch.zeros(2, 1, 5, 1, 1, 2),
            torch.zeros(2, 1, 5, 1, 3),
        ),
        "attention_weights must have shape",
    ),
    "attention too wide": (
        "ms_deform_attn",
        lambda x: (
            x.new_zeros(0, 4, 2**15, 2**13),
            torch.tensor([[2, 2]]),
            torch.tensor([0]),
            torch.zeros(0, 1, 2**15, 1, 1, 2),
            torch.zeros(0, 1, 2**15, 1, 1),
        ),
        "at most",
    ),
    "attention too many places": (
        "ms_deform_attn",
        lambda x: (
            x.new_zeros(0, 4, 2**10, 1),
            torch.zeros(2**9, 2, dtype=torch.long),
            torch.zeros(2**9, dtype=torch.long),
            torch.zeros(0, 1, 2**10, 2**9, 2**9, 2),
            torch.zeros(0, 1, 2**10, 2**9, 2**9),
        ),
        "at most",
    ),
    "correlation shapes": ("correlation", lambda x: (x, x[:, :, 1:]), "second must have shape"),
    "correlation stride": ("correlation", lambda x: (x, x, 1, 1, 0), "must be 1 at least"),
    "correlation kernel": ("correlation", lambda x: (x, x, 9), "larger than the padded input"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input(operators, what):
    name, arguments, message = BAD[what]
    with pytest.raises((RuntimeError, NotImplementedError), match=message):
        getattr(operators, name)(*arguments(torch.zeros(2, 8, 5, 5)))


@pytest.mark.gpu
def test_cuda_bad_values_give_nan(operators):
    x = torch.randn(2, 8, 5, 5, device="cuda")
    rois = torch.tensor([[7.0, 0, 0, 1, 1], [1, 0, 0, 1, 1]], device="cuda")
    aligned = operators.roi_align(x, rois, 1.0, 2, 2)
    assert aligned[0].isnan().all() and aligned[1].isfinite().all()
    self, index = torch.zeros(2, 3, device="cuda"), torch.tensor([[0, 1], [1, 9]], device="cuda")
    scattered = operators.scatter_reduce(self, 1, index, torch.ones(2, 2, device="cuda"), "sum")
    assert torch.equal(scattered[0].cpu(), torch.tensor([1.0, 1, 0])) and scattered[1].isnan().all()
    levels = torch.tensor([[99, 99]], device="cuda"), torch.tensor([0], device="cuda")
    places, weights = torch.zeros(2, 1, 5, 1, 1, 2, device="cuda"), torch.ones(2, 1, 5, 1, 1, device="cuda")
    assert operators.ms_deform_attn(x, *levels, places, weights).isnan().all()


def early(name, size):
    """Arguments of an operator whose kernels begin before those before them have ended, three times other ones."""
    torch.manual_seed(0)
    for _ in range(3):
        x = torch.randn(2, 64, *size, device="cuda", dtype=torch.half)
        if name == "grid_sample_3d":
            yield x, torch.rand(2, *size, 3, device="cuda", dtype=torch.half) * 2 - 1
        else:
            offset, mask = (torch.randn(2, n, *size, device="cuda", dtype=torch.half) for n in (18, 9))
            yield x, torch.randn(72, 64, 3, 3, device="cuda", dtype=torch.half), offset, mask, x.new_zeros(72), 1, 1, 1


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("deform_conv2d", (16, 16)),
        ("deform_conv2d", (200, 200)),
        ("grid_sample_3d", (4, 8, 8)),
        ("grid_sample_3d", (48,) * 3),
    ],
    ids=str,
)
def test_cuda_waits_for_its_inputs(operators, name, size):
    variants = list(early(name, size))
    call, expected = getattr(operators, name), []
    for arguments in variants:
        expected.append(call(*arguments))
        torch.cuda.synchronize()
    assert not torch.equal(expected[0], expected[1])
    tensors = [value.clone() for value in variants[0] if isinstance(value, torch.Tensor)]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = []
        for arguments in variants * 4:
            for tensor, value in zip(tensors, arguments, strict=False):
                tensor.copy_(value)
            results.append(call(*tensors, *arguments[len(tensors) :]))
    for _ in range(5):
        graph.replay()
        torch.cuda.synchronize()
        for index, result in enumerate(results):
            assert torch.equal(result, expected[index % 3]), index
