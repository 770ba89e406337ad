"""Products by known matrices, and convolutions by known kernels, in the form that is fastest."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import torch2trt
from tests.passes.rewrites import layer_types
from torch2trt import trt, trt_compat
from torch2trt.emit.by_weight import parts_of

pytestmark = pytest.mark.skipif(
    not (trt_compat.is_available() and trt_compat.is_rtx()), reason="the forms are for TensorRT for RTX"
)

DTYPES = [torch.float16, torch.bfloat16, torch.float32]


def randn(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def check(module, x, atol=4e-3, **options):
    """The module's conversion, which gives what the module gives in float32."""
    converted = torch2trt.convert(module.eval(), x, **options)
    result = converted.evaluate(x)
    assert result.dtype == x.dtype
    with torch.no_grad():
        expected = module.float()(x.float())
    torch.testing.assert_close(result.float(), expected, rtol=0, atol=5e-2 if x.dtype == torch.bfloat16 else atol)
    return converted


def sums(converted):
    """How many axes of parts are summed."""
    return layer_types(converted)["REDUCE"]


class Times(nn.Module):
    """A product by a parameter that is no linear layer."""

    def __init__(self, inner, outer):
        super().__init__()
        self.weight = nn.Parameter(randn(inner, outer) * inner**-0.5)

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize(
    ("rows", "inner", "outer", "parts"),
    [
        (128, 3072, 768, 3),
        (128, 4096, 1024, 4),
        (2, 1024, 8, 2),
        (512, 3072, 768, 2),
        (128, 1016, 8, 1),  # too little to sum
        (1, 4096, 768, 1),  # a vector
        (1024, 3072, 768, 1),  # tiles enough
        (0, 4096, 768, 1),
        (128, 1028, 768, 1),  # parts that are not multiples of 8
    ],
)
def test_how_many_parts(rows, inner, outer, parts):
    assert parts_of(rows, inner, outer) == parts


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("lead", [(5,), (2, 3), (2, 1, 3)])
def test_a_linear_layer_in_parts(lead, bias, dtype):
    converted = check(nn.Linear(1024, 12, bias=bias).to(dtype), randn(*lead, 1024, dtype=dtype))
    assert sums(converted) == 1


@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_by_a_parameter_in_parts(transposed):
    module = Times(1024, 12)
    if transposed:
        module.weight = nn.Parameter(module.weight.detach().t().contiguous().t())
    assert sums(check(module, randn(4, 1024), atol=1e-5)) == 1


@pytest.mark.parametrize("rows, dynamic", [(1, None), (2, {0: (2, 2, 8)})], ids=["a vector", "any number of rows"])
def test_other_linear_layers_are_whole(rows, dynamic):
    options = {"dynamic_shapes": {"input": dynamic}} if dynamic else {}
    assert sums(check(nn.Linear(1024, 12), randn(rows, 1024), atol=1e-5, **options)) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_outputs_that_are_not_aligned_are_padded(transposed, dtype):
    module = (nn.Linear(16, 257) if transposed else Times(16, 257)).to(dtype)
    converted = check(module, randn(2, 3, 16, dtype=dtype))
    layers = [converted.network.get_layer(index) for index in range(converted.network.num_layers)]
    constants = [tuple(layer.get_output(0).shape) for layer in layers if layer.type == trt.LayerType.CONSTANT]
    assert (1, *((320, 16) if transposed else (16, 320))) in constants  # no layer fills it up
    assert layer_types(converted)["SLICE"] == 1  # the result's end


@pytest.mark.parametrize(
    ("rows", "outer", "dtype"),
    [
        (3, 255, torch.float16),
        (3, 260, torch.float16),
        (1, 257, torch.float16),
        (3, 258, torch.float32),
    ],
)
def test_other_outputs_are_not_padded(rows, outer, dtype):
    converted = check(nn.Linear(16, outer).to(dtype), randn(rows, 16, dtype=dtype))
    assert layer_types(converted)["SLICE"] == 0


@pytest.mark.parametrize("module", [nn.Linear(1024, 12), nn.Linear(16, 257)], ids=["in parts", "padded"])
def test_new_weights(module):
    x = randn(4, module.in_features)
    converted = torch2trt.convert(module.eval(), x)
    new = {name: value * 2 for name, value in module.state_dict().items()}
    module.load_state_dict(new)
    torch.testing.assert_close(converted.evaluate_with(new, x), module(x), rtol=0, atol=1e-4)


def randomized(layer):
    nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
    return layer.half()


