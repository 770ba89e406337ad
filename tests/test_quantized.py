"""Modules with fake quantisation become networks whose products take 8-bit numbers."""

from __future__ import annotations

import collections
import gc
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import torch2trt
from torch2trt import quantized
from torch2trt.errors import DtypeError, UnsupportedArgumentError
from torch2trt.trt_compat import is_rtx

warnings.filterwarnings("ignore", message=r"torch\.ao\.quantization is deprecated")


INT8_WEIGHTS = 1 if is_rtx() else 2  # of a linear layer and a convolution: TensorRT for RTX has no int8 convolution


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 16, 5)

    def forward(self, x):
        return self.linear(functional.relu(self.conv(x)).flatten(1))


X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def symmetric():
    """torch.ao's settings with symmetric int8 throughout, as TensorRT has it."""
    from torch.ao import quantization as ao

    activation = ao.FakeQuantize.with_args(
        observer=ao.MovingAverageMinMaxObserver,
        quant_min=-128,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_tensor_symmetric,
    )
    return ao.QConfig(activation=activation, weight=ao.default_per_channel_weight_fake_quant)


def prepared(qconfig, module=None):
    from torch.ao import quantization as ao

    torch.manual_seed(0)
    module = (Small() if module is None else module).train()
    module.qconfig = qconfig
    module = ao.prepare_qat(module)
    for seed in range(3):
        module(torch.randn(X.shape, generator=torch.Generator().manual_seed(seed)))
    return module.eval().apply(ao.disable_observer)


def layers(converted, kind):
    network = converted.network
    found = [network.get_layer(index) for index in range(network.num_layers)]
    return [layer for layer in found if layer.type.name == kind]


def check(module, tolerance=0.0):
    converted = torch2trt.convert(module, X)
    with torch.no_grad():
        expected = module(X)
    torch.testing.assert_close(converted.evaluate(X), expected, rtol=0, atol=tolerance)
    return converted


def test_symmetric_settings_become_quantize_and_dequantize_layers():
    converted = check(prepared(symmetric()), 1e-6)
    count = collections.Counter(
        converted.network.get_layer(index).type.name for index in range(converted.network.num_layers)
    )
    assert count["QUANTIZE"] == 2 and count["DEQUANTIZE"] == 2 + INT8_WEIGHTS
    (product,) = layers(converted, "MATRIX_MULTIPLY")
    assert product.get_input(1).name in {layer.get_output(0).name for layer in layers(converted, "DEQUANTIZE")}
    kinds = [layer.get_output(0).dtype.name for layer in layers(converted, "CONSTANT")]
    assert kinds.count("INT8") == INT8_WEIGHTS


def test_the_default_settings_of_torch_ao():
    from torch.ao.quantization import get_default_qat_qconfig

    module = prepared(get_default_qat_qconfig("x86"))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the module writes")
        converted = check(module, 1e-6)
    assert len(layers(converted, "DEQUANTIZE")) == INT8_WEIGHTS  # activations have a zero point


def test_an_observer_that_is_on_is_refused():
    from torch.ao import quantization as ao

    module = prepared(ao.get_default_qat_qconfig("x86")).apply(ao.enable_observer)
    with pytest.raises(UnsupportedArgumentError, match="observer_on=1"):
        torch2trt.convert(module, X)


def test_fake_quantisation_that_is_off():
    from torch.ao import quantization as ao

    module = prepared(ao.get_default_qat_qconfig("x86")).apply(ao.disable_fake_quant)
    assert not layers(check(module, 1e-6), "DEQUANTIZE")


def test_other_weights():
    """What a refit does: the 8-bit numbers and the scales follow the new parameters."""
    module, other = prepared(symmetric()), prepared(symmetric(), Small())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5).add_(0.01)
    converted = torch2trt.convert(module, X)
    found = converted.evaluate_with(other.state_dict(), X)
    with torch.no_grad():
        torch.testing.assert_close(found, other(X), rtol=0, atol=1e-6)


