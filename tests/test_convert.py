"""From a module to a finished network, evaluated and built ahead of time."""

from __future__ import annotations

import collections
import gc
import os

import pytest
import torch
from torch import nn

import torch2trt
from tests import harness
from torch2trt import errors, trt, trt_compat


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.second = nn.Linear(3, 2)

    def forward(self, image, scale=None):
        hidden = torch.relu(self.first(image))
        return self.second(hidden if scale is None else hidden * scale)


@pytest.fixture
def net():
    return Net().eval()


def check(function, *inputs, **options):
    converted = torch2trt.convert(function, inputs, **options)
    actual = converted.evaluate(*inputs)
    harness.assert_same(actual, harness.call(function, inputs))
    return converted


Point = collections.namedtuple("Point", ["x", "y"])


def test_nested_inputs_and_outputs():
    def function(a, b, flag):
        y = torch.exp(a["k"]) + b[0]
        return {"sum": y, "again": (y, None, [3, "text"]), "input": b[1], "point": Point(y, torch.ones(2))}

    inputs = ({"k": torch.randn(2)}, [torch.randn(2), torch.randn(3)], True)
    converted = torch2trt.convert(function, inputs)
    assert converted.input_names == ["a_k", "b_0", "b_1"]
    assert converted.output_names == ["sum", "sum", "input", "sum", "point_y"]
    assert converted.network.num_outputs == 3
    harness.assert_same(converted.evaluate(*inputs), function(*inputs))
    assert converted.serialize()


def test_keyword_arguments(net):
    x, scale = torch.randn(2, 4), torch.tensor(2.0)
    converted = torch2trt.convert(net, {"image": x, "scale": scale})
    harness.assert_same(converted.evaluate(image=x, scale=scale), harness.call(net, (x, scale)))


def test_unused_inputs_are_fine():
    check(lambda x, y: torch.exp(x), torch.randn(2), torch.randn(3)).serialize()


def test_outputs_that_are_inputs_and_constants():
    check(lambda x: (x, torch.ones(3), x), torch.randn(2)).serialize()


def test_input_and_output_of_the_same_name():
    converted = torch2trt.convert(lambda x: {"x": torch.exp(x)}, torch.ones(2))
    assert converted.output_names == ["output_x"]


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.bool], ids=str
)
def test_input_dtypes(dtype):
    x = harness.rand(2, 3, dtype=dtype, low=0, high=3)
    converted = check(lambda x: (x + x, x.to(torch.float32)), x)
    assert converted.serialize()


def test_promotion_follows_pytorch():
    half, integers, zero = torch.randn(3).half(), torch.tensor([1, 2, 3]), torch.tensor(2.5)
    check(lambda h, i, z: (h + i, h + z, i + z, i + 1, i + 1.5, h * 2.5, i / 2, h + i.int()), half, integers, zero)


def test_float64_is_refused_with_its_place():
    with pytest.raises(errors.DtypeError, match=r"float64(.|\n)*test_convert.py(.|\n)*allow_float64"):
        torch2trt.convert(lambda x: x.double() + 1, torch.ones(2))
    with pytest.raises(errors.InputError, match="input 'x'.*float64"):
        torch2trt.convert(lambda x: x + 1, torch.ones(2, dtype=torch.float64))


def test_float64_as_float32():
    x = torch.randn(3, dtype=torch.float64)
    converted = torch2trt.convert(lambda x: torch.exp(x) * 2.0, x, allow_float64_as_float32=True)
    result = converted.evaluate(x)
    assert result.dtype == torch.float64  # of float32 numbers
    torch.testing.assert_close(result, torch.exp(x) * 2, rtol=1e-5, atol=1e-6)


def test_dynamic_shapes(net):
    x = torch.randn(2, 4)
    converted = torch2trt.convert(net, x, dynamic_shapes={"image": {0: (1, 2, 16)}})
    assert tuple(converted.network.get_input(0).shape) == (-1, 4)
    assert converted.profile() == {"image": ((1, 4), (2, 4), (16, 4))}
    for batch in (1, 3, 16):
        other = torch.randn(batch, 4)
        torch.testing.assert_close(converted.evaluate(other), net(other).detach())
    assert converted.serialize()