CONVOLUTIONS = {
    "3 x 3": (nn.Conv2d(128, 12, 3, padding=1), (2, 128, 5, 4)),
    "strided": (nn.Conv2d(128, 12, 3, padding=(0, 2), stride=(2, 3), bias=False), (2, 128, 7, 9)),
    "dilated": (nn.Conv2d(128, 12, (3, 5), padding=4, dilation=(2, 3)), (1, 128, 7, 9)),
    "padded to the same size": (nn.Conv2d(256, 12, (2, 3), padding="same"), (1, 256, 4, 5)),
    "of reflections": (nn.Conv2d(128, 12, 3, padding=1, padding_mode="reflect"), (1, 128, 4, 5)),
    "sequences": (nn.Conv1d(512, 12, 3, padding=1), (3, 512, 7)),
    "volumes": (nn.Conv3d(64, 12, 3, stride=(1, 2, 1), padding=1), (1, 64, 3, 4, 5)),
    "1 x 1": (nn.Conv2d(1024, 12, 1), (1, 1024, 3, 3)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_in_parts(name):
    layer, shape = CONVOLUTIONS[name]
    kinds = layer_types(check(randomized(layer), randn(*shape, dtype=torch.float16)))
    assert (kinds["CONVOLUTION"], kinds["MATRIX_MULTIPLY"], kinds["REDUCE"]) == (0, 1, 1)


def test_a_convolution_without_a_batch_axis():
    layer = randomized(nn.Conv2d(128, 12, 3, padding=1)).eval()  # a trace adds the axis itself
    x = randn(128, 5, 4, dtype=torch.float16)
    converted = torch2trt.convert(torch.jit.script(layer), x)
    assert layer_types(converted)["MATRIX_MULTIPLY"] == 1
    torch.testing.assert_close(converted.evaluate(x).float(), layer.float()(x.float()), rtol=0, atol=4e-3)


def test_a_kernel_of_one_place_as_a_whole_product():
    layer = randomized(nn.Conv2d(512, 12, 1))
    kinds = layer_types(check(layer, randn(1, 512, 16, 16, dtype=torch.float16)))
    assert (kinds["CONVOLUTION"], kinds["MATRIX_MULTIPLY"], kinds["REDUCE"]) == (0, 1, 0)


OTHERS = {
    "groups": (nn.Conv2d(256, 12, 3, groups=2), (1, 256, 5, 5)),
    "few channels": (nn.Conv2d(64, 12, 3), (1, 64, 5, 5)),
    "few channels, one place": (nn.Conv2d(504, 12, 1), (1, 504, 16, 16)),
    "many places": (nn.Conv2d(512, 12, 1), (1, 512, 16, 17)),
    "many places of large kernels": (nn.Conv2d(128, 12, 3, padding=1), (3, 128, 10, 11)),
    "a large kernel": (nn.Conv2d(64, 12, (14, 2)), (1, 64, 14, 5)),
    "strides": (nn.Conv2d(512, 12, 1, stride=2), (1, 512, 9, 9)),
    "no images": (nn.Conv2d(512, 12, 1), (0, 512, 3, 3)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_convolutions_stay(name):
    layer, shape = OTHERS[name]
    converted = torch2trt.convert(layer.half().eval(), randn(*shape, dtype=torch.float16))
    assert layer_types(converted)["MATRIX_MULTIPLY"] == 0


def test_convolutions_of_any_size_stay():
    x = randn(2, 512, 3, 3, dtype=torch.float16)
    converted = check(randomized(nn.Conv2d(512, 12, 1)), x, dynamic_shapes={"input": {0: (1, 2, 4)}})
    assert layer_types(converted)["CONVOLUTION"] == 1


def test_new_kernels():
    layer = randomized(nn.Conv2d(128, 12, 3, padding=1)).eval()
    x = randn(1, 128, 5, 5, dtype=torch.float16)
    converted = torch2trt.convert(layer, x)
    new = {name: value * 2 for name, value in layer.state_dict().items()}
    layer.load_state_dict(new)
    result = converted.evaluate_with(new, x)
    torch.testing.assert_close(result.float(), layer.float()(x.float()), rtol=0, atol=1e-2)


REFITTED = {
    "in parts": (nn.Linear(1024, 12), (4, 1024)),
    "padded": (nn.Linear(64, 257), (4, 64)),
    "a convolution in parts": CONVOLUTIONS["3 x 3"],
    "a convolution as a whole product": (nn.Conv2d(512, 12, 1), (1, 512, 16, 16)),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", REFITTED)
def test_engines_are_refitted(name):
    layer, shape = REFITTED[name]
    layer = randomized(copy.deepcopy(layer)).cuda().eval()
    x = randn(*shape, dtype=torch.float16).cuda()
    with torch2trt.convert(layer, x).build(refit=True) as engine:
        for factor in (1, -2):
            new = {key: value * factor for key, value in layer.state_dict().items()}
            layer.load_state_dict(new)
            engine.refit(new)
            with torch.no_grad():
                torch.testing.assert_close(engine(x), layer(x), rtol=0, atol=1e-2)
