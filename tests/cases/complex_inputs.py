"""Complex inputs, and the ops that take complex values."""

import math

import torch
from torch.nn import functional as F

from tests.harness import Case

_GENERATOR = torch.Generator().manual_seed(5)


def _draw(*shape):
    return torch.randn(shape, dtype=torch.complex64, generator=_GENERATOR)


def _real(*shape):
    return torch.randn(shape, generator=_GENERATOR)


_KERNEL, _BIAS, _VECTOR = _draw(5, 3, 3), _draw(5), _draw(4)
_ZEROS = torch.tensor([0, 1, 0, -2, 1j, 0, 0.5 - 1j, 0])
_SPECIAL = torch.tensor([1 + 2j, complex(math.inf, 0), complex(1, math.nan), 0, -1, complex(-math.inf, 1), 3j])


def _hermitian(x):
    return x @ x.mH + 2 * torch.eye(x.shape[-1])


def _several(*functions):
    return lambda *tensors: [function(*tensors) for function in functions]


def _case(name, function, *inputs, **options):
    return Case(name, function, inputs, **options)


def _covariance(x, mask):
    share = mask / (mask.sum(-1, keepdim=True) + 1e-15)
    return (torch.einsum("cft,eft->ftce", x, x.conj()) * share[..., None, None]).sum(-3)


def _trace(x):
    return x.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]


def _beamformer(x, speech, noise):
    """Souden's MVDR beamformer of a spectrogram (channels, frequencies, frames) under two masks."""
    wanted, other = _covariance(x, speech), _covariance(x, noise)
    loading = (_trace(other).real * 1e-5 + 1e-8) * torch.eye(x.shape[0], dtype=x.dtype)
    weights = torch.linalg.solve(other + loading, wanted)
    weights = (weights / (_trace(weights) + 1e-8))[..., 0]
    return torch.einsum("fc,cft->ft", weights.conj(), x)


def _reconstruction(x, kernel, weight):
    """Convolutions of a spectrum, activated by their magnitudes."""
    found = F.conv2d(torch.fft.ifftshift(torch.fft.fft2(x, norm="ortho"), dim=(-2, -1)), kernel, padding=1)
    found = torch.relu(found.abs() - 0.1) * torch.exp(1j * found.angle())
    found = torch.complex(found.real.tanh(), found.imag.tanh())
    return torch.view_as_real(torch.fft.ifft2(F.linear(found, weight), norm="ortho")), torch.polar(
        found.abs(), found.real
    )


_EXPONENTIAL = torch.exp, torch.expm1, torch.exp2, torch.sigmoid, F.silu
_LOGARITHMIC = torch.log, torch.log1p, torch.log2, torch.log10, torch.sqrt, torch.rsqrt
_CIRCULAR = torch.sin, torch.cos, torch.tan, torch.asin, torch.acos, torch.atan, torch.sinc
_HYPERBOLIC = torch.sinh, torch.cosh, torch.tanh, torch.asinh, torch.acosh, torch.atanh

