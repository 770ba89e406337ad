"""What is refused of narrow integers, and how engines take and give them."""

from __future__ import annotations

import pytest
import torch

import torch2trt
from torch2trt import errors
from torch2trt.engine import signature


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda x: torch.nn.functional.pairwise_distance(x, x + 1),
    ],
)
def test_ops_that_wrap_inside_are_refused(function):
    with pytest.raises(errors.UnsupportedArgumentError, match=r"uint8(.|\n)*cast to int32 or float32"):
        torch2trt.convert(function, torch.randint(0, 255, (1, 2, 3, 4), dtype=torch.uint8))


def test_scripted_control_flow_is_refused():
    @torch.jit.script
    def branch(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if bool(y.sum() > 0):
            return x + 1
        return x - 1

    with pytest.raises(errors.UnsupportedArgumentError, match="int16 values in scripted code"):
        torch2trt.convert(branch, (torch.ones(3, dtype=torch.int16), torch.ones(3)))


def test_network_and_signature():
    numbers = torch.tensor([100, -100], dtype=torch.int8)
    converted = torch2trt.convert(lambda x: (x + 100, x > 0, torch.tensor([7], dtype=torch.int16)), numbers)
    assert [converted.network.get_input(0).dtype, converted.network.get_output(0).dtype] == [torch2trt.trt.int32] * 2
    found = converted.signature()
    assert [source.dtype for source in found.sources[:2]] == [torch.int8, None]
    again = signature.EngineSignature.from_json(found.to_json())
    outputs = [torch.tensor([-56, 0], dtype=torch.int32), torch.tensor([True, False])]
    sums, _, constant = again.result_builder()([numbers], outputs)
    assert sums.dtype == torch.int8 and constant.dtype == torch.int16 and sums.tolist() == [-56, 0]


def test_images_stay_uint8_outside():
    image = torch.randint(0, 255, (1, 3, 4, 4), dtype=torch.uint8)
    converted = torch2trt.convert(lambda x: 255 - x, image)
    assert [converted.network.get_input(0).dtype, converted.network.get_output(0).dtype] == [torch2trt.trt.uint8] * 2
    assert torch.equal(converted.evaluate(image), 255 - image)
