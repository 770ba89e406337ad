"""Sizes of tensors as values."""

import torch

from tests.harness import Case, rand


def _sizes(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(x), torch._shape_as_tensor(x)


@torch.jit.script
def _numbers(x):
    return x * x.numel(), x.reshape(x.size()), x.new_ones(x.size())


_ROWS = {"dynamic": {"x": {0: (1, 2, 8)}}, "others": [rand(5, 3), rand(1, 3)]}

CASES = [
    Case("numbers", lambda x: _numbers(x), rand(2, 3), **_ROWS),
    Case("shape_as_tensor", _sizes, rand(2, 3), dynamic={"x": {0: (1, 2, 8)}}, others=[rand(5, 3), rand(1, 3)]),
]
