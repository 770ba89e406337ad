"""A trace does without the numbers of products, unless they decide something."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from tests import harness
from tests.passes.mutation import debug

X = harness.rand(3, 4, low=1.0, high=2.0)
WEIGHT = harness.rand(4, 4, low=1.0, high=2.0)


class Watched:
    """A function of tensors that calls ``use`` on a product, which it keeps for each of its runs."""

    def __init__(self, use, multiply=lambda x: x @ WEIGHT):
        self.use, self.multiply, self.products = use, multiply, []

    def __call__(self, x):
        product = self.multiply(x)
        self.products.append(product.detach())
        return self.use(x, product)


def runs_of_trace(function, x):
    """How often the function runs to be traced; debug mode gives then what eager gives."""
    _, actual = debug(function, (x,))
    runs = len(function.products)
    harness.assert_same(actual, harness.call(function, (x,)), rtol=1e-5, atol=1e-5)
    return runs


def attention(x):
    q = x.reshape(1, 1, *x.shape)
    return functional.scaled_dot_product_attention(q, q, q)


KERNEL = harness.rand(2, 1, 3, 3)


def convolve(x):
    return functional.conv2d(x[None, None], KERNEL.to(x.device), stride=2, padding=1)


MULTIPLY = [
    lambda x: x @ WEIGHT.to(x.device),
    lambda x: functional.linear(x, WEIGHT.to(x.device), WEIGHT[0].to(x.device)),
    lambda x: torch.baddbmm(x[None, :, :1], x[None], WEIGHT[None].to(x.device)),
    lambda x: torch.einsum("ij,kj->ik", x, x),
    lambda x: functional.conv_transpose1d(x, WEIGHT[:3, :, None].to(x.device)),
    lambda x: functional.linear(x.bfloat16(), WEIGHT.bfloat16().to(x.device)),
    convolve,
    attention,
    lambda x: attention(x.half()),
]


def check_uncomputed(multiply, x):
    function = Watched(lambda x, y: (y.relu().sum(-1), y.mT.softmax(-1)), multiply)
    with torch.no_grad():
        assert runs_of_trace(function, x) == 1
    assert not function.products[0].any() and function.products[-1].any()


@pytest.mark.parametrize("multiply", MULTIPLY)
def test_products_are_not_computed(multiply):
    check_uncomputed(multiply, X)


@pytest.mark.gpu
@pytest.mark.parametrize("multiply", MULTIPLY)
def test_products_of_a_gpu_are_not_computed(multiply):
    check_uncomputed(multiply, X.cuda())


class Recurrent(nn.Module):
    """Adds what an LSTM gives to ``runs``."""

    def __init__(self, runs):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, num_layers=2, bidirectional=True)
        self.__dict__["watch"] = runs.append

    def forward(self, x):
        result, state = self.lstm(x)
        self.watch(result)
        return result + 1, state


def test_recurrent_layers_are_not_computed():
    runs = []
    module = Recurrent(runs).eval()
    with torch.no_grad():
        _, actual = debug(module, (X[:, None],))
        assert len(runs) == 1 and not runs[0].any()
        harness.assert_same(actual, module(X[:, None]), rtol=1e-5, atol=1e-5)


def _swallowing(x, y):
    try:
        return x * y.tolist()[0][0]
    except BaseException:
        return x


def _added(target, y):
    torch._foreach_add_([target], [y])
    return target


def _written(x, y):
    target = torch.zeros(3, 4)
    target[:, 1:] = y[:, 1:]
    return x * target.sum().item()


NEEDED = {
    "branch": lambda x, y: x + 1 if y.sum() > 0.5 else x - 1,
    "item": lambda x, y: x * y[0, 0].item(),
    "tolist": lambda x, y: x * y[0].tolist()[1],
    "numpy": lambda x, y: x * float(y.detach().numpy().sum()),
    "view": lambda x, y: x * y.t()[1:].reshape(-1)[0].item(),
    "written": _written,
    "swallowed": _swallowing,
    "foreach": lambda x, y: _added(torch.zeros(3, 4), y).sum().item() * x,
    "index": lambda x, y: x[:, y[0].argmax()],
    "embedding": lambda x, y: functional.embedding((y > 0.5).long()[0], x),
    "mask": lambda x, y: x[y > 0.5],
    "nonzero": lambda x, y: (y > 0.5).nonzero(),
    "equal": lambda x, y: x + 1 if torch.equal(y, y * 2) else x - 1,
    "draw": lambda x, y: x + 0 * torch.multinomial(y, 1),
    "other library": lambda x, y: torchvision.ops.nms(torch.cat((y[:, :2], y[:, :2] + 1), 1), y[:, 0], 0.5).float(),
    "error": lambda x, y: x + torch.linalg.inv(y[:, :3]).sum(),
    "sparse": lambda x, y: x * y.to_sparse().to_dense().sum().item(),
    "last": lambda x, y: (x, y.sum().item())[0],
}


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.filterwarnings("ignore")
def test_products_are_computed_where_their_numbers_are_needed(name):
    function = Watched(NEEDED[name])
    assert runs_of_trace(function, X) > 1
    assert not function.products[0].any() and function.products[1].any()


def test_a_loop_that_zeros_never_end():
    def double(x, y):
        y = y / 1000
        while y.sum().item() < 1:
            rounds.append(len(function.products))
            y = y + y
        return x * y

    rounds = []
    function = Watched(double)
    assert runs_of_trace(function, X) > 1
    assert rounds.count(1) == 1 < rounds.count(2)


def test_a_product_of_weights_alone_is_computed():
    function = Watched(lambda x, y: x * y.sum().item(), lambda x: WEIGHT @ WEIGHT)
    assert runs_of_trace(function, X) == 1


class Keeping(nn.Module):
    """Keeps what it computes, in every place that a module has."""

    def __init__(self, runs):
        super().__init__()
        self.register_buffer("state", torch.ones(4))
        self.register_buffer("late", None)
        self.history, self.by_name, self.count = [], {"all": []}, 0
        self.endless = [self.by_name]
        self.endless.append(self.endless)
        self.table = None
        self.runs = runs

    def forward(self, x):
        self.runs()
        self.count += 1
        if self.table is None:
            self.table = WEIGHT @ WEIGHT
        self.last = x @ self.table
        self.history.append(self.last)
        self.by_name["all"].append(self.last)
        self.late = self.last[0] + self.state
        return self.last + self.late


class Runs:
    """Counts its calls."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1