def test_input_descriptions(net):
    described = torch2trt.Input("picture", min=(1, 4), opt=(2, 4), max=(8, 4))
    converted = torch2trt.convert(net, described)
    assert converted.input_names == ["picture"] and converted.profile()["picture"] == ((1, 4), (2, 4), (8, 4))
    x = torch.randn(5, 4)
    torch.testing.assert_close(converted.evaluate(x), net(x).detach())


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.shape[0],
        lambda x: (x.numel() - 1, "text", None),
        lambda x: torch.ops.aten.sym_size.int(x, 1),
        lambda x: {},
    ],
)
def test_modules_that_return_no_tensor(function):
    x = torch.ones(3, 2)
    converted = torch2trt.convert(function, x)
    harness.assert_same(converted.evaluate(x), function(x))
    assert converted.serialize(optimization_level=0)


def test_axes_that_share_a_name():
    shapes = {"x": {0: ("batch", 1, 2, 8)}, "y": {0: "batch"}}
    x, y = torch.randn(2, 3), torch.randn(2, 3)
    converted = torch2trt.convert(lambda x, y: x + y, (x, y), dynamic_shapes=shapes)
    harness.assert_same(converted.evaluate(torch.ones(5, 3), torch.ones(5, 3)), torch.full((5, 3), 2.0))


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: x.sum() + torch.arange(int(x.shape[0]) ** 3), "baked into the trace: 8"),
        (lambda x: x + 1 if x.shape[0] > 2 else torch.exp(x), "branches on a dynamic size"),
        (lambda x: x + torch.tensor([int(x.shape[0])]), "baked"),
        (lambda x: sum(x[i] for i in range(x.shape[0])), "depends on a dynamic size|branches|baked"),
    ],
)
def test_baked_sizes_are_found(function, text):
    with pytest.raises(errors.ShapeError, match=rf"({text})(.|\n)*test_convert.py"):
        torch2trt.convert(function, torch.randn(2, 3), dynamic_shapes={"x": {0: (1, 2, 8)}})


def test_a_constant_nan_is_the_same_at_all_sizes():
    def function(x):
        return torch.where(x > 0, x, torch.tensor([torch.nan, 1.0, -torch.inf]))

    converted = torch2trt.convert(function, torch.randn(2, 3), dynamic_shapes={"x": {0: (1, 2, 8)}})
    x = torch.randn(5, 3)
    harness.assert_same(converted.evaluate(x), function(x))


@pytest.mark.parametrize(
    ("function", "high", "text"),
    [
        (lambda x: torch.roll(x, int(x.shape[0]) // 2, 0), 5, "baked into the trace: 2 at one size is 1"),
        (lambda x: x + 1 if int(x.shape[0]) % 2 else torch.exp(x), 8, "branches on a dynamic size"),
    ],
)
def test_what_no_other_size_shows_is_warned_about(function, high, text):
    with pytest.warns(UserWarning, match=rf"may be wrong at sizes such as x \[3, 3\]: .*{text}(.|\n)*test_convert.py"):
        torch2trt.convert(function, torch.randn(4, 3), dynamic_shapes={"x": {0: (3, 4, high)}})


def test_returned_sizes_and_failures_at_other_sizes_are_errors():
    shapes = {"x": {0: (1, 2, 8)}}
    with pytest.raises(errors.ShapeError, match="Python value that the module returns"):
        torch2trt.convert(lambda x: (x + 1, len(x)), torch.randn(2, 3), dynamic_shapes=shapes)
    with pytest.raises(errors.ShapeError, match=r"does not run at other sizes .*x \[8, 3\]"):
        torch2trt.convert(lambda x: x.view(6) + 1, torch.randn(2, 3), dynamic_shapes=shapes)
    with pytest.raises(errors.ShapeError, match="gives 2 tensors at one size and 8 at another"):
        torch2trt.convert(lambda x: x.unbind(0)[-1], torch.randn(2, 3), dynamic_shapes=shapes)


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ({"y": {0: (1, 2, 3)}}, "names 'y'; the inputs are x"),
        ({"x": {5: (1, 2, 3)}}, "no axis 5"),
        ({"x": {0: (4, 2, 3)}}, "not ordered"),
        ({"x": {0: (4, 5, 6)}}, "outside"),
        ({"x": {0: 7}}, "is not"),
        ({"x": {0: "batch"}}, "no axis gives sizes to 'batch'"),
    ],
)
def test_bad_dynamic_shapes(shapes, text):
    with pytest.raises(errors.InputError, match=text):
        torch2trt.convert(lambda x: torch.exp(x), torch.ones(2, 3), dynamic_shapes=shapes)


