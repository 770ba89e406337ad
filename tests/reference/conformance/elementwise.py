"""Activation, unary, elementwise, select, cast, identity, scale and parametric ReLU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from torch2trt.trt_compat import to_trt_dtype, trt

from .case import Case, Net, short, sizes
from .rows import BF16, BOOL, F16, F32, I32, I64, data, wide

INF, NAN = math.inf, math.nan

# kind, alpha, beta, what it computes.
ACTIVATIONS: list[tuple[str, float, float, Callable[[torch.Tensor], torch.Tensor]]] = [
    ("RELU", 0, 0, F.relu),
    ("SIGMOID", 0, 0, torch.sigmoid),
    ("TANH", 0, 0, torch.tanh),
    ("LEAKY_RELU", 0.3, 0, lambda x: F.leaky_relu(x, 0.3)),
    ("ELU", 1.5, 0, lambda x: F.elu(x, 1.5)),
    ("SELU", 1.6732, 1.0507, lambda x: 1.0507 * torch.where(x > 0, x, 1.6732 * (x.exp() - 1))),
    ("SOFTSIGN", 0, 0, F.softsign),
    ("SOFTPLUS", 0.5, 2.0, lambda x: 0.5 * torch.log1p(torch.exp(2.0 * x))),
    ("CLIP", -0.5, 0.75, lambda x: x.clamp(-0.5, 0.75)),
    ("HARD_SIGMOID", 0.25, 0.4, lambda x: (0.25 * x + 0.4).clamp(0, 1)),
    ("SCALED_TANH", 1.7, 0.6, lambda x: 1.7 * torch.tanh(0.6 * x)),
    ("THRESHOLDED_RELU", 0.4, 0, lambda x: F.threshold(x, 0.4, 0.0)),
    ("GELU_ERF", 0, 0, F.gelu),
    ("GELU_TANH", 0, 0, lambda x: F.gelu(x, approximate="tanh")),
]


def given(values: Any, dtype: torch.dtype = F32) -> Callable[..., torch.Tensor]:
    """An expectation worked out by hand."""
    return lambda *inputs: torch.tensor(values, dtype=dtype)


def activation(kind: str, alpha: float, beta: float, x: torch.Tensor, label: str, expected: Any, **more: Any) -> Case:
    def build(net: Net) -> None:
        layer = net.network.add_activation(net.input(x), getattr(trt.ActivationType, kind))
        layer.alpha, layer.beta = alpha, beta
        net.output(layer.get_output(0))

    return Case(f"activation-{kind}-{label}", build, expected, **more)


def activation_cases() -> list[Case]:
    cases = []
    for kind, alpha, beta, function in ACTIVATIONS:
        for dtype, shape in ((F32, (2, 3, 5)), (F32, (3, 1, 4, 2, 2)), (F16, (4, 7)), (BF16, (3, 4))):
            label = f"{sizes(shape)}-{short(dtype)}"
            x = data(kind + label, shape, dtype, -3, 3)
            cases.append(activation(kind, alpha, beta, x, label, wide(function)))
    edges = torch.tensor([[-INF, INF, NAN, 0.0, -0.0, 1e30, -1e30]])
    for kind in ("RELU", "SIGMOID", "TANH"):
        function = next(row[3] for row in ACTIVATIONS if row[0] == kind)
        cases.append(activation(kind, 0, 0, edges, "edges-float32", function))
    # By the header's formulas, where PyTorch gives NaN for GELU of infinity; CLIP of NaN is as measured.
    for kind, alpha, beta, wanted in (
        ("GELU_ERF", 0, 0, [NAN, INF, NAN, 0.0, -0.0, 1e30, -0.0]),
        ("CLIP", -0.5, 0.75, [-0.5, 0.75, -0.5, 0.0, -0.0, 0.75, -0.5]),
    ):
        cases.append(activation(kind, alpha, beta, edges, "edges-float32", given([wanted])))
    cases.append(activation("RELU", 0, 0, data("empty", (0, 3)), "empty-float32", F.relu))
    cases.append(activation("RELU", 0, 0, data("r32", (3, 4), I32, -5, 5), "3x4-int32", F.relu))
    return cases


# kind, function, lowest and highest input.
UNARY: list[tuple[str, Callable[[torch.Tensor], torch.Tensor], float, float]] = [
    ("EXP", torch.exp, -3, 3),
    ("LOG", torch.log, 0.05, 4),
    ("SQRT", torch.sqrt, 0.05, 4),
    ("RECIP", torch.reciprocal, 0.3, 3),
    ("ABS", torch.abs, -2, 2),
    ("NEG", torch.neg, -2, 2),
    ("SIN", torch.sin, -3, 3),
    ("COS", torch.cos, -3, 3),
    ("TAN", torch.tan, -1.2, 1.2),
    ("SINH", torch.sinh, -2, 2),
    ("COSH", torch.cosh, -2, 2),
    ("ASIN", torch.asin, -0.9, 0.9),
    ("ACOS", torch.acos, -0.9, 0.9),
    ("ATAN", torch.atan, -3, 3),
    ("ASINH", torch.asinh, -3, 3),
    ("ACOSH", torch.acosh, 1.1, 4),
    ("ATANH", torch.atanh, -0.8, 0.8),
    ("CEIL", torch.ceil, -3, 3),
    ("FLOOR", torch.floor, -3, 3),
    ("ERF", torch.erf, -2, 2),
    ("SIGN", torch.sign, -2, 2),
    ("ROUND", torch.round, -3, 3),
    ("ISINF", torch.isinf, -2, 2),
    ("ISNAN", torch.isnan, -2, 2),
]


def unary(kind: str, x: torch.Tensor, label: str, expected: Any, **more: Any) -> Case:
    def build(net: Net) -> None:
        net.output(net.network.add_unary(net.input(x), getattr(trt.UnaryOperation, kind)).get_output(0))

    return Case(f"unary-{kind}-{label}", build, expected, **more)


def unary_cases() -> list[Case]:
    cases = []
    for kind, function, low, high in UNARY:
        for dtype, shape in ((F32, (2, 3, 5)), (F16, (4, 7)), (BF16, (3, 4))):
            label = f"{sizes(shape)}-{short(dtype)}"
            cases.append(unary(kind, data(kind + label, shape, dtype, low, high), label, wide(function)))
    for kind, function in (("ABS", torch.abs), ("NEG", torch.neg), ("SIGN", torch.sign)):
        for dtype in (I32, I64):
            x = data(kind, (3, 4), dtype, -5, 5)
            cases.append(unary(kind, x, f"3x4-{short(dtype)}", function))
    cases.append(unary("NOT", data("not", (3, 4), BOOL), "3x4-bool", torch.logical_not))
    halves = torch.tensor([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]])
    cases.append(unary("ROUND", halves, "halves-float32", lambda x: torch.tensor([[-2.0, -2.0, -0.0, 0.0, 2.0, 2.0]])))
    edges = torch.tensor([[-INF, INF, NAN, 0.0]])
    for kind in ("ISINF", "ISNAN", "SQRT", "LOG", "EXP", "RECIP", "SIGN", "ERF", "ABS", "FLOOR"):
        function = next(row[1] for row in UNARY if row[0] == kind)
        # PyTorch's sign of NaN is 0.
        expected = given([[-1.0, 1.0, NAN, 0.0]]) if kind == "SIGN" else function
        cases.append(unary(kind, edges, "edges-float32", expected))
    return cases


def truncated(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


BINARY: list[tuple[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]] = [
    ("SUM", torch.add),
    ("PROD", torch.mul),
    ("MAX", torch.maximum),
    ("MIN", torch.minimum),
    ("SUB", torch.sub),
    ("DIV", truncated),
    ("POW", torch.pow),
    ("FLOOR_DIV", torch.floor_divide),
    ("EQUAL", torch.eq),
    ("GREATER", torch.gt),
    ("LESS", torch.lt),
]


def binary(kind: str, a: torch.Tensor, b: torch.Tensor, label: str, expected: Any, **more: Any) -> Case:
    def build(net: Net) -> None:
        layer = net.network.add_elementwise(net.input(a), net.input(b), getattr(trt.ElementWiseOperation, kind))
        net.output(layer.get_output(0))

    return Case(f"elementwise-{kind}-{label}", build, expected, **more)


def binary_cases() -> list[Case]:
    cases = []
    for kind, function in BINARY:
        positive = kind in ("POW", "DIV", "FLOOR_DIV")
        for dtype, first, second in (
            (F32, (2, 3, 5), (2, 3, 5)),
            (F32, (2, 1, 5), (1, 3, 1)),
            (F16, (4, 6), (4, 1)),
            (BF16, (3, 4), (3, 4)),
            (I32, (3, 4), (1, 4)),
            (I64, (2, 3), (2, 3)),
        ):
            whole = not dtype.is_floating_point
            low, high = ((0.4, 3.0) if positive else (-2.0, 2.0)) if not whole else (-6, 7)
            a = data(f"{kind}{dtype}a", first, dtype, low if not (whole and kind == "POW") else 0, high)
            b = data(f"{kind}{dtype}b", second, dtype, low if not (whole and positive) else 1, 4 if whole else high)
            if whole and kind in ("DIV", "FLOOR_DIV"):
                b = torch.where(torch.arange(b.numel()).reshape(b.shape) % 2 == 0, b, -b)
            label = f"{sizes(first)}-{sizes(second)}-{short(dtype)}"
            cases.append(binary(kind, a, b, label, wide(function)))
    for kind, function in (("AND", torch.logical_and), ("OR", torch.logical_or), ("XOR", torch.logical_xor)):
        for first, second in (((2, 3, 4), (2, 3, 4)), ((2, 1), (1, 3))):
            a, b = data(kind + "a", first, BOOL), data(kind + "b", second, BOOL)
            cases.append(binary(kind, a, b, f"{sizes(first)}-{sizes(second)}-bool", function))
    a = torch.tensor([[NAN, 1.0, INF, -INF, 0.0, NAN, INF]])
    b = torch.tensor([[1.0, NAN, 1.0, 2.0, -0.0, NAN, INF]])
    for kind, function in BINARY:
        if kind in ("SUM", "PROD", "SUB", "EQUAL", "GREATER", "LESS", "DIV"):
            cases.append(binary(kind, a, b, "edges-float32", function))
    # As measured: the first operand where either is NaN; PyTorch's maximum is NaN then.
    for kind, wanted in (
        ("MAX", [NAN, 1.0, INF, 2.0, 0.0, NAN, INF]),
        ("MIN", [NAN, 1.0, 1.0, -INF, 0.0, NAN, INF]),
    ):
        cases.append(binary(kind, a, b, "edges-float32", given([wanted])))
    cases.append(binary("SUM", data("e", (0, 3)), data("f", (1, 3)), "empty-float32", torch.add))
    cases.append(binary("SUM", data("g", ()), data("h", ()), "scalar-float32", torch.add))
    return cases


def select_case(shapes: tuple[Any, Any, Any], dtype: torch.dtype) -> Case:
    label = "-".join(sizes(shape) for shape in shapes)
    c, a, b = data(label, shapes[0], BOOL), data("a", shapes[1], dtype, -9, 9), data("b", shapes[2], dtype, -9, 9)

    def build(net: Net) -> None:
        net.output(net.network.add_select(net.input(c), net.input(a), net.input(b)).get_output(0))

    return Case(f"select-{label}-{short(dtype)}", build, torch.where)


# Values that every type converts to without being out of range.
_CAST_VALUES = {F32: [0.0, 1.0, 2.7, -1.5, 100.0, 0.4], I32: [0, 1, 2, -1, 100, 7], BOOL: [0, 1, 1, 0, 1, 1]}
_CAST_TYPES = (F32, F16, BF16, I32, I64, BOOL, torch.int8, torch.uint8)


def cast_case(
    source: torch.dtype,
    target: torch.dtype,
    values: list[float] | None = None,
    label: str = "",
    wanted: list[float] | None = None,
    known: str = "",
) -> Case:
    chosen = values or _CAST_VALUES[BOOL if source == BOOL else F32 if source.is_floating_point else I32]
    x = torch.tensor([chosen])
    x = (x.abs() if torch.uint8 in (source, target) else x).to(source)

    def build(net: Net) -> None:
        net.output(net.network.add_cast(net.input(x), to_trt_dtype(target)).get_output(0))

    expected = (lambda v: v.to(target)) if values is None else given([wanted], target) if wanted else None
    refused = "INT8 tensors may only be dequantised" if source == torch.int8 else ""
    needs_gpu = target == torch.int8
    return Case(
        f"cast-{short(source)}-{short(target)}{label}", build, expected, refused, needs_gpu=needs_gpu, known=known
    )


def cast_cases() -> list[Case]:
    cases = [cast_case(a, b) for a in _CAST_TYPES for b in _CAST_TYPES if a != b]
    # NvInfer.h leaves open what lies out of range: as measured, NaN included.
    for target, big, bits, nan in ((I32, 1e12, 31, 0), (I64, 1e30, 63, -(2**63))):
        least, most = -(2**bits), 2**bits - 1
        values = [big, -big, INF, -INF, NAN, 2.9]
        cases.append(cast_case(F32, target, values, "-saturate", [most, least, most, least, nan, 2]))
    cases.append(
        cast_case(
            F32,
            torch.int8,
            [300.0, -300.0, INF, -INF, NAN, 2.9],
            "-saturate",
            [127, -128, 127, -128, 0, 2],
            known="the engine converts to int32 and drops the upper bits, so that 300 gives 44 and infinity -1",
        )
    )
    cases.append(cast_case(F32, F16, [1e6, -1e6, INF, NAN, 65504.0, 1e-8], "-overflow"))
    cases.append(cast_case(F32, BOOL, [NAN, 0.0, -0.0, 1e-30, INF, -1.0], "-edges"))
    return cases


def identity_case(dtype: torch.dtype) -> Case:
    x = data("identity", (2, 3), dtype, -5, 5)

    def build(net: Net) -> None:
        net.output(net.network.add_identity(net.input(x)).get_output(0))

    return Case(f"identity-2x3-{short(dtype)}", build, lambda v: v.clone())


def scale_case(mode: str, shape: tuple[int, ...], parts: str, axis: int, dtype: torch.dtype) -> Case:
    label = f"{mode}-{sizes(shape)}-{parts}-axis{axis}-{short(dtype)}"
    count = {"UNIFORM": (), "CHANNEL": (shape[axis],), "ELEMENTWISE": shape[axis:]}[mode]
    x = data(label, shape, dtype, 0.5, 2.0)
    made = {p: data(label + p, count, dtype, 0.5, 1.5) for p in ("scale", "shift", "power") if p in parts}

    def build(net: Net) -> None:
        weights = [
            net.weights(made[p]) if p in made else trt.Weights(to_trt_dtype(dtype)) for p in ("shift", "scale", "power")
        ]
        layer = net.network.add_scale_nd(net.input(x), getattr(trt.ScaleMode, mode), *weights, axis)
        net.output(layer.get_output(0))

    def expected(v: torch.Tensor) -> torch.Tensor:
        def fit(part: str, default: float) -> Any:
            if part not in made:
                return default
            values = made[part].float()
            return values.reshape([-1 if i == axis else 1 for i in range(len(shape))]) if mode == "CHANNEL" else values

        return (v * fit("scale", 1.0) + fit("shift", 0.0)) ** fit("power", 1.0)

    return Case(f"scale-{label}", build, wide(expected))


def prelu_case(shape: tuple[int, ...], slopes: tuple[int, ...], dtype: torch.dtype) -> Case:
    x, s = data("prelu", shape, dtype), data("slopes", slopes, dtype)

    def build(net: Net) -> None:
        net.output(net.network.add_parametric_relu(net.input(x), net.constant(s)).get_output(0))

    return Case(
        f"parametric_relu-{sizes(shape)}-{sizes(slopes)}-{short(dtype)}",
        build,
        wide(lambda v: torch.where(v < 0, v * s.float(), v)),
    )


CASES = [
    *activation_cases(),
    *unary_cases(),
    *binary_cases(),
    *(select_case(((2, 3), (2, 3), (2, 3)), dtype) for dtype in (F32, F16, BF16, I32, I64, BOOL)),
    select_case(((2, 1, 4), (1, 3, 4), (2, 3, 1)), F32),
    *cast_cases(),
    *(identity_case(dtype) for dtype in (F32, F16, I32, I64, BOOL)),
    *(
        scale_case(mode, (2, 3, 4, 5), parts, 1, F32)
        for mode in ("UNIFORM", "CHANNEL", "ELEMENTWISE")
        for parts in ("scale", "shift", "scale-shift", "scale-shift-power")
    ),
    scale_case("CHANNEL", (2, 3, 4, 5), "scale-shift", 2, F32),
    scale_case("CHANNEL", (2, 3, 4, 5), "scale-shift", 1, F16),
    scale_case("UNIFORM", (2, 3, 4, 5, 2), "scale-shift", 1, F32),
    prelu_case((2, 3, 4), (1, 3, 1), F32),
    prelu_case((2, 3, 4, 2), (2, 3, 4, 2), F32),
    prelu_case((2, 3, 4), (1, 3, 1), F16),
]
