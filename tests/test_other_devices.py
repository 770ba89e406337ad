"""What a trace on a GPU holds that one on the CPU does not, shown by CPU kernels that give what CUDA's give."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch.nn.attention.bias import causal_lower_right
from torch.utils._python_dispatch import TorchDispatchMode

import tests.gpu_operators  # noqa: F401  (gives the CPU those of GPUs)
import torch2trt
from torch2trt import reading, trace_modes
from torch2trt.errors import InternalError, TraceError, UnsupportedArgumentError

_aten = torch.ops.aten


@pytest.fixture
def kernels() -> Iterator[Callable[..., None]]:
    """Puts other CPU kernels in place of PyTorch's own, for one test."""
    library = torch.library.Library("aten", "IMPL")
    yield lambda name, function: library.impl(name, function, "CPU", allow_override=True)
    library._destroy()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is traced seems to have been on a GPU; scripted code, as always, does not say."""
    define = reading.GraphReader._define

    def define_there(reader, raw):
        value = define(reader, raw)
        if raw.type().kind() == "TensorType" and raw.type().device() is not None:
            value.device = "cuda"
        return value

    monkeypatch.setattr(reading.GraphReader, "_define", define_there)


@torch.jit.script
def _reduced_in_script(x: torch.Tensor) -> torch.Tensor:
    return torch.ops.aten._autocast_to_reduced_precision(x * 2, True, True, 5, 15)


TABLE, INDEX = torch.randn(10, 3), torch.tensor([1, 4, 2, 2, 9, 0, 3, 4])


def _embedding_bag(
    weight, indices, offsets, scaled=False, mode=0, sparse=False, factors=None, last=False, padding_idx=-1
):
    """EmbeddingBag.cu: true sizes, no row for sums and means, and -1 as the row of an empty bag's maximum."""
    result, *_ = _aten._embedding_bag(weight, indices, offsets, scaled, mode, sparse, factors, last, padding_idx)
    starts = offsets[:-1] if last else offsets
    ends = torch.cat((starts[1:], torch.tensor([len(indices)])))
    bags = [indices[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    bags = [bag[bag != padding_idx] for bag in bags]
    of_row = (torch.arange(len(indices)).unsqueeze(1) >= starts).sum(1) - 1
    sizes = torch.tensor([len(bag) for bag in bags] + [0] * last)
    rows = [bag[weight[bag].max(0).indices] if len(bag) else torch.full((3,), -1) for bag in bags]
    return result, of_row, sizes, torch.stack(rows) if mode == 2 else torch.empty(0, dtype=torch.int64)


@pytest.mark.parametrize("mode", range(3))
def test_embedding_bag(kernels, gpu, mode):
    kernels("_embedding_bag_forward_only", _embedding_bag)
    function = torch.embedding_bag

    def everything(table, index, offsets):
        return function(table, index, offsets, False, mode, False, None, False, 2)

    inputs = (TABLE, INDEX, torch.tensor([0, 3, 3, 5]))
    actual = torch2trt.convert(everything, inputs).evaluate(*inputs)
    for found, expected in zip(actual, everything(*inputs), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mode", range(3))
def test_embedding_bag_with_a_last_offset(kernels, gpu, mode):
    kernels("_embedding_bag_forward_only", _embedding_bag)
    inputs = (TABLE, INDEX, torch.tensor([0, 3, 3, 8]))

    def part(number):
        return lambda *args: torch.embedding_bag(*args, False, mode, False, None, True)[number]

    expected = part(0)(*inputs)
    torch.testing.assert_close(torch2trt.convert(part(0), inputs).evaluate(*inputs), expected)
    with pytest.raises(UnsupportedArgumentError, match="does not compute the sizes of embedding_bag's bags") as caught:
        torch2trt.convert(part(2), inputs)
    assert caught.value.location.kind.startswith("aten::embedding_bag")


def test_log_sigmoid_forward(kernels, gpu):
    kernels("log_sigmoid_forward", lambda x: (torch.nn.functional.softplus(-x).neg(), x.new_empty(0)))
    x = torch.randn(3, 4)
    result, buffer = torch2trt.convert(_aten.log_sigmoid_forward, x).evaluate(x)
    torch.testing.assert_close(result, torch.nn.functional.logsigmoid(x))
    assert buffer.shape == (0,)


def test_shapes_that_nobody_reads_are_not_compared(kernels):
    """The handler gives what the CPU does here, and the trace does not."""
    kernels("log_sigmoid_forward", lambda x: (torch.nn.functional.softplus(-x).neg(), x.new_empty(0)))
    x = torch.randn(3, 4)
    torch2trt.convert(lambda x: _aten.log_sigmoid_forward(x)[0], x)
    for function in (_aten.log_sigmoid_forward, lambda x: _aten.log_sigmoid_forward(x)[1] + 1):
        with pytest.raises(InternalError, match=r"gives shape \[3, 4\] where PyTorch gave \(0,\)"):
            torch2trt.convert(function, x)


def test_autocast_by_torchscript(kernels, gpu):
    def reduced(x, cuda_enabled, cpu_enabled, cuda_dtype, cpu_dtype):
        return x.to(cuda_dtype) if cuda_enabled and x.dtype == torch.float32 else x.clone()

    def full(x, cuda_enabled, cpu_enabled):
        return x.float() if cuda_enabled else x.clone()

    kernels("_autocast_to_reduced_precision", reduced)
    kernels("_autocast_to_full_precision", full)

    def function(x):
        half = _aten._autocast_to_reduced_precision(x, True, True, torch.float16, torch.bfloat16)
        same = _aten._autocast_to_reduced_precision(x, False, True, torch.float16, torch.bfloat16)
        back = _aten._autocast_to_full_precision(half, True, False)
        return half, same, back, _aten._autocast_to_full_precision(half, False, True), _reduced_in_script(x)

    x = torch.randn(3, 4)
    for found, expected in zip(torch2trt.convert(function, x).evaluate(x), function(x), strict=True):
        torch.testing.assert_close(found, expected)


class _Devices(TorchDispatchMode):
    """Notes on which devices the tensors of each call lie."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [value for value in (*args, *(kwargs or {}).values()) if isinstance(value, torch.Tensor)]
        self.seen[str(function)] = {tensor.device.type for tensor in tensors}
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("mode", "function"),
    [
        (trace_modes.BoolsAsNumbers, lambda x: x.clamp(False, True)),
        (trace_modes.SizesOnDevice, lambda x: x.clamp(max=torch.tensor(3))),
        (trace_modes.SizesOnDevice, lambda x: torch.clamp(x, torch.tensor(3), max=torch.tensor(4))),
    ],
)
def test_numbers_go_where_the_tensors_are(mode, function):
    with _Devices() as devices, mode():
        function(torch.empty(3, 4, device="meta"))
    assert devices.seen["aten.clamp.Tensor"] == {"meta"}


def test_sizes_stay_on_the_cpu_where_numbers_are_taken():
    with _Devices() as devices, trace_modes.SizesOnDevice():
        torch.empty(3, 1, device="meta").expand(3, torch.tensor(4))[torch.tensor(1)].sum(torch.tensor(0))
    assert "aten._to_copy.default" not in devices.seen


def test_a_trace_that_fails_over_devices_is_repeated():
    seen = []

    def function(x):
        seen.append({type(mode) for mode in torch.overrides._get_current_function_mode_stack()})
        if len(seen) == 1:
            raise RuntimeError("Expected all tensors to be on the same device, but got index is on cpu")
        return x + 1

    torch2trt.convert(function, torch.randn(3))
    assert [trace_modes.SizesOnDevice in modes for modes in seen] == [False, True]


def test_a_trace_that_fails_over_devices_again_is_an_error():
    def function(x):
        raise RuntimeError("Expected all tensors to be on the same device, but got index is on cpu")

    with pytest.raises(TraceError, match="same device"):
        torch2trt.convert(function, torch.randn(3))


def test_attention_that_no_trace_can_hold_is_composed():
    def function(x):
        if torch.backends.cuda.flash_sdp_enabled():  # as torch.nn.attention.bias asks
            kernel = torch.ops.aten._scaled_dot_product_flash_attention
            return kernel(x, x, x)[0]
        return torch.nn.functional.scaled_dot_product_attention(x, x, x)

    x = torch.randn(1, 2, 4, 8)
    actual = torch2trt.convert(function, x).evaluate(x)
    torch.testing.assert_close(actual, torch.nn.functional.scaled_dot_product_attention(x, x, x))
    assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.gpu
def test_a_causal_bias_on_a_gpu():
    class Attention(torch.nn.Module):
        def forward(self, q, k):
            bias = causal_lower_right(q.size(-2), k.size(-2))
            return torch.nn.functional.scaled_dot_product_attention(q, k, k, attn_mask=bias)

    for dtype in (torch.float16, torch.float32):
        q, k = (torch.randn(1, 2, length, 8, device="cuda", dtype=dtype) for length in (4, 6))
        actual = torch2trt.convert(Attention().eval(), (q, k)).evaluate(q.cpu(), k.cpu())
        expected = torch.nn.functional.scaled_dot_product_attention(
            q.float(), k.float(), k.float(), attn_mask=torch.ones(4, 6, dtype=torch.bool, device="cuda").tril(2)
        )
        torch.testing.assert_close(actual.float(), expected.cpu(), rtol=2e-3, atol=2e-3)