def test_weight_names_and_overrides(net):
    x = torch.randn(2, 4)
    converted = torch2trt.convert(net, x)
    assert set(converted.weights.origins) >= {"first.weight", "second.weight"}
    assert converted.weights.keys() == set(net.state_dict())
    other = Net().eval()
    actual = converted.evaluate_with(other.state_dict(), x)
    torch.testing.assert_close(actual, other(x).detach())


def test_computed_weights_are_computed_again():
    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 4))
            self.scale = nn.Parameter(torch.randn(3))

        def forward(self, x):
            return x @ (self.weight * self.scale[:, None]).T

    first, second, x = Folded().eval(), Folded().eval(), torch.randn(2, 4)
    converted = torch2trt.convert(first, x)
    assert converted.weights.keys() == {"weight", "scale"}
    torch.testing.assert_close(converted.evaluate(x), first(x).detach())
    torch.testing.assert_close(converted.evaluate_with(second.state_dict(), x), second(x).detach())


@pytest.mark.skipif(not trt_compat.is_rtx(), reason="other TensorRTs build it")
def test_what_cannot_be_built_is_located():
    def chosen(x):
        y = x * 2
        return y[y > 0]

    with pytest.raises(errors.BuildError, match=r"(?s)op aten::index.*test_convert\.py:\d+.*torch2trt\.compile"):
        torch2trt.convert(chosen, torch.randn(3, 4)).serialize()


