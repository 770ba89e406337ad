"""Reductions, sorting and indexing: what is refused, what TensorRT leaves open, and how many layers it takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import torch2trt
from tests import harness
from torch2trt.errors import DtypeError, UnsupportedArgumentError

_MOST = torch.finfo(torch.float32).max


def _convert(function: Callable[..., Any], *inputs: torch.Tensor, **options: Any) -> torch2trt.Converted:
    return harness.convert(harness.Case("", function, inputs, **options))


def _layers(converted: torch2trt.Converted) -> list[str]:
    layers = [converted.network.get_layer(index).type.name for index in range(converted.network.num_layers)]
    return [kind for kind in layers if kind != "CONSTANT"]


def _refused(function: Callable[..., Any], *inputs: torch.Tensor, **options: Any) -> UnsupportedArgumentError:
    with pytest.raises(UnsupportedArgumentError) as caught:
        _convert(function, *inputs, **options)
    assert caught.value.hint
    assert caught.value.location is not None and caught.value.location.kind
    return caught.value


def test_bincount_of_run_time_values_is_refused() -> None:
    error = _refused(torch.bincount, torch.tensor([1, 2, 2]))
    assert "depends on the data" in error.message and "histc" in error.hint


def test_singular_vectors_of_matrices_of_unknown_size_are_refused() -> None:
    dynamic = {"input_0": {0: ("rows", 2, 3, 9), 1: "rows"}}
    with pytest.raises(UnsupportedArgumentError, match="singular vectors"):
        torch2trt.convert(torch.linalg.svd, torch.rand(3, 3), dynamic_shapes=dynamic, allow_other_signs=True)


def test_residuals_of_a_batch_of_matrices_of_unknown_size_are_refused() -> None:
    dynamic = {"x": {1: ("rows", 4, 5, 9)}}
    call = lambda x: torch.linalg.lstsq(x, x + 1, driver="gelsd").residuals  # noqa: E731
    assert "residuals" in _refused(call, torch.rand(2, 5, 3), dynamic=dynamic).message


def test_a_module_that_inverts_a_matrix_is_traced_at_larger_sizes_than_the_example() -> None:
    """The example's rows, once more at larger sizes, would make a matrix that has no inverse."""
    example = torch.rand(3, 3) + 3 * torch.eye(3)
    converted = torch2trt.convert(torch.linalg.inv, example, dynamic_shapes={"input_0": {0: ("n", 2, 3, 9), 1: "n"}})
    other = torch.rand(7, 7) + 3 * torch.eye(7)
    torch.testing.assert_close(converted.evaluate(other), torch.linalg.inv(other), rtol=1e-4, atol=1e-5)


def test_matrix_exp_of_half_precision_is_refused() -> None:
    with pytest.raises(DtypeError, match=r"matrix_exp(.|\n)*float32"):
        _convert(torch.linalg.matrix_exp, torch.rand(3, 3).half())


def test_bins_of_an_unknown_number_are_refused() -> None:
    dynamic = {"e": {0: (2, 4, 9)}}
    call = lambda x, e: torch.histogram(x, e)  # noqa: E731
    assert "bin edges" in _refused(call, torch.rand(5), torch.arange(4.0), dynamic=dynamic).message


def test_powers_of_integers_spaced_at_run_time_are_refused() -> None:
    """float32 gives 99999997952 for 10 to the 11th."""
    with pytest.raises(DtypeError, match=r"logspace in torch.int64(.|\n)*float32"):
        torch2trt.convert(lambda x: torch.logspace(x, 11, 12, dtype=torch.int64), torch.tensor(0))


def test_too_many_comparisons_are_refused() -> None:
    index, source = torch.zeros(40_000, dtype=torch.int64), torch.rand(40_000)
    assert str(40_000**2) in _refused(lambda x, i, s: x.scatter_add(0, i, s), torch.rand(40_000), index, source).message
    assert "compares" in _refused(torch.isin, torch.rand(40_000), torch.rand(40_000)).message
    assert "compares" in _refused(lambda x: torch.histc(x, 40_000), torch.rand(40_000)).message


def test_sorting_more_than_the_network_of_blocks_holds_is_refused() -> None:
    assert "3840" in _refused(lambda x: x.sort()[0], torch.rand(200_000)).message


def test_slices_too_long_to_sort_are_refused() -> None:
    assert "64" in _refused(lambda x: torch.unique(x, dim=0), torch.rand(3, 65)).message


def test_equal_elements_come_in_the_order_of_their_indices() -> None:
    x = torch.tensor([3.0, 1.0, 3.0, 2.0, 3.0, 1.0])
    values, indices = _convert(lambda x: x.topk(4), x).evaluate(x)
    assert values.tolist() == [3, 3, 3, 2] and indices.tolist() == [0, 2, 4, 3]
    assert _convert(lambda x: x.kthvalue(2), x).evaluate(x)[1].tolist() == 5
    values, indices = _convert(lambda x: x.mode(), x).evaluate(x)
    assert (values.tolist(), indices.tolist()) == (3, 4)


