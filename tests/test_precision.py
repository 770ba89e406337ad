"""``precision="float16"``: numbers that half precision does not hold."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import torch2trt
from torch2trt.trt_compat import downcast, is_rtx, trt

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class Masked(nn.Module):
    """Attention whose masked scores are the lowest number, as a scalar or as a tensor."""

    def __init__(self, lowest):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.lowest = lowest

    def forward(self, x, mask):
        y = self.layer(x)
        scores = y @ y.mT
        scores = (
            torch.where(mask, scores, self.lowest)
            if isinstance(self.lowest, torch.Tensor)
            else scores.masked_fill(~mask, self.lowest)
        )
        return scores.softmax(-1) @ y


LOWEST = torch.finfo(torch.float32).min


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("lowest", [LOWEST, torch.tensor(LOWEST)], ids=["scalar", "tensor"])
def test_no_key_counts(lowest, precision):
    module, x = Masked(lowest).eval(), torch.randn(2, 3, 8)
    mask = torch.tensor([[[True, True, False]], [[False] * 3]]).expand(2, 3, 3)
    converted = torch2trt.convert(module, (x, mask), precision=precision)
    result = converted.evaluate(x, mask)
    torch.testing.assert_close(result, module(x, mask), rtol=0, atol=2e-2)


@pytest.mark.parametrize("precision", DTYPES)
def test_infinity_stays(precision):
    module = Masked(-torch.inf).eval()
    x, mask = torch.randn(1, 3, 8), torch.zeros(1, 3, 3, dtype=torch.bool)
    assert torch2trt.convert(module, (x, mask), precision=precision).evaluate(x, mask).isnan().all()


class Scaled(nn.Module):
    """A product by a weight that half precision does not hold."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 2)
        self.scale = nn.Parameter(torch.tensor([1.0, 1e39]))

    def forward(self, x):
        return self.layer(x) * self.scale


def test_a_weight_beyond_is_its_largest_also_after_a_refit():
    module, x = Scaled().eval(), torch.ones(1, 8)
    nn.init.constant_(module.layer.weight, 0.25)
    nn.init.zeros_(module.layer.bias)
    module.layer.weight.data[1] = 0.0625
    module.scale.data[1] = 1e6
    converted = torch2trt.convert(module, x, precision="float16", optimize=False)
    assert converted.evaluate(x).tolist() == [[2.0, 32752.0]]
    state = {**module.state_dict(), "scale": torch.tensor([3.0, -1e6])}
    assert converted.evaluate_with(state, x).tolist() == [[6.0, -32752.0]]


CASTS = {
    "convolution": (lambda x: torch.conv2d(x, torch.ones(3, 3, 1, 1)).bfloat16(), 4),
    "product, moved": (lambda x: (x @ x).transpose(1, 2).bfloat16(), 4),
    "bfloat16 convolution": (lambda x: torch.conv2d(x.bfloat16(), torch.ones(3, 3, 1, 1).bfloat16()) * 1.5, 0),
    "bfloat16 convolution, in float32": (
        lambda x: (torch.conv2d(x.bfloat16(), torch.ones(3, 3, 1, 1).bfloat16()).float() * 1.5).bfloat16(),
        4,
    ),
    "bfloat16 product, in float32": (lambda x: ((x.bfloat16() @ x.bfloat16()).float() * 1.5).bfloat16(), 0),
    "no product": (lambda x: x.exp().bfloat16(), 0),
    "to float16": (lambda x: (x @ x).half(), 0),
}


@pytest.mark.skipif(not is_rtx(), reason="the full TensorRT needs no negations")
@pytest.mark.parametrize("name", CASTS)
def test_casts_of_products_to_bfloat16_are_kept_apart(name):
    function, negations = CASTS[name]
    network = torch2trt.convert(function, (torch.randn(2, 3, 8, 8),)).network
    layers = [downcast(network.get_layer(index))[1] for index in range(network.num_layers)]
    assert sum(getattr(layer, "op", None) == trt.UnaryOperation.NEG for layer in layers) == negations


POSITIONS = {
    "matmul": lambda frequencies, at: (frequencies[None, :, None] @ at[None, None]).mT[0],
    "mm": lambda frequencies, at: torch.mm(at[:, None], frequencies[None]),
    "einsum": lambda frequencies, at: torch.einsum("i,j->ij", at, frequencies),
    "inner": lambda frequencies, at: torch.inner(at[:, None], frequencies[:, None]),
    "tensordot": lambda frequencies, at: torch.tensordot(at[:, None], frequencies[None], 1),
    "einsum, in batches": lambda frequencies, at: torch.einsum("...ik,kj->...ij", at[None, :, None], frequencies[None]),
}


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", POSITIONS)
def test_rotary_embeddings_of_dynamic_lengths_stay_float32(name, precision):
    """Positions of thousands have no half precision; as products of one term they are not cast to it."""

    def module(x):
        at = torch.arange(x.shape[1], device=x.device).float()
        frequencies = 10000 ** (-torch.arange(8, device=x.device) / 8)
        return x * POSITIONS[name](frequencies, at).cos()

    converted = torch2trt.convert(
        module,
        (torch.rand(1, 50, 8),),
        input_names=["x"],
        dynamic_shapes={"x": {1: (1, 50, 4096)}},
        precision=precision,
    )
    x = torch.rand(1, 4001, 8)
    torch.testing.assert_close(converted.evaluate(x), module(x), rtol=0, atol=2e-2)