class Parts(nn.Module):
    """Weights in lists of parts, and one that is read whole and in part from the same memory."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.joined = nn.Parameter(torch.randn(12, 4))
        self.register_buffer("table", torch.randn(10))

    def forward(self, x, step):
        first, second, third = self.joined.chunk(3)
        rows = x @ first + (x @ second) * (x @ third) + torch.stack(self.joined.unbind(1)).sum(1)
        found = self.attention(rows, x, x, need_weights=False)[0]
        return found * self.table[step] + torch.where(step > 0, self.table[0], self.table[1])


def test_parts_of_weights_are_computed_again():
    torch.manual_seed(0)
    first, second, x, step = Parts().eval(), Parts().eval(), torch.randn(2, 3, 4), torch.tensor(3)
    nn.init.normal_(second.attention.in_proj_bias)
    converted = torch2trt.convert(first, (x, step))
    assert converted.weights.keys() == set(first.state_dict())
    torch.testing.assert_close(converted.evaluate(x, step), first(x, step).detach())
    torch.testing.assert_close(converted.evaluate_with(second.state_dict(), x, step), second(x, step).detach())
    assert converted.serialize()


def test_weights_are_not_copied(net):
    converted = torch2trt.convert(net, torch.randn(2, 4))
    layers = [converted.network.get_layer(i) for i in range(converted.network.num_layers)]
    constants = [layer for layer in layers if layer.type == trt.LayerType.CONSTANT]
    for layer in constants:
        layer.__class__ = trt.IConstantLayer
    addresses = {layer.weights.ctypes.data for layer in constants if hasattr(layer.weights, "ctypes")}
    assert net.first.weight.data_ptr() in addresses


def test_network_outlives_its_module():
    x = torch.randn(2, 4)
    net = Net().eval()
    expected = net(x).detach()
    converted = torch2trt.convert(net, x)
    del net
    converted.trace = converted.graph = None
    gc.collect()
    result = torch2trt.reference.evaluate(converted.network, {"image": x})
    torch.testing.assert_close(result["output"], expected)


def test_serialize_writes_a_whole_file_or_none(net, tmp_path):
    converted = torch2trt.convert(net, torch.randn(2, 4))
    path = tmp_path / "net.engine"
    path.write_bytes(b"before")
    blob = converted.serialize(path, optimization_level=0)
    assert path.read_bytes() == blob and os.listdir(tmp_path) == ["net.engine"]
    with pytest.raises(errors.Torch2TRTError, match="missing"):
        converted.serialize(tmp_path / "missing" / "net.engine")
    with pytest.raises(errors.InputError, match="unknown build option"):
        converted.serialize(speed="fast")


def test_interrupted_build_leaves_no_file(net, tmp_path, monkeypatch):
    from torch2trt.engine import cached

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    converted = torch2trt.convert(net, torch.randn(2, 4))
    monkeypatch.setattr(cached, "serialize_network", interrupted)
    with pytest.raises(KeyboardInterrupt):
        converted.serialize(tmp_path / "net.engine")
    assert os.listdir(tmp_path) == []


def test_wrong_inputs_to_evaluate(net):
    converted = torch2trt.convert(net, torch.randn(2, 4))
    with pytest.raises(errors.InputError, match="at most 1 are taken"):
        converted.evaluate(torch.randn(2, 4), torch.randn(2, 4))
    with pytest.raises(errors.InputError):
        converted.evaluate(torch.randn(3, 4))
    with pytest.raises(errors.InputError):
        converted.evaluate(torch.ones(2, 4, dtype=torch.int64))


def test_names_that_clash(net):
    with pytest.raises(errors.InputError, match="must differ"):
        torch2trt.convert(lambda a, b: a + b, (torch.ones(1), torch.ones(1)), input_names=["x", "x"])
    with pytest.raises(errors.InputError, match="2 output names"):
        torch2trt.convert(net, torch.ones(1, 4), output_names=["a", "b"])


def test_bad_exclude_pattern(net):
    with pytest.raises(errors.InputError, match="regular expression"):
        torch2trt.convert(net, torch.ones(1, 4), param_exclude="(")


def test_an_open_size_beside_run_time_sizes_is_computed(capfd):
    """Left to TensorRT for RTX, it would be computed from the sizes of the call before."""
    sizes = {"x": {0: ("b", 1, 2, 3), 1: ("l", 5, 10, 13)}, "m": {0: "b", 1: "l"}}

    def masked(x, m):
        return x * m.view(x.shape[0], -1)

    converted = torch2trt.convert(masked, (torch.randn(2, 10), torch.randn(2, 10)), dynamic_shapes=sizes)
    capfd.readouterr()
    assert converted.serialize(optimization_level=0)
    captured = capfd.readouterr()
    assert "not self-consistent" not in captured.out + captured.err


class Pair(nn.Module):
    def forward(self, x, y):
        return x + y


def test_several_optimisation_profiles():
    batch = {0: ("batch", 1, 8, 64)}
    x = torch.randn(2, 4)
    converted = torch2trt.convert(Pair(), (x, x.clone()), dynamic_shapes={"x": batch, "y": {**batch, 1: (1, 4, 4)}})
    narrow = converted.profile({"x": {-2: (16, 32, 64), 1: (4, 4, 4)}})
    assert narrow == {"x": ((16, 4), (32, 4), (64, 4)), "y": ((16, 1), (32, 4), (64, 4))}
    both = {"x": {0: (1, 1, 4)}, "y": {0: (1, 1, 4), 1: (4, 4, 4)}}
    assert converted.profile(both)["y"] == ((1, 4), (1, 4), (4, 4))
    one, two = converted.serialize(), converted.serialize(profiles=[both, {"x": {0: (16, 32, 64)}}])
    assert len(two) > len(one)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"z": {0: (1, 2, 3)}}, "a profile names 'z'"),
        ({"x": {1: (3, 3, 3)}}, "axis 1 of input 'x', which is fixed at 4"),
        ({"x": {0: (1, 2, 65)}}, "not within"),
        ({"x": {0: (3, 2, 4)}}, "not ordered"),
        ({"x": {5: (1, 2, 4)}}, "no axis 5"),
    ],
)
def test_profiles_that_do_not_fit(profile, words):
    x = torch.randn(2, 4)
    converted = torch2trt.convert(Pair(), (x, x.clone()), dynamic_shapes={"x": {0: (1, 8, 64)}, "y": {0: (1, 8, 64)}})
    with pytest.raises(errors.InputError, match=words):
        converted.serialize(profiles=[profile])


class Counted(nn.Module):
    """Writes to a tensor of its own, which makes the trace run once more, watched."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.cell = nn.Conv1d(3, 3, 3), nn.ConvTranspose1d(3, 3, 3), nn.LSTMCell(3, 3)
        self.count = torch.zeros(1)

    def forward(self, x):
        self.count.add_(1.0)
        return self.second(self.first(x)) * self.count, self.cell(x[..., 0])[0]


def test_a_module_that_writes_to_its_constants_is_traced_whole():
    module, x, other = Counted().eval(), torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    with pytest.warns(UserWarning, match="writes to count"):
        converted = torch2trt.convert(module, x)
    for found, expected in zip(converted.evaluate(other), module(other), strict=True):
        torch.testing.assert_close(found, expected.detach())


