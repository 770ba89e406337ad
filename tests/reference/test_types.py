"""Strict typing: the evaluator takes the data types that TensorRT's own check of each layer takes, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from torch2trt.errors import EvaluationError
from torch2trt.reference import Evaluator
from torch2trt.trt_compat import error_recorder, logger, to_trt_dtype, trt

from .conformance.case import Net
from .conformance.rows import BF16, BOOL, F16, F32, I32, I64

DTYPES = (F32, F16, BF16, I32, I64, BOOL)
Build = Callable[[Net, torch.dtype], Any]


def ones(net: Net, dtype: torch.dtype, *shape: int) -> Any:
    return net.input(torch.ones(shape or (1, 2, 4, 4)).to(dtype))


def activation(kind: str) -> Build:
    return lambda net, d: net.network.add_activation(ones(net, d), getattr(trt.ActivationType, kind))


def unary(kind: str) -> Build:
    return lambda net, d: net.network.add_unary(ones(net, d), getattr(trt.UnaryOperation, kind))


def binary(kind: str) -> Build:
    return lambda net, d: net.network.add_elementwise(
        ones(net, d), ones(net, d), getattr(trt.ElementWiseOperation, kind)
    )


def reduce(kind: str) -> Build:
    return lambda net, d: net.network.add_reduce(ones(net, d), getattr(trt.ReduceOperation, kind), 2, False)


def pooling(kind: str) -> Build:
    return lambda net, d: net.network.add_pooling_nd(ones(net, d), getattr(trt.PoolingType, kind), (2, 2))


def resize(kind: str) -> Build:
    def build(net: Net, dtype: torch.dtype) -> Any:
        layer = net.network.add_resize(ones(net, dtype))
        layer.resize_mode, layer.shape = getattr(trt.InterpolationMode, kind), (1, 2, 8, 8)
        return layer

    return build


def matmul(net: Net, dtype: torch.dtype) -> Any:
    none = trt.MatrixOperation.NONE
    return net.network.add_matrix_multiply(ones(net, dtype), none, ones(net, dtype), none)


def normalization(net: Net, dtype: torch.dtype) -> Any:
    return net.network.add_normalization(
        ones(net, dtype), ones(net, dtype, 1, 2, 1, 1), ones(net, dtype, 1, 2, 1, 1), 12
    )


def attention(net: Net, dtype: torch.dtype) -> Any:
    inputs = [ones(net, dtype) for _ in range(3)]
    return net.network.add_attention(*inputs, trt.AttentionNormalizationOp.SOFTMAX, False)


def rotary(net: Net, dtype: torch.dtype) -> Any:
    return net.network.add_rotary_embedding(
        ones(net, dtype), ones(net, dtype, 1, 4, 2), ones(net, dtype, 1, 4, 2), False, 0
    )


def cache(net: Net, dtype: torch.dtype) -> Any:
    inputs = ones(net, dtype), ones(net, dtype, 1, 2, 1, 4), ones(net, I32, 1)
    return net.network.add_kv_cache_update(*inputs, trt.KVCacheMode.LINEAR)


def scale(net: Net, dtype: torch.dtype) -> Any:
    one, none = net.weights(torch.ones(1, dtype=dtype)), trt.Weights(to_trt_dtype(dtype))
    return net.network.add_scale(ones(net, dtype), trt.ScaleMode.UNIFORM, one, one, none)


BUILDS: dict[str, Build] = {
    **{f"activation-{kind}": activation(kind) for kind in ("RELU", "CLIP", "SIGMOID", "GELU_ERF", "THRESHOLDED_RELU")},
    **{f"unary-{kind}": unary(kind) for kind in ("EXP", "ABS", "NEG", "SIGN", "NOT", "ROUND", "ISNAN", "FLOOR")},
    **{f"elementwise-{kind}": binary(kind) for kind in ("SUM", "DIV", "POW", "MAX", "AND", "XOR", "EQUAL", "LESS")},
    **{f"reduce-{kind}": reduce(kind) for kind in ("SUM", "AVG", "MAX")},
    **{f"pooling-{kind}": pooling(kind) for kind in ("MAX", "AVERAGE")},
    **{f"resize-{kind}": resize(kind) for kind in ("NEAREST", "LINEAR")},
    "softmax": lambda net, d: net.network.add_softmax(ones(net, d)),
    "matrix_multiply": matmul,
    "einsum": lambda net, d: net.network.add_einsum([ones(net, d, 2, 2), ones(net, d, 2, 2)], "ij,jk->ik"),
    "lrn": lambda net, d: net.network.add_lrn(ones(net, d), 3, 1.0, 0.5, 1.0),
    "topk": lambda net, d: net.network.add_topk(ones(net, d), trt.TopKOperation.MAX, 1, 8),
    "cumulative": lambda net, d: net.network.add_cumulative(
        ones(net, d), net.constant(1, I32), trt.CumulativeOperation.SUM, False, False
    ),
    "grid_sample": lambda net, d: net.network.add_grid_sample(ones(net, d), ones(net, d, 1, 2, 2, 2)),
    "normalization": normalization,
    "attention": attention,
    "rotary_embedding": rotary,
    "kv_cache_update": cache,
    "scale": scale,
    "padding": lambda net, d: net.network.add_padding_nd(ones(net, d), (1, 1), (1, 1)),
    "parametric_relu": lambda net, d: net.network.add_parametric_relu(ones(net, d), ones(net, d)),
    "convolution": lambda net, d: net.network.add_convolution_nd(
        ones(net, d), 2, (1, 1), net.weights(torch.ones(2, 2, 1, 1).to(d)), trt.Weights()
    ),
    "select": lambda net, d: net.network.add_select(ones(net, BOOL), ones(net, d), ones(net, d)),
    "select condition": lambda net, d: net.network.add_select(ones(net, d), ones(net, F32), ones(net, F32)),
    "gather": lambda net, d: net.network.add_gather(ones(net, d), ones(net, I32, 1), 1),
    "gather indices": lambda net, d: net.network.add_gather(ones(net, F32), ones(net, d, 1), 1),
    "one_hot indices": lambda net, d: net.network.add_one_hot(
        ones(net, d, 3), net.constant([0.0, 1.0]), net.constant(4, I32), -1
    ),
    "concatenation": lambda net, d: net.network.add_concatenation([ones(net, d), ones(net, d)]),
    "shuffle": lambda net, d: net.network.add_shuffle(ones(net, d)),
    "slice": lambda net, d: net.network.add_slice(ones(net, d), (0, 0, 0, 0), (1, 1, 1, 1), (1, 1, 1, 1)),
    "quantize": lambda net, d: net.network.add_quantize(ones(net, d), net.constant(1.0), trt.int8),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d).removeprefix("torch."))
@pytest.mark.parametrize("name", BUILDS)
def test_types_are_those_of_tensorrt(name: str, dtype: torch.dtype) -> None:
    net = Net(trt.Builder(logger()))
    recorder = error_recorder()
    net.network.error_recorder = recorder
    layer = BUILDS[name](net, dtype)
    if layer is None:
        pytest.skip("TensorRT does not create the layer")
    output = layer.get_output(0)
    _ = output.shape  # runs TensorRT's check of the layer
    refused = bool(recorder.messages)
    net.network.error_recorder = None
    if refused:
        with pytest.raises(EvaluationError):
            Evaluator(net.network, outputs=[output.name])
    else:
        Evaluator(net.network, outputs=[output.name])


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("normalization", lambda net: net.network.add_normalization(*mixed(net, (1, 2, 1, 1), (1, 2, 1, 1)), 12)),
        ("einsum", lambda net: net.network.add_einsum(list(mixed(net, (4, 4))), "abij,jk->abik")),
        ("grid_sample", lambda net: net.network.add_grid_sample(*mixed(net, (1, 2, 2, 2)))),
        ("select", lambda net: net.network.add_select(ones(net, BOOL), *mixed(net, (1, 2, 4, 4)))),
        ("concatenation", lambda net: net.network.add_concatenation(list(mixed(net, (1, 2, 4, 4))))),
        ("parametric_relu", lambda net: net.network.add_parametric_relu(*mixed(net, (1, 2, 4, 4)))),
    ],
)
def test_mixed_types_are_refused(name: str, build: Any) -> None:
    net = Net(trt.Builder(logger()))
    output = build(net).get_output(0)
    with pytest.raises(EvaluationError, match="must have one data type"):
        Evaluator(net.network, outputs=[output.name])


def mixed(net: Net, *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """A half, and tensors of float32."""
    return (ones(net, F16), *(ones(net, F32, *shape) for shape in shapes))


def test_weights_of_another_type_are_refused() -> None:
    net = Net(trt.Builder(logger()))
    kernel = net.weights(torch.ones(2, 2, 1, 1))
    output = net.network.add_convolution_nd(ones(net, F16), 2, (1, 1), kernel, trt.Weights()).get_output(0)
    with pytest.raises(EvaluationError, match="kernel weights are torch.float32, input 'x0' is HALF"):
        Evaluator(net.network, outputs=[output.name])