def test_modules_keep_nothing_of_a_trace():
    runs = Runs()
    module = Keeping(runs).eval()
    _, actual = debug(module, (X,))
    assert runs.count == 1
    assert (module.history, module.by_name, module.count) == ([], {"all": []}, 0)
    assert module.table is None and module.late is None and not hasattr(module, "last")
    torch.testing.assert_close(actual, module(X))


class Adding(nn.Module):
    """Adds a buffer of its own to a product, in place."""

    def __init__(self, runs):
        super().__init__()
        self.register_buffer("offset", torch.ones(4))
        self.runs = runs

    def forward(self, x):
        self.runs()
        return (x @ WEIGHT).add_(self.offset)


def test_what_is_added_in_place_stays_as_it_is():
    runs = Runs()
    debug(Adding(runs).eval(), (X,))
    assert runs.count == 1


def test_an_error_of_the_module_is_its_own():
    function = Watched(lambda x, y: y.view(5))
    with pytest.raises(Exception, match="shape '\\[5\\]' is invalid for input of size 12"):
        debug(function, (X,))
    assert len(function.products) == 2 and function.products[1].any()


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_in_any_mode_of_autograd(around):
    with around():
        function = Watched(lambda x, y: convolve(y).relu() + 1)
        assert runs_of_trace(function, X) == 1


def test_a_convolution_is_recorded_once_with_its_line():
    graph, _ = debug(Watched(lambda x, y: y, convolve), (X,))
    found = [node for node in graph.nodes if "conv" in node.kind]
    assert len(found) == 1 and "test_products.py:" in found[0].source