def test_a_module_that_keeps_what_its_first_run_makes():
    class Keeping(nn.Module):
        table = None

        def forward(self, x):
            if self.table is None:
                self.table = torch.arange(x.shape[1]) * 2.0
            return x + self.table

    x = torch.randn(2, 4)
    converted = torch2trt.convert(Keeping().eval(), x, dynamic_shapes={"x": {0: (1, 2, 8)}})
    for size in (2, 5):
        x = torch.randn(size, 4)
        assert torch.equal(converted.evaluate(x), x + torch.arange(4) * 2.0)


@pytest.mark.filterwarnings("ignore:results may be wrong")
def test_chunks_of_a_size_that_gives_fewer_are_an_error():
    x = torch.randn(10, 2)
    converted = torch2trt.convert(lambda x: x.chunk(5), x, dynamic_shapes={"x": {0: (0, 10, 20)}})
    for size in (10, 5, 13, 9, 20, 0):
        x = torch.randn(size, 2)
        assert all(map(torch.equal, converted.evaluate(x), x.chunk(5)))
    for size in (12, 7, 3):
        with pytest.raises(errors.EvaluationError, match="fewer than 5 chunks"):
            converted.evaluate(torch.randn(size, 2))
    assert converted.serialize()


def test_a_split_of_a_size_that_gives_another_number_of_pieces_is_an_error():
    x = torch.randn(10, 2)
    converted = torch2trt.convert(lambda x: x.split(4), x, dynamic_shapes={"x": {0: (8, 10, 12)}})
    for size in (9, 10, 12):
        x = torch.randn(size, 2)
        assert all(map(torch.equal, converted.evaluate(x), x.split(4)))
    with pytest.raises(errors.EvaluationError, match="a split into 3 pieces"):
        converted.evaluate(torch.randn(8, 2))
    assert converted.serialize()


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_split_by_a_size():
    function = lambda x: torch.cat([x, x + 1, x + 2]).split(x.shape[0])  # noqa: E731
    converted = torch2trt.convert(function, torch.randn(2, 3), dynamic_shapes={"x": {0: (1, 2, 5)}})
    for size in (1, 5):
        x = torch.randn(size, 3)
        assert all(map(torch.equal, converted.evaluate(x), function(x)))


@pytest.mark.gpu
def test_an_engine_of_several_profiles():
    x = torch.randn(2, 4)
    converted = torch2trt.convert(nn.ReLU(), x, dynamic_shapes={"input": {0: (1, 8, 64)}})
    with converted.build(profiles=[{"input": {0: (1, 1, 4)}}, {"input": {0: (16, 32, 64)}}]) as engine:
        assert [profile["input"][1] for profile in engine.profiles] == [(1, 4), (32, 4)]
        for size in (1, 64, 3, 16):
            x = torch.randn(size, 4, device="cuda")
            assert torch.equal(engine(x), x.relu())
        with pytest.raises(errors.InputError, match="profile 1"):
            engine(torch.randn(8, 4, device="cuda"))


def test_evaluation_with_weights_by_name(net):
    converted = torch2trt.convert(net, torch.randn(2, 4))
    new = {key: tensor * 2 for key, tensor in net.state_dict().items()}
    x = torch.randn(2, 4)
    found = torch2trt.reference.evaluate(converted.network, {converted.input_names[0]: x}, weights=new)
    torch.testing.assert_close(found[converted.output_names[0]], converted.evaluate_with(new, x))


def test_evaluation_outside_of_the_range():
    converted = torch2trt.convert(nn.ReLU(), torch.randn(2, 4), dynamic_shapes={"input": {0: (1, 8, 64)}})
    with pytest.raises(errors.InputError, match=r"'input' has shape \[65, 4\], outside its profile"):
        converted.evaluate(torch.randn(65, 4))


@pytest.mark.parametrize("shapes", [None, {"x": {0: (1, 2, 8)}}])
def test_ranks_that_tensorrt_cannot_hold(shapes):
    with pytest.raises(errors.ShapeError, match=r"rank 8 at most.*rank (9|12)(.|\n)*test_convert.py"):
        torch2trt.convert(lambda x: x.repeat(*[1] * 7, 2, 3), torch.randn(2, 3), dynamic_shapes=shapes)


def test_a_module_without_inputs():
    converted = torch2trt.convert(lambda: (torch.arange(3) * 2, torch.ones(2)), ())
    harness.assert_same(converted.evaluate(), (torch.tensor([0, 2, 4]), torch.ones(2)))
    assert converted.serialize(optimization_level=0)