CASES = [
    _case("exponential", _several(*_EXPONENTIAL), _draw(3, 4), atol=1e-5),
    _case("logarithmic", _several(*_LOGARITHMIC), _draw(3, 4), atol=1e-5),
    _case("circular", _several(*_CIRCULAR), _draw(3, 4), atol=2e-5),
    _case("hyperbolic", _several(*_HYPERBOLIC), _draw(3, 4), atol=2e-5),
    _case("near-zero", _several(torch.expm1, torch.log1p, torch.sqrt), _draw(8) * 1e-4, atol=1e-9),
    _case("large", _several(torch.tanh, torch.sigmoid, lambda x: x / (x * 2), torch.sqrt), _draw(8) * 60, atol=1e-5),
    _case("quotients", lambda x, y: (x * 1e25 / (y * 1e25), x * 1e-25 / (y * 1e-25)), _draw(6), _draw(6)),
    _case("quotients-special", lambda x, y: (y / x, torch.reciprocal(x), x / y), _SPECIAL, _draw(7)),
    _case("magnitudes", lambda x: (x.abs(), (x * 1e25).abs(), (x * 1e-25).abs() * 1e20, x.angle()), _SPECIAL),
    _case("at-zero", _several(torch.sgn, torch.sinc, torch.sqrt, lambda x: x**2.5, lambda x: x**0), _ZEROS),
    _case("squares", _several(torch.square, torch.sgn, torch.reciprocal, torch.positive), _draw(3, 4)),
    _case(
        "powers",
        lambda x, y: (
            x**3,
            x**-2,
            x**0.5,
            x**0.3,
            x ** (1 - 2j),
            x**y,
            2.0**x,
            x**y.real,
            x.real.abs() ** y,
            (x * 1.7) ** 40,
        ),
        _draw(3, 4) / 2,
        _draw(3, 4) / 2,
        atol=2e-5,
    ),
    _case(
        "mixed",
        lambda x, y, z: (
            torch.addcmul(x, y, z, value=2),
            torch.addcdiv(x, y, z, value=0.5),
            torch.lerp(x, y, 0.3),
            torch.lerp(x, y, z),
            torch.add(x, y, alpha=2 - 1j),
            torch.sub(x, y.real, alpha=3),
            torch.rsub(x, y, alpha=2),
            torch.logaddexp(x, y),
            torch.ldexp(x, y.real),
        ),
        _draw(3, 4),
        _draw(3, 4),
        _draw(3, 4),
        atol=1e-5,
    ),
    _case(
        "tests",
        lambda x: (
            x.any(),
            x.all(0),
            x.bool(),
            torch.logical_not(x),
            torch.logical_xor(x, x.flip(0)),
            torch.logical_and(x, x.real),
            torch.count_nonzero(x),
            torch.isreal(x),
        ),
        _ZEROS,
    ),
    _case(
        "close",
        lambda x: (torch.isclose(x, x.clone()), torch.isclose(x, x + 1, equal_nan=True), x.isclose(x.roll(1), 0, 3)),
        _SPECIAL,
    ),
    _case("real-casts", lambda x: (x.float(), x.half(), x.long(), x.to(torch.complex64)), _draw(3, 4) * 5),
    _case(
        "sums",
        lambda x: (
            x.prod(),
            x.prod(1),
            x.prod(0, keepdim=True),
            x.cumprod(1),
            x.logsumexp(1),
            torch.logcumsumexp(x, 0),
            x.sum(0, dtype=torch.complex64),
            x.real.mean(),
        ),
        _draw(3, 4),
        atol=1e-5,
    ),
    _case(
        "spread",
        lambda x: (
            x.var(),
            x.std(1),
            *torch.var_mean(x, 0, correction=0),
            *torch.std_mean(x, 1, keepdim=True),
            torch.cov(x),
            torch.cov(x[0]),
            torch.cov(x, correction=0, aweights=torch.tensor([1.0, 2, 3, 4, 5])),
            torch.corrcoef(x),
        ),
        _draw(4, 5),
        atol=1e-5,
    ),
    _case(
        "norms",
        lambda x, y: (
            F.normalize(x),
            torch.linalg.norm(x, dim=0),
            torch.linalg.norm(x, 1, 1),
            torch.linalg.matrix_norm(x),
            torch.linalg.matrix_norm(x, 1),
            torch.linalg.matrix_norm(x, 2),
            torch.linalg.matrix_norm(x[None], "nuc", (2, 1)),
            torch.dist(x, y, 1),
            F.pairwise_distance(x, y),
            F.l1_loss(x, y),
            torch.renorm(x, 2, 0, 1.5),
        ),
        _draw(3, 4),
        _draw(3, 4),
        atol=1e-5,
    ),
    _case(
        "products",
        lambda x, y, z: (
            torch.addmm(x, y, z, beta=0.5, alpha=2j),
            torch.addmm(x * math.nan, y, z, beta=0),
            torch.addmv(x[0], z.mT, y[0]),
            torch.addr(y, x[:, 0], y[0]),
            torch.baddbmm(x[None], y[None], z[None]),
            torch.tensordot(y, z, 1),
            torch.inner(y, z.mT),
            torch.kron(x, y),
            torch.vdot(x[0], z[0]),
            torch.linalg.vecdot(x, z[:3]),
            torch.linalg.multi_dot([y, z, x.mH]),
            torch.linalg.cross(x[:, :3], y[:, :3]),
            torch.linalg.vander(x[0], N=3),
            torch.trapezoid(x, z[:3], dim=0),
            torch.trapezoid(x, dx=0.5),
        ),
        _draw(3, 5),
        _draw(3, 4),
        _draw(4, 5),
        atol=1e-5,
    ),
    _case(
        "convolutions",
        lambda x: (F.conv1d(x, _KERNEL, _BIAS, padding=1), F.conv_transpose1d(x, _KERNEL.mT.mT[:3], stride=2)),
        _draw(2, 3, 9),
        atol=1e-5,
    ),
    _case(
        "moved",
        lambda x: (
            torch.where(x.real > 0, x, x.imag),
            torch.where(x.real > 0, x.imag, x),
            x.real.expand_as(x),
            torch.diff(x, prepend=x[:, :1]),
            *torch.meshgrid(x[0], x[1], indexing="ij"),
            *torch.broadcast_tensors(x, x[:1].real),
            torch.block_diag(x, x.mT),
            x.take(torch.tensor([0, 7])),
            torch.index_fill(x, 1, torch.tensor([1]), 2 - 1j),
            torch.scatter(x, 1, torch.tensor([[0], [1], [2]]), 3.0),
            torch.scatter_add(x, 1, torch.tensor([[0, 0], [1, 1], [2, 2]]), x[:, :2]),
            torch.masked_scatter(x, x.real > 0, x.flip(0)),
            x.diagonal_scatter(x[:, 0]),
            x.new_full((2,), 1j),
            F.pixel_shuffle(x.reshape(1, 4, 1, 3), 2),
        ),
        _draw(3, 4),
    ),
    _case(
        "solved",
        lambda x, y: (
            torch.linalg.inv(x),
            torch.linalg.inv_ex(x).info,
            torch.linalg.solve(x, y),
            torch.linalg.solve(x, y[:, 0]),
            torch.linalg.solve(x, y.mT[None], left=False),
            torch.linalg.solve_triangular(x, y, upper=True),
            torch.linalg.solve_triangular(x, y.mH, upper=False, left=False, unitriangular=True),
            torch.linalg.matrix_power(x, -2),
            torch.linalg.matrix_exp(x),
            torch.linalg.tensorinv(x.reshape(2, 2, 4), ind=2),
            torch.linalg.tensorsolve(x.reshape(2, 2, 4), y[:, 0].reshape(2, 2)),
        ),
        _hermitian(_draw(4, 4)) / 4 + _draw(4, 4) / 8,
        _draw(4, 3),
        rtol=1e-4,
        atol=1e-5,
    ),
    _case(
        "spectra",
        lambda x: (
            torch.linalg.svdvals(x),
            torch.linalg.eigvalsh(x[:3, :3], UPLO="U"),
            torch.linalg.pinv(x),
            torch.linalg.pinv(x[:3, :3], hermitian=True),
            torch.linalg.matrix_rank(x @ x.mH @ torch.ones(3, 3).cfloat()),
            torch.linalg.cond(x),
            torch.linalg.lstsq(x.mT, (x.mT @ x)[:, :2] + 1).solution,
        ),
        _draw(3, 5),
        rtol=1e-4,
        atol=1e-4,
    ),
    _case(
        "factors",
        lambda x: (
            torch.linalg.cholesky(_hermitian(x)),
            torch.linalg.cholesky(_hermitian(x), upper=True),
            torch.cholesky_inverse(torch.linalg.cholesky(_hermitian(x))),
            torch.cholesky_solve(x[:, :2], torch.linalg.cholesky(_hermitian(x))),
            *torch.linalg.lu(x),
            *torch.linalg.lu_factor_ex(x[:, :3])[:2],
            torch.linalg.lu_solve(*torch.linalg.lu_factor(x), x[:, :2]),
            torch.linalg.lu_solve(*torch.linalg.lu_factor(x), x[:2], left=False, adjoint=True),
            torch.linalg.det(x),
            *torch.linalg.slogdet(x),
            torch.logdet(x),
            *torch.linalg.qr(x[:, :3]),
            *torch.linalg.qr(x[:, :3], mode="complete"),
            torch.ormqr(*torch.geqrf(x), x[:, :2], transpose=True),
            torch.linalg.householder_product(*torch.geqrf(x)),
        ),
        _draw(4, 4),
        rtol=1e-4,
        atol=1e-5,
    ),
    Case(
        "dynamic",
        lambda x: (
            x * _VECTOR,
            x.abs(),
            torch.fft.fft(x, dim=0),
            x.conj().mT @ x,
            x.cumprod(0),
            x.var(0, correction=0),
        ),
        {"x": _draw(3, 4)},
        dynamic={"x": {0: (1, 3, 9)}},
        others=[{"x": _draw(1, 4)}, {"x": _draw(8, 4).conj()}],
        atol=2e-5,
    ),
    _case("as-it-is", lambda x, y: (x, x.mT, torch.stack((x.real, y))), _draw(3, 4), _real(3, 4)),
    _case(
        "einsum",
        lambda x, y, z: (
            torch.einsum("ij,jk,kl->il", x, y, z),
            torch.einsum("ij,jk,k,kl->j", x, y, z[:, 0], z),
            torch.einsum("...ij,...jk,k", x[None], y.expand(2, 3, 4), z[:, 1]),
            torch.einsum("ii->i", y[:, :3]),
        ),
        _draw(2, 3),
        _draw(3, 4),
        _draw(4, 5),
        atol=1e-5,
    ),
    Case(
        "beamformer",
        _beamformer,
        {"x": _draw(3, 5, 9), "speech": _real(5, 9).sigmoid(), "noise": _real(5, 9).sigmoid()},
        dynamic={"x": {2: ("t", 5, 9, 30)}, "speech": {1: "t"}, "noise": {1: "t"}},
        others=[
            {"x": _draw(3, 5, frames), "speech": _real(5, frames).sigmoid(), "noise": _real(5, frames).sigmoid()}
            for frames in (6, 21)
        ],
        rtol=1e-4,
        atol=1e-5,
    ),
    _case("reconstruction", _reconstruction, _draw(2, 1, 8, 8), _draw(4, 1, 3, 3), _draw(8, 8) / 3, atol=1e-5),
]
