from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from torch2trt.engine.fingerprint import fingerprint
from torch2trt.trt_compat import trt

from . import networks

PLACES = [(f"{name}.constant", "constant") for name in networks.mlp().weights]


def test_equal_networks_are_equal():
    first, second = networks.mlp(), networks.mlp()
    assert fingerprint(first.network) == fingerprint(second.network)
    assert fingerprint(first.network, PLACES) == fingerprint(second.network, PLACES)


def test_the_same_in_another_process():
    code = "from tests.engine.test_fingerprint import *; print(fingerprint(networks.mlp().network, PLACES))"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(fingerprint(networks.mlp().network, PLACES))


def test_weights_that_can_be_replaced_are_apart():
    before, after = networks.mlp(), networks.mlp(scale=2.0)
    left, right = fingerprint(before.network, PLACES), fingerprint(after.network, PLACES)
    assert left.structure == right.structure and left.weights != right.weights
    left, right = fingerprint(before.network), fingerprint(after.network)
    assert left.structure != right.structure and left.weights == right.weights
    left, right = fingerprint(before.network, PLACES[:1]), fingerprint(after.network, PLACES[:1])
    assert left.structure != right.structure and left.weights != right.weights


def conv(**changes):
    """One convolution and what may differ about it."""
    values = {"shape": (1, 3, 8, 8), "stride": (1, 1), "kind": trt.ActivationType.RELU, "name": "x", "bf16": 1.0}
    values.update(changes)
    builder, network = networks.new()
    x = network.add_input(values["name"], trt.float32, values["shape"])
    x.allowed_formats = changes.get("formats", 1 << int(trt.TensorFormat.LINEAR))
    kernel = torch.ones(4, 3, 3, 3)
    layer = network.add_convolution_nd(x, 4, (3, 3), trt.Weights(kernel.numpy()))
    layer.name = "conv"
    layer.stride_nd = values["stride"]
    act = network.add_activation(layer.get_output(0), values["kind"])
    act.alpha = changes.get("alpha", 0.0)
    scale = torch.full((1,), values["bf16"], dtype=torch.bfloat16)
    constant = network.add_constant((1,), trt.Weights(trt.bfloat16, scale.data_ptr(), 1))
    cast = network.add_cast(act.get_output(0), trt.bfloat16)
    total = network.add_elementwise(
        cast.get_output(0), network.add_shuffle(constant.get_output(0)).get_output(0), trt.ElementWiseOperation.SUM
    )
    shuffle = network.get_layer(network.num_layers - 2)
    shuffle.__class__ = trt.IShuffleLayer
    shuffle.reshape_dims = (1, 1, 1, 1)
    for index in range(network.num_layers):
        network.get_layer(index).metadata = changes.get("metadata", "")
    networks.output(network, total.get_output(0), "y")
    return builder, network, kernel, scale


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (1, 3, 9, 9)},
        {"shape": (-1, 3, 8, 8)},
        {"stride": (2, 2)},
        {"kind": trt.ActivationType.TANH},
        {"alpha": 0.25},
        {"name": "z"},
        {"bf16": 1.0078125},
        {"formats": 1 << int(trt.TensorFormat.HWC8)},
    ],
    ids=str,
)
def test_every_difference_counts(change):
    base, other = conv(), conv(**change)
    assert fingerprint(base[1]).structure != fingerprint(other[1]).structure


def test_metadata_does_not_count():
    base, other = conv(), conv(metadata="for people")
    assert fingerprint(base[1]) == fingerprint(other[1])
