"""Random ops: refused unless allowed; then the numbers have PyTorch's distribution, not its values."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import torch2trt
from torch2trt.errors import UnsupportedArgumentError

N = 40_000
_aten = torch.ops.aten


def draw(function, *inputs):
    """What the network draws, of the shape and dtype that eager gives; an engine builds."""
    expected = function(*inputs)
    with pytest.raises(UnsupportedArgumentError, match="allow_random=True"):
        torch2trt.convert(function, inputs)
    converted = torch2trt.convert(function, inputs, allow_random=True)
    actual = converted.evaluate(*inputs)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    assert converted.serialize(optimization_level=0)
    return actual, expected


WIDE = torch.ones(N)

_MOMENTS = {
    "rand": lambda x: torch.rand(N) + x * 0,
    "rand_like": lambda x: torch.rand_like(x),
    "randn": lambda x: torch.randn(N // 4, 4) + x[0],
    "randn_like": lambda x: torch.randn_like(x, dtype=torch.float16),
    "randint": lambda x: torch.randint(-3, 9, (N,)) + x,
    "randint_like": lambda x: torch.randint_like(x, 2, 7),
    "uniform": lambda x: x.clone().uniform_(-2, 3),
    "normal": lambda x: torch.normal(x * 2, 0.5),
    "normal_tensors": lambda x: torch.normal(x, x * 3),
    "normal_of_deviations": lambda x: torch.normal(1.0, x[:1].expand(N) * 3),
    "normal_sizes": lambda x: torch.normal(1.0, 2.0, (N,)) * x,
    "normal_": lambda x: x.clone().normal_(2, 3),
    "exponential": lambda x: x.clone().exponential_(2.0),
    "log_normal": lambda x: x.clone().log_normal_(0.1, 0.2),
    "geometric": lambda x: x.clone().geometric_(0.3),
    "random": lambda x: x.clone().random_(2, 9),
    "random_to": lambda x: _aten.random(x.long(), 5),
    "random_of_float": lambda x: _aten.random(x) / 2**24,
    "bernoulli": lambda x: torch.bernoulli(x * 0.3),
    "bernoulli_p": lambda x: _aten.bernoulli(x, 0.8),
    "dropout": lambda x: F.dropout(x, 0.3),
    "dropout_half": lambda x: F.dropout(x.half(), 0.3),
    "alpha_dropout": lambda x: F.alpha_dropout(x * 0.5, 0.3, training=True),
    "rrelu": lambda x: F.rrelu(-x, 0.1, 0.7, training=True),
    "native_dropout": lambda x: _aten.native_dropout(x, 0.4, True)[0],
    "native_dropout_mask": lambda x: _aten.native_dropout(x, 0.4, True)[1],
}


@pytest.mark.parametrize("name", _MOMENTS)
def test_moments(name):
    torch.manual_seed(0)
    actual, expected = draw(_MOMENTS[name], WIDE)
    actual, expected = actual.double(), expected.double()
    spread = expected.std().item()
    assert abs(actual.mean() - expected.mean()) <= 0.03 * spread + 1e-6
    assert abs(actual.std() - spread) <= 0.03 * spread + 1e-6
    assert actual.min() >= expected.min() - 2 * spread
    assert actual.max() <= expected.max() + 4 * spread


def test_cauchy():
    actual, _ = draw(lambda x: x.clone().cauchy_(1.0, 2.0), WIDE)
    quartiles = torch.quantile(actual, torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(quartiles, torch.tensor([-1.0, 1.0, 3.0]), rtol=0, atol=0.15)


def test_integers_cover_their_range():
    actual, _ = draw(lambda x: torch.randint_like(x, 2, 7), WIDE)
    assert actual.unique().tolist() == [2, 3, 4, 5, 6]
    with pytest.raises(UnsupportedArgumentError, match="16777217 different"):
        torch2trt.convert(lambda x: torch.randint_like(x, 2**25), (WIDE,), allow_random=True)


def test_permutation():
    actual, _ = draw(lambda x: torch.randperm(100) + x, torch.zeros(100, dtype=torch.int64))
    assert sorted(actual.tolist()) == list(range(100)) != actual.tolist()


def test_multinomial():
    weights = torch.tensor([[1.0, 3.0, 0.0, 4.0], [5.0, 0.0, 5.0, 0.0]])
    actual, _ = draw(lambda w: torch.multinomial(w, 4000, replacement=True), weights)
    found = F.one_hot(actual, 4).double().mean(1)
    torch.testing.assert_close(found, weights.double() / weights.sum(1, keepdim=True), rtol=0, atol=0.03)
    actual, _ = draw(lambda w: torch.multinomial(w, 2), weights.repeat(100, 1))
    assert (actual[:, 0] != actual[:, 1]).all()
    assert (weights.repeat(100, 1).gather(1, actual) > 0).all()
    assert draw(lambda w: torch.multinomial(w, 3, replacement=True), weights[0])[0].shape == (3,)


def test_channels_drop_as_a_whole():
    for function in (F.dropout2d, F.feature_alpha_dropout):
        actual, _ = draw(lambda x, f=function: f(x, 0.5, training=True), torch.ones(40, 50, 3, 2))
        flat = actual.flatten(2)
        assert (flat == flat[:, :, :1]).all()
        assert len(flat.unique()) == 2
        assert 0.4 < (flat[..., 0] == flat.max()).double().mean() < 0.6


def test_attention():
    query = torch.zeros(1, 2, 100, 4)
    value = torch.ones(1, 2, 400, 4)
    actual, _ = draw(lambda q, v: F.scaled_dot_product_attention(q, v, v, dropout_p=0.25), query, value)
    assert abs(actual.mean() - 1) < 0.02
    assert 0.01 < actual[..., 0].std() < 0.06


def test_recurrent_layers():
    model = torch.nn.LSTM(3, 5, num_layers=2, dropout=0.5).train()
    inputs = torch.randn(4, 2, 3)
    with pytest.raises(UnsupportedArgumentError, match="eval mode"):
        torch2trt.convert(model, inputs)
    converted = torch2trt.convert(model, inputs, allow_random=True)
    actual = converted.evaluate(inputs)[0]
    assert actual.shape == (4, 2, 5)
    assert not torch.allclose(actual, model.eval()(inputs)[0], atol=1e-4)


def test_dynamic_sizes():
    converted = torch2trt.convert(
        lambda x: torch.rand(x.shape[0], 2) + torch.randn_like(x),
        torch.zeros(3, 2),
        dynamic_shapes={"x": {0: (1, 3, 9)}},
        allow_random=True,
    )
    for count in (1, 7):
        result = converted.evaluate(torch.zeros(count, 2))
        assert result.shape == (count, 2)
        assert result.unique().numel() == result.numel()


def test_scalars():
    actual, _ = draw(lambda x: x + torch.rand(()) + torch.randn_like(x[0]), torch.zeros(3))
    assert actual.unique().numel() == 1


def test_two_draws_differ():
    result = torch2trt.convert(lambda x: (torch.rand_like(x), torch.rand_like(x)), WIDE, allow_random=True)
    first, second = result.evaluate(WIDE)
    assert not torch.equal(first, second)
    assert math.isclose(torch.corrcoef(torch.stack((first, second)))[0, 1], 0, abs_tol=0.02)


@pytest.mark.parametrize("function", [torch.poisson, torch._standard_gamma, lambda x: torch.binomial(x, x / 2)])
def test_what_has_no_layer_is_refused(function):
    with pytest.raises(UnsupportedArgumentError, match="no layer for"):
        torch2trt.convert(function, torch.ones(3), allow_random=True)


@pytest.mark.parametrize("dynamic_shapes", [None, {"x": {0: (1, 2, 4)}}], ids=["static", "dynamic"])
def test_generators_are_refused(dynamic_shapes):
    def function(x):
        return x + torch.rand(3, generator=torch.Generator().manual_seed(0))

    with pytest.raises(UnsupportedArgumentError, match=r"generator=(.|\n)*test_random.py"):
        torch2trt.convert(function, torch.zeros(2, 3), dynamic_shapes=dynamic_shapes)
