"""Dtypes that TensorRT lacks at a module's inputs and outputs: PyTorch casts there, exactly, or the error says so."""

from __future__ import annotations

import json

import pytest
import torch

import torch2trt
from tests import harness
from tests.passes.rewrites import layer_types
from torch2trt.engine.signature import EngineSignature
from torch2trt.errors import DtypeError, InputError, UnsupportedOpError

X = torch.tensor([1.5, -2.25, 300.0, 0.1])


def check(function, *inputs):
    """Every bit of what eager gives; the signature, as stored, gives the same from the network's outputs."""
    expected = harness.call(function, inputs)
    converted = torch2trt.convert(function, inputs)
    harness.assert_same(converted.evaluate(*inputs), expected, rtol=0, atol=0)
    stored = EngineSignature.from_json(json.loads(json.dumps(converted.signature().to_json())))
    outputs = torch2trt.reference.evaluate(converted.network, converted.bind(inputs))
    result = stored.result_builder()(list(inputs), [outputs[spec.name] for spec in stored.outputs])
    harness.assert_same(result, expected, rtol=0, atol=0, what="signature")
    assert converted.serialize(optimization_level=0)
    return converted


@pytest.mark.parametrize("dtype", [torch.float64, torch.int16, torch.int8, torch.complex64, torch.complex128])
def test_last_cast(dtype):
    check(lambda x: (x * 2).to(dtype), X)
    check(lambda x: (x.relu(), [x.to(dtype)], {"a": x.neg().to(dtype=dtype, copy=True)}), X)


def test_named_casts():
    check(lambda x: (x.double(), x.short(), x.cfloat(), x.cdouble()), X)
    check(lambda x, y: (x.type_as(y), x.to(y)), X, X.double())
    check(lambda x: torch.fft.fft(x * 0).to(torch.complex128), X)


def test_integers_become_wide():
    check(lambda x: (x.double(), x.short()), torch.tensor([1, -5, 70_000]))


def test_dynamic_size():
    converted = torch2trt.convert(lambda x: x.double(), X, dynamic_shapes={"x": {0: (1, 4, 9)}})
    other = torch.randn(7)
    assert torch.equal(converted.evaluate(other), other.double())


def test_known_outputs_of_other_dtypes():
    converted = check(lambda x: (x + 1, x.new_ones(2, dtype=torch.float64), torch.arange(3, dtype=torch.int16)), X)
    assert converted.network.num_outputs == 1
    check(lambda x: torch.zeros(2, 3, dtype=torch.float64), X)


def test_known_outputs_of_bytes():
    """A cast of what is known is no output of TensorRT's, which holds bytes at the ends of a network alone."""
    check(lambda x: (x + 1, torch.tensor([1, 200], dtype=torch.uint8), torch.zeros_like(x).byte()), X)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.uint16, torch.float64])
def test_known_bytes_that_are_cast_last(dtype):
    x = torch.ones(3, dtype=torch.uint8)
    result = torch2trt.convert(lambda x: (torch.full_like(x, 200).to(dtype), x + 1), x).evaluate(x)[0]
    assert result.dtype == dtype and torch.equal(result.double(), torch.full_like(x, 200).to(dtype).double())


def test_a_weight_is_no_constant():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))

        def forward(self, x):
            return x * 2, self.weight * 2

    with pytest.raises(DtypeError, match="float64"):
        torch2trt.convert(Module(), X)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int16])
def test_first_cast(dtype):
    check(lambda x: x.float() * 2, X.to(dtype))
    check(lambda x: (x.float() * 2, x.shape[0] + x.to(torch.float32)), X.to(dtype))
    check(lambda x, y: x.type_as(y) * 2, X.to(dtype), X)


def test_float64_is_cast_once():
    """To int64, that is, and not to float32 first."""
    check(lambda x: x.long() + 1, torch.tensor([2.0**40 + 1, -3.7], dtype=torch.float64))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 2,
        lambda x: (x.float(), x.long()),
        lambda x: (x.float(), x.sum().float()),
        lambda x: x,
    ],
)
def test_inputs_that_are_read_otherwise_are_refused(function):
    with pytest.raises(InputError, match="float64"):
        torch2trt.convert(function, X.double())


def test_float64_in_between_is_refused():
    for function in (
        lambda x: x.double() + 1,
        lambda x: (x.double(), x.double().exp()),
        lambda x: x.exp().double().sum(),
    ):
        with pytest.raises(DtypeError, match="float64"):
            torch2trt.convert(function, X)
    with pytest.raises(DtypeError, match="float64"):
        torch2trt.convert(lambda x, y: x.type_as(y).exp(), (X, X.double()))


