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


CASES = [
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
    Case(
        "dynamic",
        lambda x: (torch.view_as_complex(x) * _MATRIX[:, 0], torch.view_as_complex(x).abs()),
        {"x": rand(2, 4, 2)},
        dynamic={"x": {0: (1, 2, 8)}},
        others=[{"x": rand(1, 4, 2)}, {"x": rand(7, 4, 2)}],
    ),
]
