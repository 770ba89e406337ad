"""Complex values between the op that makes them and the one that makes them real again."""

import torch
from torch import fft

from tests.harness import Case, rand

_FACTOR = torch.polar(rand(5, 4, low=0.5), rand(5, 4))
_MATRIX = torch.complex(rand(4, 4), rand(4, 4))
_MIXER = torch.complex(rand(3, 4, 4, 3), rand(3, 4, 4, 3))


def _case(name, function, *shapes, **options):
    """A function of complex tensors, which come from real ones."""

    def run(*tensors):
        return function(*(torch.view_as_complex(tensor) for tensor in tensors))

    return Case(name, run, tuple(rand(*shape, 2) for shape in shapes), **options)


def _rotary(x):
    """The rotary embedding as llama's own code has it."""
    turned = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * _FACTOR
    return torch.view_as_real(turned).flatten(-2)


def _spectral_layer(x):
    """A layer of a Fourier neural operator."""
    low = fft.rfft2(x)[:, :, :4, :3]
    return fft.irfft2(torch.einsum("bixy,ioxy->boxy", low, _MIXER), s=(6, 4))


def _kept_frequencies(x):
    """A layer of a Fourier neural operator that writes into zeros."""
    found = fft.rfft(x)
    kept = torch.zeros(x.shape[0], 5, dtype=torch.complex64)
    kept[:, :3] = found[:, :3] * 2
    found[:, 2:] = 0
    return fft.irfft(kept, n=8), fft.irfft(found, n=8)


def _written(x):
    """Real and complex values put into complex ones."""
    x, y = x.clone(), x * 2j
    x[torch.tensor([0, 2])] = y[:2]
    y[1] = 3
    filled = torch.cumsum(y.index_add(0, torch.tensor([1]), x[:1]), 1)
    return x, y, filled, x.index_put((torch.tensor([1]), torch.tensor([1])), torch.tensor(2.5 + 0j), accumulate=True)


def _made(x):
    like = torch.zeros_like(x), torch.ones_like(x), torch.full_like(x, 2 - 1j), x.new_ones(2), x.new_zeros(2, 1)
    return *like, torch.zeros_like(x, dtype=torch.float32), x.clone().fill_(3j), x.clone().zero_() + x


def _spectral_padding(x):
    """The lowest frequencies, weighted, in an otherwise empty spectrum, as a Fourier neural operator does it."""
    spectrum = torch.fft.rfft(x)
    out = torch.zeros(x.size(0), 3, x.size(2) // 2 + 1, dtype=torch.cfloat)
    out[..., :3] = torch.einsum("bix,iox->box", spectrum[..., :3], _MATRIX[:3, :3, None].expand(3, 3, 3))
    return torch.fft.irfft(out, n=x.size(2)), torch.view_as_real(torch.zeros_like(spectrum) + 1)


CASES = [
    Case("kept-frequencies", _kept_frequencies, rand(3, 8), atol=2e-5),
    Case("from-real", lambda x: (torch.exp(1j * x), x + 0j, x.to(torch.complex64) * 2, x.half().cfloat()), rand(3, 4)),
    Case("from-real-last", lambda x, y: ((x.type_as(y * 1j)) * 2).abs(), (rand(3, 4), rand(3, 4))),
    _case("written", _written, (3, 4)),
    _case("powers", lambda x: (x**2, x**-3, x.pow(1), x.log()), (3, 4), rtol=1e-4),
    _case("norms", lambda x: (torch.linalg.vector_norm(x), x.norm(dim=1), torch.linalg.vector_norm(x, 1, 0)), (3, 4)),
    _case("compared", lambda x: (x == x.real, x == x.clone(), x != x.real.round(), x == 1j), (3, 4)),
    Case(
        "special",
        lambda x: [test(torch.view_as_complex(x)) for test in (torch.isnan, torch.isinf, torch.isfinite)],
        torch.tensor([[1.0, float("nan")], [float("inf"), 0], [2, 3], [0, float("-inf")]]),
    ),
    _case("bmm-turned", lambda x: torch.bmm(x[None], x.mT[None]).real, (3, 4)),
    Case("rotary", _rotary, rand(2, 3, 5, 8)),
    Case("spectral-layer", _spectral_layer, rand(2, 3, 6, 4), atol=2e-5),
    Case("fnet", lambda x: fft.fft(fft.fft(x, dim=-1), dim=-2).real, rand(2, 5, 6), atol=2e-5),
    _case("parts", lambda x: (x.real, x.imag, x.abs(), x.angle()), (3, 4)),
    _case("abs-range", lambda x: ((x * 1e25).abs(), (x * 1e-25).abs() * 1e20, (x * 0).abs()), (3, 4)),
    _case("arithmetic", lambda x, y: (x + y, x - y, x * y, x / y, -x, x.conj() * y), (3, 4), (3, 4)),
    _case("broadcast", lambda x, y: (x + y, x - y, x * y, x / y), (3, 4), (2, 1, 4)),
    _case("numbers", lambda x: (x + 1.5, 2 - x, x * 2j, x / (1 - 1j), 3 * x, x + (1 + 2j)), (3, 4)),
    _case("mixed", lambda x: (x + x.real, x.real * x, x / x.imag, x.imag - x), (3, 4)),
    _case("functions", lambda x: (x.exp(), x.reciprocal(), x.conj().resolve_conj(), torch.conj_physical(x)), (3, 4)),
    _case(
        "moved",
        lambda x: (
            x.reshape(4, 3),
            x.mT,
            x.mH,
            x[1:, ::2],
            x[0],
            x.flip(1),
            x.roll(1, 0),
            x.unsqueeze(0).expand(2, -1, -1),
            torch.cat((x, x), 1),
            torch.stack((x, x)),
            x.tril(),
            x.contiguous().clone(),
        ),
        (3, 4),
    ),
    _case("sums", lambda x: (x.sum(), x.sum(1), x.mean(0, keepdim=True)), (3, 4)),
    _case("split", lambda x: (*x.split(1, 0), *x.chunk(2, 1), *x.unbind(1)), (3, 4)),
    _case("selected", lambda x: (torch.where(x.real > 0, x, x * 2), x.masked_fill(x.imag > 0, 1.0)), (3, 4)),
    _case("products", lambda x: (x @ _MATRIX, x @ x.mT, torch.outer(x[0], x[1])), (3, 4)),
    _case("products-mixed", lambda x: (torch.outer(x[0], x[1].real), torch.outer(x[0].imag, x[1])), (3, 4)),
    _case("einsum", lambda x, y: (torch.einsum("ij,kj->ik", x, y), torch.einsum("ij->j", x)), (3, 4), (2, 4)),
    _case("linear", lambda x: torch.nn.functional.linear(x, _MATRIX, _MATRIX[0]), (3, 4)),
    _case("made", _made, (3, 4)),
    Case(
        "made-dynamic",
        _spectral_padding,
        {"x": rand(2, 3, 6)},
        dynamic={"x": {0: (1, 2, 8), 2: (5, 6, 16)}},
        others=[{"x": rand(1, 3, 9)}, {"x": rand(7, 3, 16)}],
        atol=2e-5,
    ),
    Case(
        "dynamic",
        lambda x: (torch.view_as_complex(x) * _MATRIX[:, 0], torch.view_as_complex(x).abs()),
        {"x": rand(2, 4, 2)},
        dynamic={"x": {0: (1, 2, 8)}},
        others=[{"x": rand(1, 4, 2)}, {"x": rand(7, 4, 2)}],
    ),
]