def test_allowed_float64_is_float64_outside():
    converted = torch2trt.convert(lambda x: x.double().exp() + 1, X[:2], allow_float64_as_float32=True)
    harness.assert_same(converted.evaluate(X[:2]), X[:2].double().exp() + 1, rtol=1e-6)
    assert converted.network.get_output(0).dtype == torch2trt.trt.float32


def test_check_agrees():
    assert torch2trt.check(lambda x: x.double(), X)
    assert torch2trt.check(lambda x: x.float() * 2, X.double())
    assert not torch2trt.check(lambda x: x.double() * 2, X)


def test_a_users_cast_stays():
    @torch2trt.register_node_handler("aten::chalf")
    def handler(inputs, attributes):
        raise KeyError("called")

    try:
        with pytest.raises(torch2trt.errors.HandlerError, match="called"):
            torch2trt.convert(lambda x: x.chalf(), X)
    finally:
        torch2trt.registry.unregister("aten::chalf")
    assert torch2trt.convert(lambda x: x.chalf(), X).evaluate(X).dtype == torch.complex32


def test_own_networks_keep_their_dtypes():
    """Outside of convert nothing casts afterwards."""
    network = torch2trt.trt_compat.create_network(torch2trt.trt.Builder(torch2trt.trt_compat.logger()))
    with torch2trt.trt_network(network), pytest.raises((DtypeError, UnsupportedOpError)):
        torch2trt.torch2trt(lambda x: x.double(), X)


@pytest.mark.parametrize(
    ("function", "dtype", "held"),
    [
        (lambda x: x.float() + 1, torch.int16, torch.int32),
        (lambda x: x + 1, torch.int8, torch.int32),
        (lambda x: x.float() + 1, torch.float64, torch.float32),
        (lambda x: x + 1, torch.float16, torch.float16),
        (lambda x: x + 1, torch.complex64, torch.float32),
        (lambda x: x.cfloat() + 1, torch.complex128, torch.float32),
    ],
)
def test_an_engine_knows_what_the_module_takes(function, dtype, held):
    (spec,) = torch2trt.convert(function, torch.ones(3, dtype=dtype)).signature().inputs
    assert (spec.dtype, spec.given) == (held, None if dtype == held else dtype)


PUT_TOGETHER = {
    "stack": lambda x: torch.stack(x.unbind(1), 1),
    "stack, moved": lambda x: torch.stack(x.unbind(0)).t().contiguous(),
    "cat": lambda x: torch.cat([x[:, :1], x[:, 1].unsqueeze(1), x[:, 2:]], 1),
    "complex": lambda x: torch.view_as_complex(x),
    "beside another": lambda x: (torch.stack(x.unbind(1), 1), x.relu()),
}


@pytest.mark.parametrize("name", PUT_TOGETHER)
def test_outputs_that_are_put_together_from_inputs_alone(name):
    """TensorRT for RTX 1.4 leaves them as they were, unless an identity layer follows."""
    converted = check(PUT_TOGETHER[name], torch.arange(6.0).reshape(3, 2))
    assert layer_types(converted)["IDENTITY"] == 1


def test_two_outputs_of_one_tensor():
    def function(x):
        z = torch.view_as_complex(x + 1)
        return z, torch.view_as_real(z)

    check(function, torch.arange(6.0).reshape(3, 2))


Z = torch.complex(X, X.flip(0))


def test_complex_inputs():
    converted = check(lambda z, x: (z.conj() * 2j, z.imag + x, z), Z, X)
    assert [tuple(spec.shape) for spec in converted.signature().inputs] == [(4, 2), (4,)]
    check(lambda z: z.reshape(2, 2).mT, Z.conj())
    check(lambda z: z.to(torch.complex64) * 2, Z.to(torch.complex128))


def test_complex_inputs_of_dynamic_size():
    converted = torch2trt.convert(lambda z: z.angle(), Z, dynamic_shapes={"z": {0: (1, 4, 9)}})
    for size in (1, 7):
        other = torch.randn(size, dtype=torch.complex64)
        harness.assert_same(converted.evaluate(other.conj()), other.conj().angle())
    assert converted.profile() == {"z": ((1, 2), (4, 2), (9, 2))}