def test_the_two_largest_numbers_infinity_and_nan_are_told_apart() -> None:
    x = torch.tensor([math.inf, math.nan, 1.0, _MOST, -math.inf, math.inf, -_MOST])
    assert _convert(lambda x: x.argsort(stable=True), x).evaluate(x).tolist() == [4, 6, 2, 3, 0, 5, 1]
    assert _convert(lambda x: x.argsort(descending=True, stable=True), x).evaluate(x).tolist() == [1, 0, 5, 3, 2, 6, 4]


@pytest.mark.parametrize("length", [3841, 5761, 8000, 15_361])
def test_long_sorts_are_stable(length: int) -> None:
    x = torch.randint(-40, 40, (length,))
    converted = _convert(lambda x: x.sort(stable=True), x)
    for values in (x, torch.zeros_like(x), torch.arange(length).flip(0)):
        harness.assert_same(converted.evaluate(values), values.sort(stable=True))


def test_nan_spoils_what_it_takes_part_in() -> None:
    x = torch.tensor([[1.0, math.nan], [2.0, 3.0]])
    assert _convert(lambda x: x.amax(1), x).evaluate(x).isnan().tolist() == [True, False]
    assert _convert(lambda x: x.argmin(1), x).evaluate(x).tolist() == [1, 0]


def _fed_to(converted: torch2trt.Converted, kind: str, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """What the first input of every layer of a kind holds."""
    network, names = converted.network, []
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        if layer.type.name == kind:
            names.append(f"fed{place}")
            layer.get_input(0).name = names[-1]
            network.mark_output(layer.get_input(0))
    outputs = torch2trt.reference.evaluate(network, inputs)
    return [outputs[name] for name in names]


def test_no_nan_reaches_a_top_k_layer() -> None:
    """TensorRT's top-k takes NaN for the least number and gives it a wrong index; the evaluator does not."""
    x = torch.tensor([[math.nan, 1.0, math.inf, math.nan, 2.0]])
    for function in (lambda x: x.sort(stable=True)[0] + 0, lambda x: x.topk(3)[0] + 0, lambda x: x.half().msort() + 0):
        fed = _fed_to(_convert(function, x), "TOPK", {"x": x})
        assert len(fed) == 1 and not fed[0].isnan().any()


def test_nan_does_not_depend_on_tensorrts_reductions() -> None:
    """They keep or drop a NaN by chance: a sum that holds NaN alone must be beside them; the evaluator keeps it."""
    x = torch.tensor([[math.nan, 1.0], [2.0, 3.0]])
    fed = _fed_to(_convert(lambda x: (x + 1).amax(1) + 0, x), "REDUCE", {"x": x})
    assert any(torch.equal(part.isnan(), x.isnan()) and part.nan_to_num().abs().max() == 0 for part in fed)


def test_one_layer_where_tensorrt_has_one() -> None:
    x = torch.rand(2, 3, 4, 5)
    assert _layers(_convert(lambda x: x.mean((2, 3)), x)) == ["REDUCE"]
    assert _layers(_convert(lambda x: x.sum(1, keepdim=True), x)) == ["REDUCE"]
    assert _layers(_convert(lambda x: x.cumsum(1), x)) == ["CUMULATIVE"]
    index = torch.tensor([1, 0])
    assert _layers(_convert(lambda x, i: x.index_select(1, i), x, index)) == ["GATHER"]
    assert _layers(_convert(lambda x, i: x[i], x, index)) == ["GATHER"]
    assert _layers(_convert(lambda x, m: x.masked_fill(m, 0.0), x, x > 0.5)) == ["SELECT"]


def test_a_masked_write_needs_no_non_zero_layer() -> None:
    def write(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[mask] = 7.0
        return y

    x = torch.rand(3, 4)
    assert "NON_ZERO" not in _layers(_convert(write, x, x > 0.5))


def test_scattered_duplicates_are_written_to_different_places() -> None:
    """TensorRT leaves undefined what equal indices write: none may reach a scatter layer."""
    index = torch.tensor([5, 5, 5, 9])
    converted = _convert(lambda x, i, s: x.index_add(0, i, s), torch.rand(50), index, torch.rand(4))
    placed = []
    for place in range(converted.network.num_layers):
        layer = converted.network.get_layer(place)
        if layer.type.name == "SCATTER":
            placed.append(layer.get_input(1))
    assert len(placed) == 1
    placed[0].name = "placed"
    converted.network.mark_output(placed[0])
    inputs = {"x": torch.rand(50), "i": index, "s": torch.rand(4)}
    outputs = torch2trt.reference.evaluate(converted.network, inputs)
    assert outputs["placed"].unique().numel() == 4
