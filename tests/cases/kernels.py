"""Rows of torch2trt's own operators: native layers here, plugins in a TensorRT that has them."""

from __future__ import annotations

from typing import Any

import torch

from tests.harness import Case, rand
from tests.plugins import kernels

_LEVELS = torch.tensor([[4, 5], [2, 3]]), torch.tensor([0, 20])
_DEFORMED = (rand(2, 6, 7, 6), rand(4, 3, 3, 3), rand(2, 36, 4, 6), rand(2, 18, 4, 6, low=0), rand(4))
_ATTENDED = (rand(2, 26, 3, 4), rand(2, 5, 3, 2, 2, 2, low=-0.2, high=1.2), rand(2, 5, 3, 2, 2, low=0))


def _call(name: str, *arguments: Any, **options: Any) -> Any:
    return getattr(kernels.operators(), name)(*arguments, **options)


def _roi_align(x: torch.Tensor, rois: torch.Tensor) -> Any:
    return _call("roi_align", x, rois, 0.5, 3, 2, 2, True)


def _deformed(x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, mask: Any, bias: Any) -> Any:
    return _call("deform_conv2d", x, weight, offset, mask, bias, [2, 1], [1, 1], [1, 1])


def _deformed_plain(x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor) -> Any:
    return _call("deform_conv2d", x, weight, offset)


def _grid(mode: int, border: int, corners: bool) -> Any:
    return lambda x, grid: _call("grid_sample_3d", x, grid, mode, border, corners)


def _scatter(reduce: str, include: bool) -> Any:
    def function(x: torch.Tensor, index: torch.Tensor, source: torch.Tensor) -> Any:
        return _call("scatter_reduce", x, -1, index, source, reduce, include_self=include)

    return function


def _attention(value: torch.Tensor, locations: torch.Tensor, weights: torch.Tensor) -> Any:
    return _call("ms_deform_attn", value, *_LEVELS, locations, weights)


def _correlation(**options: Any) -> Any:
    return lambda first, second: _call("correlation", first, second, **options)


def _rois(count: int) -> torch.Tensor:
    corners = rand(count, 4, low=-2, high=24)
    return torch.cat([rand(count, 1, dtype=torch.int64, low=0, high=2).float(), corners], 1)


_INDEX = rand(3, 6, dtype=torch.int64, low=0, high=4)

CASES = [
    Case("roi_align", _roi_align, (rand(2, 3, 10, 12), _rois(5))),
    Case(
        "roi_align-dynamic",
        _roi_align,
        (rand(2, 3, 10, 12), _rois(5)),
        {"rois": {0: (1, 5, 9)}},
        [(rand(2, 3, 10, 12), _rois(1)), (rand(2, 3, 10, 12), _rois(8))],
    ),
    Case("deform_conv2d", _deformed, _DEFORMED, rtol=1e-4),
    Case("deform_conv2d-plain", _deformed_plain, (rand(1, 4, 5, 5), rand(2, 4, 2, 2), rand(1, 8, 4, 4)), rtol=1e-4),
    Case("grid_sample_3d", _grid(0, 0, False), (rand(2, 3, 4, 5, 6), rand(2, 2, 3, 4, 3))),
    Case("grid_sample_3d-nearest", _grid(1, 1, True), (rand(2, 3, 4, 5, 6), rand(2, 2, 3, 4, 3))),
    Case("scatter_reduce-sum", _scatter("sum", True), (rand(3, 4), _INDEX, rand(3, 6)), rtol=1e-5),
    Case("scatter_reduce-mean", _scatter("mean", False), (rand(3, 4), _INDEX, rand(3, 6)), rtol=1e-5),
    Case("scatter_reduce-amax", _scatter("amax", True), (rand(3, 4), _INDEX, rand(4, 6))),
    Case("ms_deform_attn", _attention, _ATTENDED),
    Case(
        "ms_deform_attn-dynamic",
        _attention,
        _ATTENDED,
        {"locations": {1: (1, 5, 9)}, "weights": {1: (1, 5, 9)}},
        [(rand(2, 26, 3, 4), rand(2, n, 3, 2, 2, 2, low=0, high=1), rand(2, n, 3, 2, 2, low=0)) for n in (2, 8)],
    ),
    Case("ms_deform_attn-half", _attention, tuple(x.half() for x in _ATTENDED)),
    Case("correlation", _correlation(max_displacement=2, padding=2), (rand(2, 3, 6, 7), rand(2, 3, 6, 7))),
    Case(
        "correlation-window",
        _correlation(kernel_size=3, stride=2, padding=1, dilation=2, patch_dilation=2, normalize=True),
        (rand(2, 3, 7, 8), rand(2, 3, 7, 8)),
    ),
    Case(
        "correlation-dynamic",
        _correlation(max_displacement=1, stride=2, padding=1, normalize=True),
        (rand(1, 3, 6, 7), rand(1, 3, 6, 7)),
        {"first": {2: (4, 6, 9), 3: (4, 7, 9)}, "second": {2: (4, 6, 9), 3: (4, 7, 9)}},
        [(rand(1, 3, h, w), rand(1, 3, h, w)) for h, w in ((4, 9), (9, 5))],
    ),
]
