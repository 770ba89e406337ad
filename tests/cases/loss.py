"""Losses of values."""

import torch
import torch.nn.functional as F

from tests.harness import Case, rand

_H, _I = torch.float16, torch.int64
_REDUCTIONS = ("none", "mean", "sum")
_SIGNS = torch.where(rand(3, 4) > 0, 1.0, -1.0)
_UNIT = {"low": 0.01, "high": 0.99}


def _all(function, **options):
    """The loss in each reduction."""
    return lambda *tensors: tuple(function(*tensors, reduction=name, **options) for name in _REDUCTIONS)


def _dynamic(name, function, make):
    def inputs(size):
        return dict(zip("xy", make(size), strict=True))

    dynamic = {"x": {0: (1, 2, 8)}, "y": {0: (1, 2, 8)}}
    return Case(name, lambda x, y: function(x, y), inputs(2), dynamic=dynamic, others=[inputs(5), inputs(1)])


_PAIR = (rand(3, 4), rand(3, 4))
_FUNCTIONS = {
    "mse_loss": (_all(F.mse_loss), _PAIR),
    "l1_loss": (_all(F.l1_loss), _PAIR),
    "smooth_l1_loss": (_all(F.smooth_l1_loss), _PAIR),
    "smooth_l1_loss-beta": (_all(F.smooth_l1_loss, beta=0.3), _PAIR),
    "smooth_l1_loss-zero": (_all(F.smooth_l1_loss, beta=0.0), _PAIR),
    "huber_loss": (_all(F.huber_loss, delta=0.7), _PAIR),
    "binary_cross_entropy": (_all(F.binary_cross_entropy), (rand(3, 4, **_UNIT), rand(3, 4, **_UNIT))),
    "binary_cross_entropy_with_logits": (_all(F.binary_cross_entropy_with_logits), (rand(3, 4), rand(3, 4, **_UNIT))),
    "kl_div": (_all(F.kl_div), (rand(3, 4), rand(3, 4, low=0.0, high=1.0))),
    "kl_div-log": (_all(F.kl_div, log_target=True), _PAIR),
    "poisson_nll_loss": (_all(F.poisson_nll_loss, full=True), (rand(3, 4), rand(3, 4, low=0.0, high=6.0))),
    "poisson_nll_loss-plain": (_all(F.poisson_nll_loss, log_input=False), (rand(3, 4, low=0.1), rand(3, 4, low=0.0))),
    "soft_margin_loss": (_all(F.soft_margin_loss), (rand(3, 4), _SIGNS)),
    "hinge_embedding_loss": (_all(F.hinge_embedding_loss, margin=0.7), (rand(3, 4), _SIGNS)),
    "margin_ranking_loss": (_all(F.margin_ranking_loss, margin=0.2), (rand(3, 4), rand(3, 4), _SIGNS)),
    "cosine_embedding_loss": (_all(F.cosine_embedding_loss, margin=0.2), (rand(3, 4), rand(3, 4), _SIGNS[:, 0])),
    "triplet_margin_loss": (_all(F.triplet_margin_loss), (rand(3, 4), rand(3, 4), rand(3, 4))),
    "triplet_margin_loss-swap": (_all(F.triplet_margin_loss, swap=True, p=1.5), (rand(3, 4), rand(3, 4), rand(3, 4))),
    "gaussian_nll_loss": (_all(F.gaussian_nll_loss, full=True), (rand(3, 4), rand(3, 4), rand(3, 4, low=0.1))),
}

_HALF_ATOL = {"triplet_margin_loss": 5e-3}
"""Eager rounds both distances, of about 3, to half precision before it takes their difference."""
_WAVES = 0.5 + 0.4 * torch.arange(12.0).sin().reshape(3, 4)


def _weighted(share, weight, reduction):
    return torch.nn.BCELoss(weight, reduction=reduction)(share, 1 - share * share)


CASES = [
    *(Case(name, function, inputs) for name, (function, inputs) in _FUNCTIONS.items()),
    *(
        Case(f"{name}-half", function, tuple(tensor.half() for tensor in inputs), atol=_HALF_ATOL.get(name, 1e-6))
        for name, (function, inputs) in _FUNCTIONS.items()
        if name not in ("gaussian_nll_loss", "triplet_margin_loss-swap", "poisson_nll_loss-plain")
    ),
    Case(
        "l1_loss-int",
        lambda x, y: F.l1_loss(x, y, reduction="sum"),
        (rand(9, dtype=_I, low=0, high=2**40), rand(9, dtype=_I, low=0, high=9)),
    ),
    Case("l1_loss-broadcast", lambda x, y: (x - y).abs().sum() + F.l1_loss(x, x * 2), (rand(3, 4), rand(3, 4))),
    Case(
        "binary_cross_entropy-weight",
        lambda x, y, w: torch.ops.aten.binary_cross_entropy(x, y, w),
        (rand(3, 4, **_UNIT), rand(3, 4, **_UNIT), rand(4)),
    ),
    Case(
        "binary_cross_entropy-module-weight",
        lambda x: tuple(_weighted(x, weight, name) for weight in (_WAVES[0], _WAVES) for name in _REDUCTIONS),
        (_WAVES,),
    ),
    Case(
        "binary_cross_entropy-weight-dynamic",
        lambda x: (_weighted(x, _WAVES[0], "mean"), F.binary_cross_entropy(x, 1 - x, weight=x[:1], reduction="none")),
        {"x": _WAVES},
        dynamic={"x": {0: (1, 3, 8)}},
        others=[{"x": _WAVES[:1]}, {"x": _WAVES.repeat(2, 1)}],
    ),
    Case(
        "binary_cross_entropy-ends",
        lambda x, y: F.binary_cross_entropy(x, y, reduction="none"),
        (torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1.0, 0.0, 1.0])),
    ),
    Case(
        "binary_cross_entropy_with_logits-weights",
        lambda x, y, w, p: F.binary_cross_entropy_with_logits(x, y, w, pos_weight=p),
        (rand(3, 4), rand(3, 4, **_UNIT), rand(4), rand(4)),
    ),
    Case("cosine_embedding_loss-vector", _all(F.cosine_embedding_loss), (rand(4), rand(4), torch.tensor(-1))),
    _dynamic("mse_loss-dynamic", _all(F.mse_loss), lambda size: (rand(size, 3), rand(size, 3))),
    _dynamic(
        "bce-dynamic", _all(F.binary_cross_entropy_with_logits), lambda size: (rand(size, 3), rand(size, 3, **_UNIT))
    ),
]