def test_singular_vectors_need_consent():
    x = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    for function in (torch.linalg.svd, torch.linalg.eigh, torch.svd):
        with pytest.raises(errors.UnsupportedArgumentError, match=r"no definite sign(?s:.*)allow_other_signs=True"):
            torch2trt.convert(function, x)
        assert not torch2trt.check(function, x).ok
        assert torch2trt.check(function, x, allow_other_signs=True).ok
        assert len(torch2trt.convert(function, x, allow_other_signs=True).output_names) in (2, 3)
    with pytest.raises(errors.UnsupportedArgumentError):
        torch2trt.convert(torch.linalg.svd, x.to(torch.complex64), allow_other_signs=True)


def test_names_of_outputs_differ():
    nested = lambda x: {"a": (x + 1, x + 2), "a_0": x + 3, "x": x + 4}  # noqa: E731
    converted = torch2trt.convert(nested, {"x": torch.zeros(2)})
    assert converted.output_names == ["a_0", "a_1", "a_0_2", "output_x"]
    harness.assert_same(converted.evaluate(x=torch.ones(2)), nested(torch.ones(2)))
    for names in (["y", "y"], ["x", "y"]):
        with pytest.raises(errors.InputError, match="output names must differ"):
            torch2trt.convert(lambda x: (x + 1, x + 2), {"x": torch.zeros(2)}, output_names=names)


def test_weights_written_to_after_a_conversion():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2)).eval()
    image = torch.rand(2, 3, 4, 4)
    converted = torch2trt.convert(module, image)
    module.half().float()  # which makes other tensors
    converted.evaluate(image)
    converted = torch2trt.convert(module, image)
    torch2trt.convert(module, image)
    converted.evaluate(image)
    module.load_state_dict({key: value + 1 for key, value in module.state_dict().items()})
    for call in (lambda: converted.evaluate(image), converted.serialize):
        with pytest.raises(errors.InputError, match=r"written to since the conversion(.|\n)*0.weight"):
            call()
    harness.assert_same(converted.evaluate_with(module.state_dict(), image), module(image), rtol=1e-4)


def test_mixed_dtypes_in_a_product_give_pytorchs_error():
    for function in (nn.Linear(4, 2), lambda x: x @ torch.ones(4, 2), lambda x: torch.einsum("ab,bc", x, torch.eye(4))):
        with pytest.raises(errors.TraceError, match="dtype|scalar type"):
            torch2trt.convert(function, torch.ones(3, 4).half())


def test_arguments_in_any_order_and_form():
    x, y = torch.ones(2), torch.zeros(2)
    by_position = torch2trt.convert(lambda a, b: a - b, (x, y))
    by_name = torch2trt.convert(lambda a, b: a - b, {"a": x, "b": y})
    for converted in (by_position, by_name):
        for result in (converted.evaluate(x, y), converted.evaluate(b=y, a=x), converted.evaluate(x, b=y)):
            assert torch.equal(result, x)
    both = torch2trt.convert(lambda a, b: a - b, torch2trt.Call((x,), {"b": y}))
    assert torch.equal(both.evaluate(x, y), x)
    nested = torch2trt.convert(lambda d: d["x"] - d["y"], ({"x": x, "y": y},))
    assert torch.equal(nested.evaluate({"y": y, "x": x}), x)
    with pytest.raises(errors.InputError, match="arguments missing: b"):
        by_name.evaluate(a=x)


def test_exported_programs():
    module, x = nn.Sequential(nn.Linear(4, 2), nn.ReLU()), torch.rand(3, 4)
    program = torch.export.export(module, (x,))
    harness.assert_same(torch2trt.convert(program, x).evaluate(x), module(x), rtol=1e-5)
    assert torch2trt.check(program, x).ok
    harness.assert_same(torch2trt.compile(program, x, backend="reference")(x), module(x), rtol=1e-5)


@pytest.mark.parametrize("how", ["root", "submodule", "function", "in place"])
def test_what_torch_compile_made_is_looked_into(how):
    linear, x = nn.Linear(2, 2), torch.rand(1, 2)
    compiled = torch.compile(linear, backend="eager")
    function = torch.compile(lambda x: x.sin() + 1, backend="eager")
    in_place = nn.Linear(2, 2)
    in_place.compile(backend="eager")
    module = {
        "root": compiled,
        "submodule": nn.Sequential(linear, compiled),
        "function": lambda x: function(x) * 2,
        "in place": in_place,
    }[how]
    harness.assert_same(torch2trt.convert(module, x).evaluate(x), module(x), rtol=1e-5)
