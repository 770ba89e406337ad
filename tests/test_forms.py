"""Which of several equal forms is emitted for TensorRT for RTX in half precision: what it computes right, and fast."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import layer_types
from torch2trt import trt_compat

pytestmark = pytest.mark.skipif(
    not (trt_compat.is_available() and trt_compat.is_rtx()), reason="the forms are for TensorRT for RTX"
)


def image(*shape, dtype=torch.float16):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def check(module, x):
    """The module's conversion, which gives what the module gives in float32."""
    converted = torch2trt.convert(module, x)
    expected = module.float()(x.float())
    torch.testing.assert_close(converted.evaluate(x).float(), expected, rtol=0, atol=5e-3)
    return converted


class Pair(nn.Module):
    """Two convolutions, one on what the other gives."""

    def __init__(self, layer=nn.Conv2d, sizes=(1, 1), between=lambda x: x, bias=True):
        super().__init__()
        self.first = layer(320, 320, sizes[0], bias=bias, padding=sizes[0] // 2)
        self.second = layer(320, 320, sizes[1], bias=bias, padding=sizes[1] // 2)
        self.between = between

    def forward(self, x):
        return self.second(self.between(self.first(x)))


APART = {
    "images": (Pair(), (120, 320, 7, 7)),
    "few of them": (Pair(bias=False), (1, 320, 7, 7)),
    "one": (Pair(bias=False), (320, 7, 7)),
    "sequences": (Pair(nn.Conv1d), (120, 320, 49)),
    "volumes": (Pair(nn.Conv3d, bias=False), (1, 320, 2, 3, 3)),
}


@pytest.mark.parametrize("name", APART)
def test_convolutions_of_size_1_are_kept_apart(name):
    module, shape = APART[name]
    converted = check(module.half().eval(), image(*shape))
    assert layer_types(converted)["UNARY"] == 2
    both = 2 * 2 * 320 * 320  # bytes of their weights; kernels take some 270,000
    assert len(converted.bundle().plan) > both + 150_000


OTHERS = {
    "a kernel of 3 first": (Pair(sizes=(3, 1)), torch.float16),
    "a kernel of 3 second": (Pair(sizes=(1, 3)), torch.float16),
    "float32": (Pair(), torch.float32),
    "bfloat16": (Pair(), torch.bfloat16),
    "with an activation": (Pair(between=torch.relu), torch.float16),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_convolutions_are_not(name):
    module, dtype = OTHERS[name]
    converted = torch2trt.convert(module.to(dtype).eval(), image(120, 320, 7, 7, dtype=dtype))
    assert layer_types(converted)["UNARY"] == 0


def convolved_dtypes(converted):
    """The dtypes of a network's convolutions."""
    layers = (converted.network.get_layer(index) for index in range(converted.network.num_layers))
    return [layer.get_output(0).dtype.name for layer in layers if layer.type.name == "CONVOLUTION"]


@pytest.mark.parametrize(
    "layer, channels, shape",
    [
        (nn.Conv1d, 8, (2, 8, 9)),
        (nn.Conv1d, 8, (8, 9)),
        (nn.Conv2d, 8, (2, 8, 9, 8)),
        (nn.Conv2d, 8, (8, 9, 8)),
        (nn.Conv2d, 64, (2, 64, 9, 8)),
        (nn.ConvTranspose2d, 8, (2, 8, 5, 6)),
    ],
)
def test_narrow_groups_of_bfloat16_are_convolved_in_float32(layer, channels, shape):
    """RTX 1.4 compiles groups of one channel only along three axes, slowly; swapped weights still reach them."""
    options = {"groups": 8, "stride": 2, "padding": 2, "dilation": 1 if layer is nn.ConvTranspose2d else 2}
    module = layer(channels, channels, 3, **options).bfloat16().eval()
    x = image(*shape, dtype=torch.bfloat16)
    converted = torch2trt.convert(module, x)
    assert convolved_dtypes(converted) == ["FLOAT"]
    torch.testing.assert_close(converted.evaluate(x), module(x), rtol=1e-2, atol=1e-2)
    other = layer(channels, channels, 3, **options).bfloat16().eval()
    swapped = converted.evaluate_with(other.state_dict(), x)
    torch.testing.assert_close(swapped, other(x), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "module, dtype",
    [
        (nn.Conv2d(32, 32, 3, groups=2), torch.bfloat16),
        (nn.Conv2d(8, 8, 3), torch.bfloat16),
        (nn.Conv2d(8, 8, 3, groups=8), torch.float16),
        (nn.Conv2d(8, 8, 3, groups=8), torch.float32),
    ],
)
def test_other_convolutions_keep_their_dtype(module, dtype):
    converted = torch2trt.convert(module.to(dtype).eval(), image(2, module.in_channels, 9, 9, dtype=dtype))
    assert convolved_dtypes(converted) == [trt_compat.to_trt_dtype(dtype).name]


VOLUME = (2, 6, 7, 9, 8)
SLICED = {
    "padded": {"padding": (1, 2, 0), "stride": (2, 1, 2)},
    "dilated": {"dilation": (2, 1, 2), "padding": 2, "bias": False},
    "same": {"padding": "same"},
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", SLICED)
def test_channels_of_volumes_are_convolved_slice_by_slice(name, dynamic, dtype):
    """Each on its own; swapped weights still reach them, and there may be no batch axis."""
    module, other = (nn.Conv3d(6, 6, 3, groups=6, **SLICED[name]).to(dtype).eval() for _ in range(2))
    x = image(*VOLUME, dtype=dtype)
    ranges = {axis: (size - 1, size, size + 3) for axis, size in enumerate(VOLUME) if axis != 1}
    converted = torch2trt.convert(module, x, dynamic_shapes={"input": ranges} if dynamic else None)
    layers = (converted.network.get_layer(index) for index in range(converted.network.num_layers))
    ranks = [len(layer.get_output(0).shape) for layer in layers if layer.type.name == "CONVOLUTION"]
    assert ranks == [4, 4, 4]
    accuracy = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-2, "atol": 1e-2}
    largest = image(*(size + 3 * (axis != 1) for axis, size in enumerate(VOLUME)), dtype=dtype)
    for given in (x, largest) if dynamic else (x,):
        torch.testing.assert_close(converted.evaluate(given), module(given), **accuracy)
    torch.testing.assert_close(converted.evaluate_with(other.state_dict(), x), other(x), **accuracy)
    torch.testing.assert_close(torch2trt.convert(module, x[0]).evaluate(x[0]), module(x[0]), **accuracy)


@pytest.mark.parametrize("dtype, count", [(torch.bfloat16, 4), (torch.float16, 0), (torch.float32, 0)])
def test_batch_norms_of_bfloat16_are_kept_apart(dtype, count):
    """Others are right where a convolution reads them and a pooling layer reads what they scale."""
    module = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.ReLU(), nn.BatchNorm2d(8)).to(dtype).eval()
    x = image(2, 8, 5, 5, dtype=dtype)
    converted = torch2trt.convert(module, x)
    assert layer_types(converted)["UNARY"] == count
    torch.testing.assert_close(converted.evaluate(x), module(x), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("layer, spatial", [(nn.Conv1d, 1), (nn.Conv2d, 2), (nn.Conv3d, 3)])
def test_few_results_get_their_bias_in_float32(layer, spatial, groups):
    module = layer(4, 6, 3, stride=2, padding=2, dilation=2, groups=groups).half().eval()
    converted = check(module, image(2, 4, *[9] * spatial))
    assert layer_types(converted)["CAST"] == 2


def test_how_many_results_are_few():
    module = nn.Conv2d(1, 4, 2, stride=3, padding=1, dilation=2, bias=True).half().eval()
    exact, more = image(1, 1, 1536, 1536), image(1, 1, 1539, 1536)
    counts = [module(x).numel() for x in (exact, more)]
    assert counts[0] <= 1 << 20 < counts[1]
    kinds = [layer_types(torch2trt.convert(module, x))["CAST"] for x in (exact, more)]
    assert kinds == [2, 0]


def test_any_number_of_results_keeps_the_bias():
    converted = torch2trt.convert(
        nn.Conv2d(4, 6, 3).half().eval(), image(2, 4, 9, 9), dynamic_shapes={"input": {0: (1, 2, 4)}}
    )
    assert layer_types(converted)["CAST"] == 0


def test_a_bias_of_float32_is_refitted():
    module = nn.Conv2d(4, 6, 3).half().eval()
    converted = torch2trt.convert(module, image(2, 4, 9, 9))
    new = {name: value * 2 for name, value in module.state_dict().items()}
    module.load_state_dict(new)
    x = image(2, 4, 9, 9)
    result = converted.evaluate_with(new, x)
    torch.testing.assert_close(result.float(), module.float()(x.float()), rtol=0, atol=5e-3)


CONVOLUTIONS = {
    "long kernel, groups": (nn.Conv1d(64, 64, 40, groups=2), (1, 64, 60), True),
    "short kernel, groups": (nn.Conv1d(64, 64, 31, groups=2), (1, 64, 60), False),
    "few channels a group": (nn.Conv1d(64, 64, 40, groups=8), (1, 64, 60), False),
    "long kernel, stride": (nn.Conv1d(64, 64, 40, groups=2, stride=2), (1, 64, 60), False),
    "long kernel, dilation": (nn.Conv1d(64, 64, 40, groups=2, dilation=2), (1, 64, 90), False),
    "many windows": (nn.Conv1d(64, 64, 1024, groups=2), (1, 64, 20000), False),
    "one channel": (nn.Conv1d(1, 512, 10, stride=5), (1, 1, 50000), True),
    "one channel, few places": (nn.Conv1d(1, 512, 10, stride=5), (1, 1, 20000), False),
    "one channel, much overlap": (nn.Conv1d(1, 512, 40, stride=5), (1, 1, 50000), False),
    "to one channel, large kernel": (nn.ConvTranspose1d(402, 1, 400, stride=160), (1, 402, 3), True),
    "to one channel, much work": (nn.ConvTranspose1d(256, 1, 20, stride=10), (1, 256, 4000), True),
    "to one channel, little work": (nn.ConvTranspose1d(256, 1, 20, stride=10), (1, 256, 300), False),
    "to many channels": (nn.ConvTranspose1d(402, 8, 400, stride=160), (1, 402, 3), False),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_along_an_axis_that_are_products(name):
    layer, shape, framed = CONVOLUTIONS[name]
    types = layer_types(torch2trt.convert(layer.eval(), torch.zeros(shape)))
    assert ("MATRIX_MULTIPLY" in types) == framed
    assert ("CONVOLUTION" in types or "DECONVOLUTION" in types) != framed


PHASES = {
    "each channel": (nn.ConvTranspose2d(8, 8, 4, stride=2, groups=8), torch.float32, "CONVOLUTION"),
    "each channel, no stride": (nn.ConvTranspose2d(8, 8, 4, groups=8), torch.float32, "DECONVOLUTION"),
    "all channels": (nn.ConvTranspose2d(8, 8, 4, stride=2), torch.float32, "DECONVOLUTION"),
    "bfloat16": (nn.ConvTranspose2d(8, 8, 4, stride=2), torch.bfloat16, "CONVOLUTION"),
}


@pytest.mark.parametrize("name", PHASES)
def test_transposed_convolutions_by_phases(name):
    layer, dtype, kind = PHASES[name]
    converted = torch2trt.convert(layer.eval().to(dtype), image(1, 8, 5, 6, dtype=dtype))
    assert [found for found in layer_types(converted) if found.endswith("CONVOLUTION")] == [kind]
