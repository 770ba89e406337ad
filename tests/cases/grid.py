"""Reading images along grids, and affine grids."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from tests.harness import Case, rand


def _sample(mode: str, border: str, corners: bool) -> Callable[..., torch.Tensor]:
    def run(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return F.grid_sample(x, grid, mode, border, corners)

    return run


def _affine(*size: int, corners: bool = False) -> Callable[..., torch.Tensor]:
    def run(theta: torch.Tensor) -> torch.Tensor:
        return F.affine_grid(theta, list(size), corners)

    return run


def _transformed(x: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    grid = F.affine_grid(theta, [x.shape[0], x.shape[1], x.shape[2], x.shape[3]], align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def _corners(x: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    return F.affine_grid(theta, [2, 3, x.shape[2], 7], align_corners=True) + x[:, :1, :, :, None]


def _operator2d(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.ops.aten.grid_sampler_2d(x, grid, 0, 1, True)
    return result


def _operator3d(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.ops.aten.grid_sampler_3d(x, grid, 0, 2, False)
    return result


def _fallback(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    if x.is_cuda:
        raise NotImplementedError("PyTorch takes a GPU's memory for the CPU's here, and crashes")
    result: torch.Tensor = torch.ops.aten._grid_sampler_2d_cpu_fallback(x, grid, 1, 0, False)
    return result


_FLAT = (rand(2, 3, 6, 7), rand(2, 4, 5, 2, low=-1.6, high=1.6))
_DEEP = (rand(2, 3, 4, 5, 6), rand(2, 3, 2, 4, 3, low=-1.6, high=1.6))
_BORDERS = ("zeros", "border", "reflection")

CASES = [
    *(
        Case(f"2d-{mode}-{border}-{corners}", _sample(mode, border, corners), _FLAT, rtol=1e-4)
        for mode in ("bilinear", "nearest", "bicubic")
        for border in _BORDERS
        for corners in (False, True)
    ),
    *(
        Case(f"3d-{mode}-{border}-{corners}", _sample(mode, border, corners), _DEEP, rtol=1e-4)
        for mode in ("bilinear", "nearest")
        for border in _BORDERS
        for corners in (False, True)
    ),
    Case(
        "2d-dynamic",
        _sample("bilinear", "zeros", False),
        _FLAT,
        {"x": {0: ("n", 1, 2, 4), 2: (3, 6, 9)}, "grid": {0: "n", 1: (1, 4, 9)}},
        [(rand(1, 3, 9, 7), rand(1, 9, 5, 2)), (rand(4, 3, 3, 7), rand(4, 1, 5, 2))],
        rtol=1e-4,
    ),
    *(
        Case(
            f"3d-dynamic-{border}",
            _sample("bilinear", border, border == "reflection"),
            _DEEP,
            {"x": {0: ("n", 1, 2, 4), 2: (3, 4, 9)}, "grid": {0: "n", 1: (1, 3, 9)}},
            [(rand(1, 3, 9, 5, 6), rand(1, 9, 2, 4, 3)), (rand(4, 3, 3, 5, 6), rand(4, 1, 2, 4, 3))],
            rtol=1e-4,
        )
        for border in _BORDERS
    ),
    Case(
        "affine2d-dynamic-corners",
        _corners,
        (rand(2, 3, 6, 7), rand(2, 2, 3)),
        {"x": {2: (1, 6, 9)}},
        [(rand(2, 3, 9, 7), rand(2, 2, 3)), (rand(2, 3, 1, 7), rand(2, 2, 3))],
    ),
    Case("2d-operator", _operator2d, _FLAT, rtol=1e-4),
    Case("3d-operator", _operator3d, _DEEP, rtol=1e-4),
    Case("2d-fallback", _fallback, _FLAT, rtol=1e-4),
    Case("affine2d", _affine(2, 3, 4, 5), rand(2, 2, 3)),
    Case("affine2d-corners", _affine(2, 3, 4, 5, corners=True), rand(2, 2, 3)),
    Case("affine2d-one", _affine(2, 3, 1, 5, corners=True), rand(2, 2, 3)),
    Case("affine3d", _affine(2, 3, 4, 5, 2), rand(2, 3, 4)),
    Case(
        "affine2d-dynamic",
        _transformed,
        (rand(2, 3, 6, 7), rand(2, 2, 3, low=-0.7, high=0.7)),
        {"x": {0: ("n", 1, 2, 4), 2: (1, 6, 9)}, "theta": {0: "n"}},
        [(rand(1, 3, 9, 7), rand(1, 2, 3)), (rand(4, 3, 1, 7), rand(4, 2, 3))],
        rtol=1e-4,
    ),
]
