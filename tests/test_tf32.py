"""Algorithms that keep float32's digits where TensorRT rounds the factors of products to TF32."""

from __future__ import annotations

import pytest
import torch
from torch import fft, linalg

import torch2trt
from tests import harness
from torch2trt.reference import convolution, matrix

X = harness.rand(2, 6, 8)
SQUARE = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(1)) * 4 - 2
"""Of a seed of its own: how much the exponential loses depends on the matrix."""
WINDOW = torch.hann_window(16)
DYNAMIC = {"x": {1: (2, 6, 9), 2: (2, 8, 9)}}
BOUND = 3e-5
"""The largest error, by the largest result; products in TF32 give 1e-4 and more."""


def as_tf32(value: torch.Tensor) -> torch.Tensor:
    """Rounded to 10 bits of mantissa beside the leading one."""
    assert value.dtype == torch.float32
    return ((value.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


@pytest.fixture
def tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluator rounds factors as TensorRT for RTX 1.4 does."""
    multiply = matrix._multiply
    monkeypatch.setattr(matrix, "_multiply", lambda a, b: multiply(as_tf32(a), as_tf32(b)))
    for axes, function in convolution._DECONVOLUTIONS.items():
        monkeypatch.setitem(convolution._DECONVOLUTIONS, axes, rounding(function))


def rounding(function):
    return lambda x, weight, *rest: function(as_tf32(x), as_tf32(weight), *rest)


def convert(function, inputs, dynamic=None):
    return torch2trt.convert(function, inputs, input_names=["x", "y"][: len(inputs)], dynamic_shapes=dynamic)


def error(actual, function, inputs) -> float:
    """The largest error, by the largest result in float64."""
    expected = function(*(value.double() for value in inputs))
    return float((actual - expected).abs().max() / expected.abs().max())


def inverted(x: torch.Tensor) -> torch.Tensor:
    frames = torch.stft(x, 16, window=WINDOW.to(x.dtype), return_complex=True)
    return torch.istft(frames, 16, window=WINDOW.to(x.dtype))


def rotary(x: torch.Tensor) -> torch.Tensor:
    """As language models turn their queries: positions times frequencies, as a product of one term."""
    frequencies = 10000 ** (-torch.arange(8, dtype=x.dtype) / 8)
    positions = torch.arange(x.shape[1], dtype=x.dtype)
    angles = (frequencies[None, :, None] @ positions[None, None, :]).transpose(1, 2)
    return x * angles.cos()


CASES = {
    "rotary": (rotary, (harness.rand(1, 500, 8),), {"x": {1: (1, 500, 4096)}}),
    "outer": (lambda x, y: (x @ y).sin(), (100 * harness.rand(8, 1), harness.rand(1, 8)), None),
    "coordinates": (lambda x, y: torch.einsum("nk,mk->nm", x, y), (harness.rand(50, 3), harness.rand(4, 3)), None),
    "fft2": (lambda x: torch.view_as_real(fft.fft2(x)), (X,), None),
    "rfft": (lambda x: fft.irfft(fft.rfft(x)), (X,), None),
    "two steps": (lambda x: fft.fft(x).abs(), (harness.rand(2, 600),), None),
    "vector": (lambda x: fft.fft(x).abs(), (harness.rand(6),), None),
    "fftn-dynamic": (lambda x: fft.fftn(x).real, (X,), DYNAMIC),
    "ifftn-dynamic": (lambda x: fft.ifftn(x).real, (X,), DYNAMIC),
    "rfft2-dynamic": (lambda x: fft.irfft2(fft.rfft2(x)), (X,), DYNAMIC),
    "filter-dynamic": (lambda x: fft.ifft2(fft.fft2(x) * 0.5).real + fft.fftn(x).imag, (X,), DYNAMIC),
    "istft": (inverted, (harness.rand(2, 64),), None),
    "eigvalsh": (linalg.eigvalsh, (SQUARE + SQUARE.mT,), None),
    "svdvals": (linalg.svdvals, (harness.rand(2, 12, 9),), None),
    "pinv": (linalg.pinv, (harness.rand(2, 9, 5),), None),
    "lstsq": (lambda x, y: linalg.lstsq(x, y).solution, (harness.rand(9, 5), harness.rand(9, 2)), None),
    "qr": (lambda x: linalg.qr(x).R, (SQUARE,), None),
    "matrix_exp": (lambda x: linalg.matrix_exp(4 * x), (SQUARE,), None),
    "cov": (torch.cov, (harness.rand(5, 40) + 100,), None),
    "cdist": (torch.cdist, (harness.rand(30, 4), harness.rand(30, 4)), None),
}
cases = pytest.mark.parametrize(("function", "inputs", "dynamic"), CASES.values(), ids=CASES)


@cases
def test_little_is_lost_to_tf32(tf32, function, inputs, dynamic):
    converted = convert(function, inputs, dynamic)
    assert error(converted.evaluate(*inputs), function, inputs) < BOUND


@pytest.mark.gpu
@cases
def test_engines_lose_little(function, inputs, dynamic):
    engine = convert(function, inputs, dynamic).build(auto_device=True)
    assert error(engine(*inputs).cpu(), function, inputs) < BOUND


def test_a_layer_is_multiplied_in_tf32(tf32):
    inputs = X, harness.rand(2, 8, 6)
    actual = convert(torch.matmul, inputs).evaluate(*inputs)
    assert BOUND < error(actual, torch.matmul, inputs) < 1e-3


def test_a_row_by_a_column_is_summed():
    rows = harness.rand(2, 1, 3), harness.rand(2, 3, 1)
    for function, inputs in ((torch.matmul, rows), (torch.cov, (harness.rand(9),))):
        converted = convert(function, inputs)
        assert "MATRIX_MULTIPLY" not in {layer.type.name for layer in converted.network}
        assert error(converted.evaluate(*inputs), function, inputs) < 1e-6


def test_factors_in_parts_are_as_many_as_their_product_needs():
    """One product three times as long, of known and of computed factors."""
    converted = torch2trt.convert(lambda x: fft.fft(x).abs(), (X,))
    (product,) = (layer for layer in converted.network if layer.type.name == "MATRIX_MULTIPLY")
    assert tuple(product.get_input(1).shape)[-2:] == (3 * 8, 2 * 8)