def test_complex_matrices_of_dynamic_size():
    dynamic = {"z": {0: ("n", 2, 3, 9), 1: "n"}}
    for function in (torch.linalg.svdvals, torch.linalg.qr, torch.linalg.det, torch.linalg.pinv):
        converted = torch2trt.convert(function, torch.eye(3).cfloat(), input_names=["z"], dynamic_shapes=dynamic)
        for size in (2, 9):
            z = torch.randn(size, size, dtype=torch.complex64, generator=torch.Generator().manual_seed(size))
            harness.assert_same(converted.evaluate(z), function(z), rtol=1e-3)


_SYSTEMS = {
    "triangular": lambda a, b: torch.linalg.solve_triangular(a.tril(), b, upper=False),
    "triangular, from the right": lambda a, b: torch.linalg.solve_triangular(a.triu(), b.mT, upper=True, left=False),
    "solve": torch.linalg.solve,
    "solve, from the right": lambda a, b: torch.linalg.solve(a, b.mT, left=False),
    "cholesky": lambda a, b: torch.cholesky_solve(b, a.tril()),
    "lu": lambda a, b: torch.linalg.lu_solve(*torch.linalg.lu_factor(a), b),
    "adjoint lu": lambda a, b: torch.linalg.lu_solve(*torch.linalg.lu_factor(a), b, adjoint=True),
    "ldl": lambda a, b: torch.linalg.ldl_solve(*torch.linalg.ldl_factor(a + a.mT), b),
    "least squares": lambda a, b: torch.linalg.lstsq(a, b).solution,
}


@pytest.mark.parametrize("system", _SYSTEMS)
@pytest.mark.parametrize("size", [3, 9])
def test_right_sides_of_any_number_of_columns(system, size):
    torch.manual_seed(0)
    solve, matrices = _SYSTEMS[system], torch.randn(2, size, size) + size * torch.eye(size)
    converted = torch2trt.convert(
        solve, (matrices, torch.randn(2, size, 4)), input_names=["a", "b"], dynamic_shapes={"b": {2: (2, 4, 9)}}
    )
    for columns in (2, 7):
        right = torch.randn(2, size, columns)
        harness.assert_same(converted.evaluate(matrices, right), solve(matrices, right), rtol=1e-4)


def test_complex128():
    with pytest.raises(InputError, match=r"input 'z': TensorRT has no torch\.complex128"):
        torch2trt.convert(lambda z: z * 2, Z.to(torch.complex128))
    factor = torch.tensor(1 - 2j, dtype=torch.complex128)
    converted = torch2trt.convert(lambda z: z * factor, Z.to(torch.complex128), allow_float64_as_float32=True)
    harness.assert_same(converted.evaluate(Z.to(torch.complex128)), Z.to(torch.complex128) * factor, rtol=1e-6)


def test_pieces_of_a_module_exchange_complex_values():
    """What stays in PyTorch takes and gives complex tensors."""

    class Module(torch.nn.Module):
        def forward(self, x):
            z = torch.fft.rfft(x) * 2
            values = torch.linalg.eigvals(z[..., :2] @ z[..., :2].mH).exp()
            return (z[0, 0] * values).abs().sort().values

    module, x = Module(), X.repeat(2, 2) / 300
    compiled = torch2trt.compile(module, x, backend="reference", min_block_size=1)
    harness.assert_same(compiled(x), module(x), rtol=1e-4)
    segments = torch2trt.explain(module, x).segments
    assert [segment.in_engine for segment in segments] == [True, False, True]
    assert [node.kind for node in segments[1].nodes] == ["aten::linalg_eigvals"]


@pytest.mark.gpu
def test_engines_take_complex_inputs():
    z = Z.cuda()
    with torch2trt.build_engine(lambda z: (z.conj() * 2j, z.abs(), z), z) as engine:
        for given in (z, z.conj(), z[::1]):
            harness.assert_same(engine(given), (given.conj() * 2j, given.abs(), given), rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("name", PUT_TOGETHER)
def test_engines_write_them(name):
    x = torch.arange(6.0, device="cuda").reshape(3, 2) + 1
    with torch2trt.build_engine(PUT_TOGETHER[name], x) as engine:
        harness.assert_same(engine(x), PUT_TOGETHER[name](x), rtol=0, atol=0)


@pytest.mark.parametrize(
    "function",
    [lambda x: x.reshape(-1), lambda x: torch.stack(x.unbind(1), 1) + 1, lambda x: torch.stack((x + 1).unbind(1), 1)],
)
def test_others_need_no_identity(function):
    assert layer_types(check(function, torch.arange(6.0).reshape(3, 2)))["IDENTITY"] == 0