def test_products_of_more_terms_are_cast():
    def module(x, y):
        return x @ y, torch.einsum("ik,jk->ij", x, y.mT), torch.einsum("ik,kj", x, y)

    x = torch.rand(3, 5) + 1000
    y = torch.rand(5, 4)
    exact = torch2trt.convert(module, (x, y)).evaluate(x, y)
    for got, expected in zip(torch2trt.convert(module, (x, y), precision="float16").evaluate(x, y), exact, strict=True):
        assert not torch.allclose(got, expected, rtol=1e-5)


STAY = {
    "fftn": lambda x: torch.fft.fftn(x, dim=(0, 1)).real,
    "filter": lambda x: torch.fft.irfft(torch.fft.rfft(x, dim=0) * torch.complex(x[:17], x[1:18]), dim=0),
    "stft": lambda x: torch.stft(x.mT, 16, window=torch.hann_window(16), return_complex=True).abs(),
    "complex": lambda x: torch.complex(x, x.flip(0)).angle(),
    "cast to complex": lambda x: (x.to(torch.complex64) * torch.tensor(1j)).imag,
    "times i": lambda x: torch.view_as_real(x * 1j),
    "view_as_complex": lambda x: torch.view_as_real(torch.view_as_complex(x.view(32, 8, 2)) * 1j),
    "complex product": lambda x: (torch.polar(x.abs(), x) @ torch.polar(x.abs(), x).mH).imag,
    "inv": lambda x: torch.linalg.inv(x[:16]),
    "qr": lambda x: torch.linalg.qr(x)[1].abs(),
    "soft_margin_loss": lambda x: nn.functional.soft_margin_loss(x * 20, -x.detach().sign()),
    "erfcx": lambda x: torch.special.erfcx(-x.abs() - 3.5),
    "affine_grid": lambda x: (nn.functional.affine_grid(x[:2, :6].view(2, 2, 3), [2, 1, 9, 9], False) * 100).sin(),
    "nansum": lambda x: (x.abs() * 1000).nansum(),
}


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", STAY)
def test_what_half_precision_would_spoil_stays_float32(name, precision):
    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.PReLU(init=1.0)  # gives half precision, and what it was given

        def forward(self, x):
            return STAY[name](self.first(x))

    x = torch.randn(32, 16, generator=torch.Generator().manual_seed(0)).bfloat16().float()
    module = Module().eval()
    converted = torch2trt.convert(module, (x,), precision=precision)
    expected = module(x).detach()
    torch.testing.assert_close(converted.evaluate(x), expected, rtol=2e-2, atol=1e-2 * expected.abs().max().item())


def test_singular_vectors_stay_float32():
    matrices = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)).half().float()
    converted = torch2trt.convert(
        lambda x: torch.svd(x.mT @ x)[0].abs(), (matrices,), precision="float16", allow_other_signs=True
    )
    expected = torch.svd(matrices.mT @ matrices)[0].abs()
    torch.testing.assert_close(converted.evaluate(matrices), expected, rtol=0, atol=1e-2)


WEIGHT = torch.rand(8, 4)


@pytest.mark.parametrize("contract", [lambda x: torch.tensordot(x, WEIGHT, 1), lambda x: torch.inner(x, WEIGHT.mT)])
def test_contractions_are_cast(contract):
    x = torch.rand(3, 8)
    exact = torch2trt.convert(contract, (x,)).evaluate(x)
    half = torch2trt.convert(contract, (x,), precision="float16").evaluate(x)
    assert not torch.equal(half, exact)
    torch.testing.assert_close(half, exact, rtol=1e-2, atol=1e-2)


class Divided(nn.Module):
    """Sums that are zero, divided by others with an epsilon; a number of its own, another among the weights."""

    def __init__(self):
        super().__init__()
        self.epsilon = nn.Parameter(torch.tensor(1e-15))

    def forward(self, x, y):
        sums = torch.relu(x @ y)
        return sums / (sums + 1e-8) + sums / (sums + self.epsilon)


def test_what_is_added_lest_zero_divides_does_not_vanish():
    x, y = torch.full((2, 16), -1.0), torch.ones(16, 3)
    converted = torch2trt.convert(Divided().eval(), (x, y), precision="float16")
    assert torch.equal(converted.evaluate(x, y), torch.zeros(2, 3))
    assert torch.equal(converted.evaluate_with({"epsilon": torch.tensor(0.0)}, x, y).isnan(), torch.ones(2, 3) > 0)


class Partial(nn.Module):
    """A convolution, by how many places of the kernel there were; known tensors of two dtypes meet."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.register_buffer("kernel", torch.ones(3) / 3)

    def forward(self, x):
        x = self.conv(x)
        places = functional.conv2d(torch.ones_like(x), self.conv.weight.abs(), padding=1)
        mixed = x.new_zeros(3, 3)
        mixed[torch.arange(3), torch.arange(3)] = self.kernel
        return x / places + mixed.sum()


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_known_tensors_of_several_dtypes(precision):
    module, x = Partial().eval(), torch.randn(1, 3, 8, 8)
    found = torch2trt.convert(module, x, precision=precision).evaluate(x)
    torch.testing.assert_close(found, module(x), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_narrow_integers_inside_stay(precision):
    images, x = torch.randint(0, 256, (1, 4, 5, 3), dtype=torch.uint8), torch.randn(3, 4)
    for function, value in (
        (lambda images: images.permute(0, 3, 1, 2).float() / 4, images),
        (lambda x: x.round().to(torch.int8).float() * 1.5, x),
    ):
        converted = torch2trt.convert(function, value, precision=precision)
        assert torch.equal(converted.evaluate(value), function(value))
