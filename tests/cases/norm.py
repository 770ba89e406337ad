"""Normalization."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tests.harness import Case, rand

aten = torch.ops.aten


def _layer(module: nn.Module, training: bool = False) -> nn.Module:
    """The module with seeded parameters and statistics."""
    torch.manual_seed(2)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.3, 1.7)
    return module.train(training)


def _native_batch(training: bool) -> Any:
    def run(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> Any:
        return aten.native_batch_norm(x, w, b, m.clone(), v.clone(), training, 0.1, 1e-5)

    return run


def _run_time_batch(x: torch.Tensor, w: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return F.batch_norm(x, m, v, w)


def _no_statistics(x: torch.Tensor) -> Any:
    return aten._native_batch_norm_legit.no_stats(x, None, None, True, 0.1, 1e-3)


def _no_training(x: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> Any:
    return aten._native_batch_norm_legit_no_training(x, None, None, m, v, 0.1, 1e-3)


def _legit(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> Any:
    return aten._native_batch_norm_legit(x, w, b, m, v, False, 0.1, 1e-3)


def _functional(training: bool) -> Any:
    def run(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> Any:
        return aten._native_batch_norm_legit_functional(x, w, b, m, v, training, 0.1, 1e-5)

    return run


def _with_update(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> Any:
    return aten._batch_norm_with_update_functional(x, w, b, m, v, 0.2, 1e-5)[:3]


def _no_update(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> Any:
    return aten._batch_norm_no_update(x, w, b, m, v, 0.2, 1e-5)[0]


def _native_layer(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> Any:
    return torch.native_layer_norm(x, (3, 5), w, b, 1e-3)


def _native_group(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> Any:
    return torch.native_group_norm(x, w, b, 2, 6, 20, 3, 1e-3)


def _layer_no_bias(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, (5,), w)


def _layer_mixed(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, (5,), w, b)


def _layer_far(x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x + 200, (64,))


def _group(groups: int) -> Any:
    def run(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.group_norm(x, groups, w, b, 1e-3)

    return run


def _rms(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(x, (3, 5), w, 1e-4)


def _rms_plain(x: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(x, (5,))


def _fused_rms(x: torch.Tensor, w: torch.Tensor) -> Any:
    return aten._fused_rms_norm(x, [5], w, 1e-4)


def _response(x: torch.Tensor) -> torch.Tensor:
    return F.local_response_norm(x, 3, 0.3, 0.6, 1.5)


def _weight(dim: int) -> Any:
    def run(v: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return torch._weight_norm(v, g, dim)

    return run


def _weight_interface(v: torch.Tensor, g: torch.Tensor) -> Any:
    return aten._weight_norm_interface(v, g, 0)


def _layer_by_sizes(x: torch.Tensor) -> Any:
    functional, sizes = nn.functional, x.shape[1:]
    return functional.layer_norm(x, sizes), functional.rms_norm(x, sizes, eps=1e-5)


class _WeightNormed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.layer = nn.utils.parametrizations.weight_norm(nn.Linear(5, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x)
        return result


_HALF = torch.float16
_FIVE = (rand(2, 3, 5), rand(3), rand(3), rand(3), rand(3, low=0.5, high=2))
_SIX = (rand(2, 6, 4, 5), rand(6), rand(6))
_BATCH = {"input": {0: (1, 2, 8)}}
_SIZES = {"input": {0: (1, 2, 8), 2: (1, 4, 9)}}

CASES = [
    Case("batch2d", _layer(nn.BatchNorm2d(3)), rand(2, 3, 4, 5)),
    Case("batch2d-plain", _layer(nn.BatchNorm2d(3, affine=False)), rand(2, 3, 4, 5)),
    Case("batch2d-half", _layer(nn.BatchNorm2d(3)).half(), rand(2, 3, 4, 5, dtype=_HALF)),
    Case("batch2d-half-mixed", _layer(nn.BatchNorm2d(3)), rand(2, 3, 4, 5, dtype=_HALF)),
    Case("batch2d-own-statistics", _layer(nn.BatchNorm2d(3, track_running_stats=False)), rand(2, 3, 4, 5)),
    Case("batch2d-training", _layer(nn.BatchNorm2d(3), training=True), rand(2, 3, 4, 5)),
    Case(
        "batch2d-dynamic",
        _layer(nn.BatchNorm2d(3)),
        rand(2, 3, 4, 5),
        _SIZES,
        [rand(1, 3, 9, 5), rand(7, 3, 1, 5)],
    ),
    Case("batch1d", _layer(nn.BatchNorm1d(3)), rand(4, 3)),
    Case("batch1d-length", _layer(nn.BatchNorm1d(3)), rand(4, 3, 7)),
    Case("batch1d-training", _layer(nn.BatchNorm1d(3), training=True), rand(4, 3)),
    Case("batch1d-dynamic", _layer(nn.BatchNorm1d(3)), rand(2, 3), _BATCH, [rand(1, 3), rand(8, 3)]),
    Case("batch3d", _layer(nn.BatchNorm3d(3)), rand(2, 3, 2, 4, 5)),
    Case("batch-run-time", _run_time_batch, (rand(2, 3, 5), rand(3), rand(3), rand(3, low=0.5, high=2))),
    Case("native_batch", _native_batch(False), _FIVE),
    Case("native_batch-training", _native_batch(True), _FIVE),
    Case("native_batch-no-statistics", _no_statistics, rand(2, 3, 4, 5)),
    Case("native_batch-no-training", _no_training, (_FIVE[0], *_FIVE[3:])),
    Case("native_batch-legit", _legit, _FIVE),
    Case("native_batch-functional", _functional(True), _FIVE),
    Case("native_batch-functional-eval", _functional(False), _FIVE),
    Case("native_batch-with-update", _with_update, _FIVE),
    Case("native_batch-no-update", _no_update, _FIVE),
    Case("layer", _layer(nn.LayerNorm((3, 5))), rand(2, 3, 5)),
    Case("layer-vector", _layer(nn.LayerNorm(5)), rand(5)),
    Case("layer-no-bias", _layer_no_bias, (rand(2, 3, 5), rand(5))),
    Case("layer-eps", _layer(nn.LayerNorm(5, eps=0.5, elementwise_affine=False)), rand(2, 3, 5)),
    Case("layer-half", _layer(nn.LayerNorm(5)).half(), rand(2, 3, 5, dtype=_HALF)),
    Case("layer-half-mixed", _layer_mixed, (rand(2, 3, 5, dtype=_HALF), rand(5), rand(5))),
    Case("layer-half-far", _layer_far, rand(2, 64, dtype=_HALF)),
    Case("layer-bfloat16", _layer(nn.LayerNorm(5)).bfloat16(), rand(2, 3, 5, dtype=torch.bfloat16)),
    Case("layer-rank8", _layer(nn.LayerNorm((2, 5))), rand(2, 1, 2, 1, 3, 1, 2, 5)),
    Case(
        "layer-dynamic",
        _layer(nn.LayerNorm(5)),
        rand(2, 4, 5),
        {"input": {0: (1, 2, 8), 1: (1, 4, 9)}},
        [rand(1, 9, 5), rand(8, 1, 5)],
    ),
    Case(
        "layer-dynamic-shape",
        _layer_by_sizes,
        rand(2, 4, 5),
        {"x": {0: (1, 2, 8), 2: (1, 5, 9)}},
        [rand(1, 4, 9), rand(8, 4, 2)],
    ),
    Case("native_layer", _native_layer, (rand(2, 3, 5), rand(3, 5), rand(3, 5))),
    Case("group", _group(3), _SIX),
    Case("group-one", _group(1), _SIX),
    Case("group-all", _group(6), _SIX),
    Case("group-plain", _layer(nn.GroupNorm(2, 6, affine=False)), rand(2, 6, 7)),
    Case("group-matrix", _group(3), (rand(4, 6), rand(6), rand(6))),
    Case("group-3d", _group(2), (rand(2, 6, 2, 3, 4), rand(6), rand(6))),
    Case("group-of-one", _group(6), (rand(2, 6, 1, 1), rand(6), rand(6))),
    Case("group-of-one-matrix", _layer(nn.GroupNorm(6, 6, affine=False)), rand(2, 6)),
    Case("group-of-one-half", _layer(nn.GroupNorm(6, 6)).half(), rand(2, 6, 1, 1, 1, dtype=_HALF)),
    Case("group-half", _layer(nn.GroupNorm(2, 6)).half(), rand(2, 6, 4, 5, dtype=_HALF)),
    Case(
        "group-dynamic",
        _layer(nn.GroupNorm(3, 6)),
        rand(2, 6, 4, 5),
        _SIZES,
        [rand(1, 6, 9, 5), rand(7, 6, 1, 5)],
    ),
    Case("native_group", _native_group, _SIX),
    Case("instance1d", _layer(nn.InstanceNorm1d(3, affine=True)), rand(2, 3, 7)),
    Case("instance2d", _layer(nn.InstanceNorm2d(3)), rand(2, 3, 4, 5)),
    Case("instance2d-unbatched", _layer(nn.InstanceNorm2d(3)), rand(3, 4, 5)),
    Case("instance2d-tracked", _layer(nn.InstanceNorm2d(3, affine=True, track_running_stats=True)), rand(2, 3, 4, 5)),
    Case("instance3d", _layer(nn.InstanceNorm3d(3, affine=True)), rand(2, 3, 2, 4, 5)),
    Case(
        "instance2d-dynamic",
        _layer(nn.InstanceNorm2d(3, affine=True)),
        rand(2, 3, 4, 5),
        _SIZES,
        [rand(1, 3, 9, 5), rand(7, 3, 2, 5)],
    ),
    Case("rms", _rms, (rand(2, 3, 5), rand(3, 5))),
    Case("rms-plain", _rms_plain, rand(2, 3, 5)),
    Case("rms-half", _rms_plain, rand(2, 3, 5, dtype=_HALF)),
    Case("rms-fused", _fused_rms, (rand(2, 3, 5), rand(5))),
    Case(
        "rms-dynamic",
        _rms_plain,
        rand(2, 4, 5),
        {"x": {0: (1, 2, 8), 1: (1, 4, 9)}},
        [rand(1, 9, 5), rand(8, 1, 5)],
    ),
    Case("local_response", _response, rand(2, 6, 4, 5)),
    Case("weight", _weight(0), (rand(4, 3, 5), rand(4, 1, 1))),
    Case("weight-last", _weight(2), (rand(4, 3, 5), rand(1, 1, 5))),
    Case("weight-all", _weight(-1), (rand(4, 3), rand())),
    Case("weight-interface", _weight_interface, (rand(4, 3, 5), rand(4, 1, 1))),
    Case("weight-module", _WeightNormed().eval(), rand(3, 5)),
]
