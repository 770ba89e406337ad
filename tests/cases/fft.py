"""Fourier transforms, and where complex values begin and end."""

import torch
from torch import fft

from tests.harness import Case, rand


def _pair(value):
    return torch.stack((value.real, value.imag), -1)


_TOLERANCE = {"atol": 2e-5}
# Short ones are one product, long ones two steps; 257 is a prime.
_SIZES = (1, 2, 5, 8, 257, 300)
_NORMS = (None, "ortho", "forward", "backward")

CASES = [
    *(
        Case(
            f"one-{size}",
            lambda x, n=size: (
                fft.fft(x),
                fft.ifft(x),
                fft.rfft(x),
                fft.irfft(fft.rfft(x), n=n),
                fft.hfft(fft.ihfft(x), n=n),
                fft.ihfft(x),
            ),
            rand(2, size),
            **_TOLERANCE,
        )
        for size in _SIZES
    ),
    *(
        Case(
            f"norm-{norm}",
            lambda x, m=norm: (
                fft.fft(x, norm=m),
                fft.ifft(x, norm=m),
                fft.irfft(fft.rfft(x, norm=m), norm=m),
                fft.hfft(x, norm=m),
                fft.ihfft(x, norm=m),
                fft.fft2(x, norm=m),
                fft.irfft2(x, norm=m),
                fft.hfft2(x, norm=m),
            ),
            rand(3, 6),
            **_TOLERANCE,
        )
        for norm in _NORMS
    ),
    Case(
        "length", lambda x: (fft.fft(x, n=7, dim=0), fft.rfft(x, n=2), fft.irfft(x, n=5), fft.hfft(x, n=3)), rand(3, 4)
    ),
    Case(
        "signs",  # of imaginary parts that are zero: angles are 0 or pi, not -pi
        lambda x: (fft.rfft(x)[:, ::4].angle(), fft.rfft(x).imag[:, ::4]),
        -torch.rand(8, 16, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, -1.0] * 8),
        rtol=0,
        atol=1e-5,
    ),
    Case("vector", lambda x: (fft.fft(x), fft.irfft(fft.rfft(x))), rand(6)),
    Case("int", lambda x: (fft.fft(x), fft.rfft(x)), rand(3, 4, dtype=torch.int64, low=-9, high=9), **_TOLERANCE),
    Case("bool", fft.rfft, rand(3, 4, dtype=torch.bool)),
    *(
        Case(
            f"several-{name}",
            lambda x, o=options: (
                fft.fftn(x, **o),
                fft.ifftn(x, **o),
                fft.rfftn(x, **o),
                fft.irfftn(x, **o),
                fft.hfftn(x, **o),
                fft.ihfftn(x, **o),
            ),
            rand(3, 4, 5),
            **_TOLERANCE,
        )
        for name, options in {
            "all": {},
            "dims": {"dim": (0, -1)},
            "sizes": {"s": (4, 6)},
            "both": {"s": (2, 3), "dim": (1, 0)},
        }.items()
    ),
    Case(
        "two",
        lambda x: (fft.fft2(x), fft.ifft2(x), fft.rfft2(x), fft.irfft2(x), fft.hfft2(x), fft.ihfft2(x)),
        rand(2, 4, 5),
        **_TOLERANCE,
    ),
    Case(
        "shift",
        lambda x: (fft.fftshift(x), fft.ifftshift(x), fft.fftshift(x, 1), fft.ifftshift(x, (0, -1))),
        rand(3, 4),
    ),
    Case("view_as_complex", lambda x: torch.view_as_real(torch.view_as_complex(x) * (1 + 2j)), rand(3, 4, 2)),
    Case(
        "complex", lambda x, y: (torch.complex(x, y), torch.view_as_real(torch.complex(y, x))), (rand(3, 4), rand(3, 4))
    ),
    Case("polar", torch.polar, (rand(3, 4, low=0.1), rand(3, 4))),
    Case(
        "dynamic",
        lambda x: (fft.irfft(fft.rfft(x) * 2), _pair(fft.fft2(x, dim=(1, 2)))),
        {"x": rand(2, 4, 6)},
        dynamic={"x": {0: (1, 2, 8)}},
        others=[{"x": rand(1, 4, 6)}, {"x": rand(7, 4, 6)}],
        **_TOLERANCE,
    ),
    *(
        Case(
            f"dynamic-axis-{name}",
            function,
            {"x": rand(2, 4, 6)},
            dynamic={"x": {1: (3, 4, 9), 2: (4, 6, 12)}},
            others=[{"x": rand(2, 3, 12)}, {"x": rand(2, 9, 7)}],
            **_TOLERANCE,
        )
        for name, function in {
            "complex": lambda x: (_pair(fft.fft(x, dim=1)), fft.ifft2(x, norm="ortho").abs(), fft.fftn(x).real),
            "half": lambda x: (_pair(fft.rfft(x, norm="ortho")), fft.rfft2(x, norm="forward").imag, fft.hfft(x)),
            "real": lambda x: (fft.irfft(fft.rfft(x), n=x.size(2)), fft.irfft2(x, norm="forward"), fft.irfft(x, dim=1)),
            "sizes": lambda x: (_pair(fft.fft(x, n=x.size(1))), _pair(fft.rfft2(x, s=(x.size(1) - 1, 8)))),
            "vector": lambda x: (_pair(fft.fft(x[0, 0])), fft.ihfft(x[0, 0]).abs(), fft.irfft(x[0, :, 0])),
        }.items()
    ),
    Case(
        "shift-dynamic",
        lambda x: (fft.fftshift(x), fft.ifftshift(x)),
        {"x": rand(2, 3)},
        dynamic={"x": {0: (0, 2, 8)}},
        others=[{"x": rand(1, 3)}, {"x": rand(7, 3)}, {"x": rand(0, 3)}],
    ),
]
