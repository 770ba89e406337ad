"""Einstein summation as matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .. import emit
from ..emit import Dim, Tensor
from ..registry import op

_ELLIPSIS = "."


@dataclass(frozen=True)
class _Term:
    """A tensor whose axes have labels, each label once.

    Args:
        value: the tensor.
        labels: one a axis.
    """

    value: Any
    labels: tuple[str, ...]

    def size(self, label: str) -> Dim:
        """The size along a label; 1 where the term has none."""
        return emit.size_of(self.value, self.labels.index(label)) if label in self.labels else 1


@op("aten::einsum")
def aten_einsum(equation: str, tensors: Sequence[Tensor], path: Sequence[int] | None = None) -> Any:
    """``einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor``.

    Pairs of operands are contracted in ``path``'s order, from left to right by default, each by one matrix product.
    """
    left, output = parse(equation, [emit.rank_of(value) for value in tensors])
    result = emit.traced_dtype()
    if result is not None and result != torch.bool and not result.is_complex and not emit.is_float(result):
        held = torch.int32 if result == torch.uint8 else result  # PyTorch's sums of integers are int64
        tensors = [emit.cast(value, held) for value in tensors]
    terms = [_without_repeats(emit.tensor(value), labels) for value, labels in zip(tensors, left, strict=True)]
    for pair in pairs_of(path, len(terms)):
        second, first = terms.pop(pair[1]), terms.pop(pair[0])
        needed = {*output, *(label for term in terms for label in term.labels)}
        merged = _contract(first, second, needed)
        # PyTorch's default keeps the running product in front; with a path it goes to the end.
        terms.insert(len(terms) if path else 0, merged)
    term = _summed(terms[0], set(output))
    value = emit.permute(term.value, [term.labels.index(label) for label in output])
    return emit.to_uint8(value) if result == torch.uint8 else value


def pairs_of(path: Sequence[int] | None, count: int) -> list[list[int]]:
    """The places of the two operands of each contraction, in order; from left to right without a path."""
    order = list(path) if path else [0, 1] * (count - 1)
    return [sorted(order[start : start + 2]) for start in range(0, 2 * (count - 1), 2)]


def parse(equation: str, ranks: Sequence[int]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The labels of every operand and of the result; an ellipsis stands for labels ``.0``, ``.1``, ... from the end."""
    equation = equation.replace(" ", "").replace("...", _ELLIPSIS)
    inputs, arrow, output = equation.partition("->")
    operands, most = [], 0
    for labels, rank in zip(inputs.split(","), ranks, strict=True):
        hidden = rank - len(labels.replace(_ELLIPSIS, "")) if _ELLIPSIS in labels else 0
        most = max(most, hidden)
        operands.append(_expanded(labels, hidden))
    if arrow:
        return operands, _expanded(output, most)
    counts: dict[str, int] = {}
    for label in inputs:
        counts[label] = counts.get(label, 0) + 1
    alone = sorted(label for label, count in counts.items() if count == 1 and label.isalpha())
    return operands, (*_expanded(_ELLIPSIS, most), *alone)


def _expanded(labels: str, hidden: int) -> tuple[str, ...]:
    found: list[str] = []
    for label in labels:
        found += [f".{hidden - 1 - index}" for index in range(hidden)] if label == _ELLIPSIS else [label]
    return tuple(found)


def _without_repeats(value: Any, labels: tuple[str, ...]) -> _Term:
    """A label that occurs twice takes the diagonal."""
    while len(set(labels)) < len(labels):
        label = next(label for label in labels if labels.count(label) > 1)
        first, second = [index for index, other in enumerate(labels) if other == label][:2]
        value = emit.diagonal(emit.axes_last(value, first, second), 0)
        labels = (*(other for index, other in enumerate(labels) if index not in (first, second)), label)
    return _Term(value, labels)


def _summed(term: _Term, needed: set[str]) -> _Term:
    """The term without the labels that nothing needs."""
    axes = [axis for axis, label in enumerate(term.labels) if label not in needed]
    if not axes:
        return term
    dtype = emit.dtype_of(term.value)
    total = emit.reduce("SUM", emit.compute_in_float32(term.value), axes, keepdim=False)
    return _Term(emit.cast(total, dtype), tuple(label for label in term.labels if label in needed))


def _contract(first: _Term, second: _Term, needed: set[str]) -> _Term:
    """The product of two terms, summed over the labels that nothing else needs."""
    first, second = _summed(first, needed | set(second.labels)), _summed(second, needed | set(first.labels))
    first, second = _without_ones(first, second, needed), _without_ones(second, first, needed)
    first, second = _summed(first, needed | set(second.labels)), _summed(second, needed | set(first.labels))
    shared = [label for label in first.labels if label in second.labels]
    batch = [label for label in shared if label in needed]
    summed = [label for label in shared if label not in needed]
    rows = [label for label in first.labels if label not in shared]
    columns = [label for label in second.labels if label not in shared]
    if not summed:
        return _outer(first, second, batch, rows, columns)
    left = _as_matrices(first, batch, rows, summed)
    right, transposed = _stored_order(second, batch, summed, columns)
    product = emit.product(left, right, transposed)
    labels = (*batch, *rows, *columns)
    dims = [first.size(label) if label not in columns else second.size(label) for label in labels]
    dims = [
        second.size(label) if label in batch and dims[index] == 1 else dims[index] for index, label in enumerate(labels)
    ]
    return _Term(emit.reshape(product, dims), labels)


def _without_ones(term: _Term, other: _Term, needed: set[str]) -> _Term:
    """The term without axes of size 1 that broadcast against a larger one of the other term and are summed."""
    axes = [
        axis
        for axis, label in enumerate(term.labels)
        if label in other.labels
        and label not in needed
        and emit.static_shape(term.value)[axis] == 1
        and other.size(label) != 1
    ]
    if not axes:
        return term
    labels = tuple(label for axis, label in enumerate(term.labels) if axis not in axes)
    return _Term(emit.squeeze(term.value, axes), labels)


def _as_matrices(term: _Term, batch: Sequence[str], rows: Sequence[str], columns: Sequence[str]) -> Any:
    """The term's value with its axes in that order, rows and columns merged."""
    value = emit.permute(term.value, [term.labels.index(label) for label in (*batch, *rows, *columns)])
    merged = [emit.dim_product([term.size(label) for label in group]) for group in (rows, columns)]
    return emit.reshape(value, [*(term.size(label) for label in batch), *merged])


def _stored_order(term: _Term, batch: Sequence[str], summed: Sequence[str], columns: Sequence[str]) -> tuple[Any, bool]:
    """The right operand, and whether it is transposed: as it lies in memory if that spares a permutation."""
    if term.labels == (*batch, *columns, *summed):
        return _as_matrices(term, batch, columns, summed), True
    return _as_matrices(term, batch, summed, columns), False


def _outer(first: _Term, second: _Term, batch: list[str], rows: list[str], columns: list[str]) -> _Term:
    """A product element by element: nothing is summed."""
    labels = (*batch, *rows, *columns)
    left = emit.permute(first.value, [first.labels.index(label) for label in (*batch, *rows)])
    right = emit.permute(second.value, [second.labels.index(label) for label in (*batch, *columns)])
    start = len(batch)
    left = emit.unsqueeze(left, range(start + len(rows), len(labels)))
    right = emit.unsqueeze(right, range(start, start + len(rows)))
    return _Term(emit.arithmetic("PROD", left, right), labels)