def test_dynamic_batch_and_half_precision():
    module = prepared(symmetric())
    converted = torch2trt.convert(module, X, dynamic_shapes={"x": {0: (1, 2, 8)}})
    more = torch.randn(5, 3, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(converted.evaluate(more), module(more), rtol=0, atol=1e-6)
    half = torch2trt.convert(module, X, precision="float16").evaluate(X)
    with torch.no_grad():
        torch.testing.assert_close(half, module(X), rtol=0, atol=3e-2)


def test_a_compiled_module_keeps_quantised_weights():
    module = prepared(symmetric())
    fast = torch2trt.compile(module, X, backend="reference", exclude="aten::relu")
    with torch.no_grad():
        torch.testing.assert_close(fast(X), module(X), rtol=0, atol=1e-6)


# modelopt's quantisers: autograd functions of these names in this module, here with the same maths


class FakeTensorQuantFunction(torch.autograd.Function):
    __module__ = "modelopt.torch.quantization.tensor_quant"

    @staticmethod
    def forward(ctx, inputs, amax, bias=None, num_bits=8, unsigned=False, narrow_range=True, dtype=None):
        most = 2.0 ** (num_bits - 1 + unsigned) - 1
        least = 0 if unsigned else -most if narrow_range else -most - 1
        shifted = inputs if bias is None else inputs - bias
        scale = most / amax
        outputs = torch.clamp((shifted * scale).round(), least, most) / scale
        return outputs if bias is None else outputs + bias


class ScaledE4M3Function(torch.autograd.Function):
    __module__ = "modelopt.torch.quantization.tensor_quant"

    @staticmethod
    def forward(ctx, inputs, amax, bias, exponent_bits, mantissa_bits, dtype=None):
        scale = 448.0 / amax
        return (inputs * scale).clamp(-448.0, 448.0).to(torch.float8_e4m3fn).float() / scale


class Quantizer(nn.Module):
    """With a property that raises, as modelopt's has one."""

    def __init__(self, amax, *, float8=False, bias=None, narrow=False):
        super().__init__()
        self.register_buffer("amax", amax)
        self.float8, self.bias, self.narrow = float8, bias, narrow

    @property
    def step(self):
        raise AssertionError("no step")

    def forward(self, x):
        if self.float8:
            return ScaledE4M3Function.apply(x, self.amax, self.bias, 4, 3, None)
        return FakeTensorQuantFunction.apply(x, self.amax, self.bias, 8, False, self.narrow, None)


class Quantized(nn.Module):
    def __init__(self, **options):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 16, 5)
        self.inputs = nn.ModuleList([Quantizer(torch.tensor(2.5), **options), Quantizer(torch.tensor(1.5), **options)])
        largest = self.conv.weight.detach().abs().amax((1, 2, 3), keepdim=True)
        self.weights = nn.ModuleList([Quantizer(largest, **options), Quantizer(torch.tensor(0.2), **options)])

    def forward(self, x):
        x = functional.conv2d(self.inputs[0](x), self.weights[0](self.conv.weight), self.conv.bias)
        x = self.inputs[1](functional.relu(x).flatten(1))
        return functional.linear(x, self.weights[1](self.linear.weight), self.linear.bias)


@pytest.mark.parametrize(("float8", "kind"), [(False, "INT8"), (True, "FP8")])
def test_modelopt(float8, kind):
    converted = check(Quantized(float8=float8).eval(), 1e-5)
    weights = 2 if float8 else INT8_WEIGHTS
    assert len(layers(converted, "QUANTIZE")) == 2
    held = [layer.get_input(0).dtype.name for layer in layers(converted, "DEQUANTIZE")]
    assert held == [kind] * (2 + weights)


def test_modelopts_narrow_integers_are_rounded_step_by_step():
    converted = check(Quantized(narrow=True).eval(), 1e-5)
    assert not layers(converted, "QUANTIZE") and len(layers(converted, "DEQUANTIZE")) == INT8_WEIGHTS


def test_modelopts_quantiser_with_a_bias_is_what_its_forward_does():
    assert not layers(check(Quantized(bias=torch.tensor(0.1)).eval(), 1e-5), "QUANTIZE")


def test_modelopts_silent_tensors_and_channels():
    module = Quantized().eval()
    with torch.no_grad():
        module.conv.weight[1] = 0
        module.weights[0].amax[1] = 0
        module.inputs[1].amax.zero_()
    converted = torch2trt.convert(module, X)
    torch.testing.assert_close(converted.evaluate(X), module.linear.bias.detach().expand(2, 5), rtol=0, atol=0)


def test_amax_that_is_not_known():
    class Dynamic(nn.Module):
        def forward(self, x):
            return FakeTensorQuantFunction.apply(x, x.abs().amax(), None, 8, False, False, None)

    with pytest.raises(UnsupportedArgumentError, match=r"(?s)amax .*calibrate"):
        torch2trt.convert(Dynamic(), X)


def test_modelopt_itself():
    mtq = pytest.importorskip("modelopt.torch.quantization")
    for settings in (mtq.INT8_DEFAULT_CFG, mtq.FP8_DEFAULT_CFG):
        module = mtq.quantize(Small().eval(), settings, lambda module: module(X))
        assert len(layers(check(module, 1e-5), "QUANTIZE")) == 2


# The notes on known tensors


@pytest.mark.parametrize(
    ("arguments", "noted"),
    [
        ((0.1, 0, -128, 127), True),
        ((0.1, 0, -8, 7), True),
        ((0.1, 1, -128, 127), False),
        ((0.1, 0, 0, 255), False),
    ],
)
def test_what_is_noted(arguments, noted):
    x = torch.randn(4, 5)
    result = torch.fake_quantize_per_tensor_affine(x, *arguments)
    quantized.note("aten::fake_quantize_per_tensor_affine", (x, *arguments), result)
    steps = quantized.steps_of(result)
    assert (steps is not None) == noted
    if steps is not None:
        numbers = steps.numbers(result)
        assert numbers.dtype == torch.int8
        assert torch.equal(numbers * steps.scale, result)
    assert quantized.steps_of(result + 0) is None


