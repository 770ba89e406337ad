"""Short-time Fourier transforms."""

import torch

from tests.harness import Case, rand

_WINDOW, _SHORT = torch.hann_window(16), torch.hann_window(10)
_TOLERANCE = {"atol": 2e-5}


def _stft(**options):
    return lambda x: torch.stft(x, 16, return_complex=True, **options)


def _back(forward, **options):
    return lambda x: torch.istft(torch.stft(x, 16, return_complex=True, **forward) * 2, 16, **options)


_LONG = torch.hann_window(1100)

_OPTIONS = {
    "window": {"window": _WINDOW},
    "normalized": {"window": _WINDOW, "normalized": True},
    "short": {"window": _SHORT, "win_length": 10, "hop_length": 5},
    "both-sides": {"onesided": False},
    "not-centred": {"center": False, "hop_length": 3},
}

CASES = [
    *(Case(f"stft-{name}", _stft(**options), rand(2, 100), **_TOLERANCE) for name, options in _OPTIONS.items()),
    Case("stft-vector", lambda x: _stft(window=_WINDOW)(x).abs(), rand(100), **_TOLERANCE),
    Case(
        "stft-runtime-window",
        lambda x, w: torch.stft(x, 16, window=w, win_length=10, return_complex=True),
        (rand(2, 100), rand(10)),
        **_TOLERANCE,
    ),
    Case(
        "stft-complex",
        lambda x: torch.stft(torch.view_as_complex(x), 16, window=_WINDOW, onesided=False, return_complex=True),
        rand(2, 100, 2),
        **_TOLERANCE,
    ),
    *(
        Case(f"istft-{name}", _back(forward, **options), rand(2, 100), **_TOLERANCE)
        for name, forward, options in (
            ("window", {"window": _WINDOW}, {"window": _WINDOW}),
            ("cut", {"window": _WINDOW}, {"window": _WINDOW, "length": 90}),
            ("longer", {"window": _WINDOW}, {"window": _WINDOW, "length": 130}),
            ("normalized", {"normalized": True, "hop_length": 4}, {"normalized": True, "hop_length": 4}),
        )
    ),
    Case("istft-vector", _back({"window": _WINDOW}, window=_WINDOW), rand(100), **_TOLERANCE),
    Case(
        "istft-dynamic-length",
        lambda x: _back({"window": _WINDOW}, window=_WINDOW, length=x.size(1))(x),
        {"x": rand(2, 64)},
        {"x": {0: (1, 2, 4), 1: (32, 64, 100)}},
        [{"x": rand(1, 81)}, {"x": rand(3, 39)}],
        **_TOLERANCE,
    ),
    Case(
        "istft-runtime-window",
        lambda x, w: torch.istft(torch.stft(x, 16, window=w, return_complex=True), 16, window=w),
        (rand(2, 100), rand(16, low=0.5)),
        **_TOLERANCE,
    ),
    Case(
        "long",
        lambda x: torch.istft(torch.stft(x, 1100, window=_LONG, return_complex=True) * 2, 1100, window=_LONG),
        rand(2, 1500),
        **_TOLERANCE,
    ),
    Case(
        "long-complex",
        lambda x: torch.stft(torch.view_as_complex(x), 1100, window=_LONG, normalized=True, return_complex=True),
        rand(1300, 2),
        **_TOLERANCE,
    ),
    Case(
        "long-dynamic",
        lambda x, w: torch.istft(torch.stft(x, 1100, window=w, return_complex=True), 1100, window=w),
        {"x": rand(2, 1500), "w": rand(1100, low=0.5)},
        {"x": {0: (1, 2, 3), 1: (1100, 1500, 2500)}},
        [{"x": rand(1, 1100), "w": rand(1100, low=0.5)}, {"x": rand(3, 2222), "w": rand(1100, low=0.5)}],
        **_TOLERANCE,
    ),
    Case(
        "dynamic",
        lambda x: torch.istft(torch.stft(x, 16, window=_WINDOW, return_complex=True), 16, window=_WINDOW),
        {"x": rand(2, 100)},
        dynamic={"x": {0: (1, 2, 4), 1: (32, 100, 200)}},
        others=[{"x": rand(1, 64)}, {"x": rand(3, 150)}],
        **_TOLERANCE,
    ),
]
