"""Losses over classes."""

import torch
import torch.nn.functional as F

from tests.harness import Case, rand

_H, _I, _U = torch.float16, torch.int64, torch.uint8
_aten = torch.ops.aten
_REDUCTIONS = ("none", "mean", "sum")


def _classes(*shape, count=5):
    return rand(*shape, dtype=_I, low=0, high=count)


def _all(function, **options):
    """The loss in each reduction."""
    return lambda *tensors: tuple(function(*tensors, reduction=name, **options) for name in _REDUCTIONS)


def _weighted(function, **options):
    return lambda x, y, w: tuple(function(x, y, weight=w, reduction=name, **options) for name in _REDUCTIONS)


_SHAPES = {"": ((7, 5), (7,)), "-2d": ((2, 5, 3, 4), (2, 3, 4)), "-1d": ((2, 5, 3), (2, 3)), "-vector": ((5,), ())}
_LABELS = torch.tensor([[3, 0, -1, 1, 2], [-1, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
_PROBABILITIES = torch.softmax(rand(7, 5), 1)
_STEPS = torch.log_softmax(rand(12, 3, 6), -1)
_TARGETS = rand(3, 4, dtype=_I, low=1, high=6)


def _ctc(*lengths, **options):
    return lambda x, y: tuple(F.ctc_loss(x, y, *lengths, reduction=name, **options) for name in _REDUCTIONS)


def _ctc_of_tensors(x, y, a, b):
    return F.ctc_loss(x, y, a, b), F.ctc_loss(x, y, a, b, reduction="none")


def _dynamic(name, function, make):
    def inputs(size):
        return dict(zip("xy", make(size), strict=True))

    dynamic = {"x": {0: (1, 2, 8)}, "y": {0: (1, 2, 8)}}
    return Case(name, lambda x, y: function(x, y), inputs(2), dynamic=dynamic, others=[inputs(5), inputs(1)])


CASES = [
    *(
        Case(f"{name}{kind}", _all(function), (rand(*shape), _classes(*target)))
        for name, function in (("nll_loss", F.nll_loss), ("cross_entropy", F.cross_entropy))
        for kind, (shape, target) in _SHAPES.items()
    ),
    Case("nll_loss-weight", _weighted(F.nll_loss), (rand(7, 5), _classes(7), rand(5, low=0.1))),
    Case("nll_loss-ignore", _weighted(F.nll_loss, ignore_index=2), (rand(7, 5), _classes(7), rand(5, low=0.1))),
    Case("nll_loss-all-ignored", _all(F.nll_loss, ignore_index=2), (rand(3, 5), torch.full((3,), 2))),
    Case("nll_loss-minus", _all(F.nll_loss), (rand(3, 5), torch.tensor([-100, 2, 4]))),
    Case("nll_loss-uint8", F.nll_loss, (rand(7, 5), rand(7, dtype=_U, low=0, high=5))),
    Case(
        "nll_loss-aten",
        lambda x, y: (_aten.nll_loss(x, y), _aten.nll_loss_forward(x, y, None, 1, -100)[1]),
        (rand(7, 5), _classes(7)),
    ),
    Case("nll_loss2d-aten", lambda x, y: _aten.nll_loss2d(x, y), (rand(2, 5, 3, 4), _classes(2, 3, 4))),
    Case(
        "nll_loss2d_forward-aten",
        lambda x, y: _aten.nll_loss2d_forward(x, y, None, 2, -100),
        (rand(2, 5, 3, 4), _classes(2, 3, 4)),
    ),
    Case("cross_entropy-smooth", _all(F.cross_entropy, label_smoothing=0.2), (rand(7, 5), _classes(7))),
    Case(
        "cross_entropy-smooth-2d",
        _all(F.cross_entropy, label_smoothing=0.2, ignore_index=1),
        (rand(2, 5, 3, 4), _classes(2, 3, 4)),
    ),
    Case(
        "cross_entropy-smooth-weight",
        _weighted(F.cross_entropy, label_smoothing=0.2, ignore_index=1),
        (rand(7, 5), _classes(7), rand(5, low=0.1)),
    ),
    Case("cross_entropy-smooth-vector", _all(F.cross_entropy, label_smoothing=0.2), (rand(5), _classes())),
    Case("cross_entropy-probabilities", _all(F.cross_entropy, label_smoothing=0.1), (rand(7, 5), _PROBABILITIES)),
    Case(
        "cross_entropy-probabilities-weight", _weighted(F.cross_entropy), (rand(7, 5), _PROBABILITIES, rand(5, low=0.1))
    ),
    Case("cross_entropy-half", _all(F.cross_entropy), (rand(7, 5, dtype=_H), _classes(7))),
    _dynamic("cross_entropy-dynamic", _all(F.cross_entropy), lambda size: (rand(size, 5), _classes(size))),
    Case("multi_margin_loss", _all(F.multi_margin_loss), (rand(7, 5), _classes(7))),
    Case(
        "multi_margin_loss-2",
        _weighted(F.multi_margin_loss, p=2, margin=0.7),
        (rand(7, 5), _classes(7), rand(5, low=0.1)),
    ),
    Case("multi_margin_loss-vector", _all(F.multi_margin_loss), (rand(5), _classes())),
    Case("multilabel_margin_loss", _all(F.multilabel_margin_loss), (rand(3, 5), _LABELS)),
    Case("multilabel_margin_loss-vector", _all(F.multilabel_margin_loss), (rand(5), _LABELS[0])),
    Case(
        "multilabel_margin_loss_forward",
        lambda x, y: _aten.multilabel_margin_loss_forward(x, y, 1),
        (rand(3, 5), _LABELS),
    ),
    Case("ctc_loss", _ctc([12, 9, 12], [4, 2, 3]), (_STEPS, _TARGETS)),
    Case("ctc_loss-empty-target", _ctc([12, 9, 1], [4, 0, 3], zero_infinity=True), (_STEPS, _TARGETS)),
    Case("ctc_loss-infinite", _ctc([12, 9, 1], [4, 0, 3]), (_STEPS, _TARGETS)),
    Case("ctc_loss-row", _ctc([12, 9, 12], [4, 2, 3], blank=5), (_STEPS, rand(9, dtype=_I, low=0, high=5))),
    Case("ctc_loss-single", _ctc([12], [4]), (_STEPS[:, 0], _TARGETS[0])),
    Case("ctc_loss-tensors", _ctc_of_tensors, (_STEPS, _TARGETS, torch.tensor([12, 9, 12]), torch.tensor([4, 2, 3]))),
    Case(
        "ctc_loss-dynamic",
        _ctc_of_tensors,
        (_STEPS, _TARGETS, torch.tensor([12, 9, 12]), torch.tensor([4, 2, 3])),
        {"x": {1: ("batch", 1, 3, 6)}, "y": {0: "batch", 1: (1, 4, 7)}, "a": {0: "batch"}, "b": {0: "batch"}},
        [
            (_STEPS[:, :2], _TARGETS[:2, :1], torch.tensor([12, 7]), torch.tensor([1, 0])),
            (_STEPS.repeat(1, 2, 1)[:, :5], _TARGETS.repeat(2, 2)[:5, :6], torch.full((5,), 11), torch.arange(2, 7)),
        ],
    ),
    Case(
        "nll-total-weight",
        lambda x, y: tuple(_aten.nll_loss_forward(x, y, None, reduction, 2)[1] for reduction in (0, 1, 2)),
        (rand(6, 3), rand(6, dtype=torch.int64, low=0, high=3)),
    ),
]