def test_notes_go_with_their_tensors():
    result = torch.fake_quantize_per_tensor_affine(torch.randn(3), 0.1, 0, -128, 127)
    quantized.note("aten::fake_quantize_per_tensor_affine", (None, 0.1, 0, -128, 127), result)
    key = id(result)
    assert key in quantized._steps_of
    del result
    gc.collect()
    assert key not in quantized._steps_of


def test_modules_of_quantised_numbers_are_refused_by_the_names_of_their_ops():
    """torch.ao's eager mode: a packed weight is an object, not a tensor."""
    from torch.ao import quantization as ao

    module = nn.Sequential(ao.QuantStub(), nn.Linear(16, 4), ao.DeQuantStub()).eval()
    module.qconfig = ao.default_qconfig
    ao.prepare(module, inplace=True)
    module(torch.randn(2, 16))
    ao.convert(module, inplace=True)
    with pytest.raises(torch2trt.errors.UnsupportedOpError, match="quantized::linear .*module '1'"):
        torch2trt.convert(module, torch.randn(2, 16))
    assert "quantized::linear" in str(torch2trt.check(module, torch.randn(2, 16)))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_weights_of_float8(dtype):
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.arange(-4, 5.0).reshape(3, 3).to(dtype))

        def forward(self, x):
            return x @ (self.weight.to(x.dtype) * 0.5)

    module, x = Product(), torch.arange(6.0).reshape(2, 3)
    torch.testing.assert_close(torch2trt.convert(module, x).evaluate(x), module(x))
    module.weight.data[0] = torch.nan
    with pytest.warns(UserWarning, match="'weight' holds NaN"):
        torch2trt.convert(module, x)


def test_float8_is_moved_and_cast_alone():
    with pytest.raises(DtypeError, match=r"slice layer of float8(.|\n)*cast to float32"):
        torch2trt.convert(lambda x: x.to(torch.float8_e4m3fn)[1:].float(), torch.ones(2, 3))


def test_inputs_of_float8_are_cast_outside():
    x = torch.tensor([1.0, 440, -3]).to(torch.float8_e4m3fn)
    converted = torch2trt.convert(lambda x: x.float() * 2, x)
    assert converted.serialize(optimization_level=0)
    torch.testing.assert_close(converted.evaluate(x), x.float() * 2)


def test_reference_modules_of_torch_ao():
    from torch.ao import quantization as ao
    from torch.ao.quantization import quantize_fx

    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5)).eval()
    qconfig = ao.get_default_qconfig("x86")
    prepared = quantize_fx.prepare_fx(module, ao.QConfigMapping().set_global(qconfig), (x,))
    prepared(x)
    reference = quantize_fx.convert_to_reference_fx(prepared)
    for passes in (True, False):
        converted = torch2trt.convert(reference, x, optimize=passes)
        torch.testing.assert_close(converted.evaluate(x), reference(x))
    assert torch2trt.check(reference, x).ok


class Constants(nn.Module):
    """Products by weights that are quantised tensors."""

    def __init__(self):
        super().__init__()
        weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
        zeros = torch.zeros(4, dtype=torch.int64)
        channels = torch.quantize_per_channel(weight, torch.linspace(0.01, 0.03, 4), zeros, 0, torch.qint8)
        self.register_buffer("channels", channels)
        self.register_buffer("all", torch.quantize_per_tensor(weight, 0.02, 0, torch.qint8))
        self.register_buffer("unsigned", torch.quantize_per_tensor(weight, 0.02, 3, torch.quint8))

    def forward(self, x):
        return [functional.linear(x, weight.dequantize()) for weight in (self.channels, self.all, self.unsigned)]


def test_weights_that_are_quantised_tensors():
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    converted = torch2trt.convert(Constants(), x, optimize=False)
    torch.testing.assert_close(converted.evaluate(x), Constants()(x))
    layers = [converted.network.get_layer(index).type.name for index in range(converted.network.num_layers)]
    assert layers.count("DEQUANTIZE") == 2  # the third has a zero point


@pytest.mark.parametrize(
    "function",
    [
        lambda numbers: numbers.relu().dequantize(),
        lambda numbers: numbers.int_repr(),
        lambda numbers: numbers.dequantize() + numbers.relu().dequantize(),
    ],
)
def test_other_readers_of_quantised_tensors_are_refused(function):
    def run(x):
        return function(torch.quantize_per_tensor(x, 0.1, 0, torch.qint8))

    with pytest.raises(torch2trt.errors.UnsupportedOpError, match=r"quantize_per_tensor.*no quantised tensors"):
        torch2trt.convert(run, torch.ones(2, 3))
