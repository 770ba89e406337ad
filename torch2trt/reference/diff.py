"""Where two networks part: the first tensor, by name, that they compute differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InputError
from .evaluator import ALL, Evaluator


@dataclass(frozen=True)
class Difference:
    """One tensor that two networks compute differently.

    Args:
        name: the tensor's name in the first network.
        other: its name in the second.
        reason: ``shape``, ``dtype`` or ``value``.
        first: shape, dtype or value in the first network.
        second: the same in the second.
        index: where the values differ most; empty for other reasons.
        max_absolute: the greatest absolute difference, in the units of the tensor; 0 for other reasons.
        max_relative: the greatest difference relative to the second network's value.
    """

    name: str
    other: str
    reason: str
    first: str
    second: str
    index: tuple[int, ...] = ()
    max_absolute: float = 0.0
    max_relative: float = 0.0

    def __str__(self) -> str:
        names = self.name if self.name == self.other else f"{self.name} / {self.other}"
        where = f" at {list(self.index)}" if self.reason == "value" else ""
        text = f"{names}: {self.reason} {self.first} against {self.second}{where}"
        if self.reason == "value":
            text += f", max abs {self.max_absolute:.3g}, max rel {self.max_relative:.3g}"
        return text


@dataclass(frozen=True)
class NetworkDiff:
    """The outcome of comparing two networks.

    Args:
        compared: names of the tensors that were compared, in the first network's order.
        differences: those that differ, in that order.
    """

    compared: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def first(self) -> Difference | None:
        """The first tensor at which the networks part; None if they agree."""
        return self.differences[0] if self.differences else None

    def __str__(self) -> str:
        if self.first is None:
            return f"the networks agree on {len(self.compared)} tensors"
        return f"{len(self.differences)} of {len(self.compared)} tensors differ, first {self.first}"


def diff(
    network_a: Any,
    network_b: Any,
    inputs: Mapping[str, torch.Tensor],
    *,
    names: Mapping[str, str] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    compute_dtype: str | torch.dtype | None = None,
) -> NetworkDiff:
    """Evaluate two networks on the same inputs and compare every tensor that has the same name in both.

    Args:
        network_a: an ``INetworkDefinition``.
        network_b: another.
        inputs: by input name, for both.
        names: names of tensors of ``network_a`` with their names in ``network_b``, inputs included, where they differ.
        rtol: relative tolerance, to the second network's value.
        atol: absolute tolerance, in the units of the tensor.
        compute_dtype: as for ``Evaluator``; ``"float64"`` separates rounding from mistakes.

    Raises:
        InputError: the networks share no tensor name, or the inputs do not fit one of them.
        EvaluationError: one of them cannot be evaluated.
    """
    renamed = dict(names or {})
    first = Evaluator(network_a, outputs=ALL, compute_dtype=compute_dtype)
    second = Evaluator(network_b, outputs=ALL, compute_dtype=compute_dtype)
    results = first(inputs)
    others = second({renamed.get(name, name): tensor for name, tensor in inputs.items()})
    shared = [
        (name, renamed.get(name, name))
        for name in results
        if renamed.get(name, name) in others and name not in first.input_names
    ]
    if not shared:
        raise InputError("the networks have no tensor name in common", hint="pass names={name in a: name in b}")
    found = [compare(name, other, results[name], others[other], rtol, atol) for name, other in shared]
    return NetworkDiff(tuple(name for name, _ in shared), tuple(item for item in found if item is not None))


def compare(name: str, other: str, a: torch.Tensor, b: torch.Tensor, rtol: float, atol: float) -> Difference | None:
    """The difference of two tensors, None within tolerance; equal NaN and infinities count as equal."""
    if a.shape != b.shape:
        return Difference(name, other, "shape", str(list(a.shape)), str(list(b.shape)))
    if a.dtype != b.dtype:
        return Difference(name, other, "dtype", str(a.dtype), str(b.dtype))
    wide, against = a.double(), b.double()
    same = (wide == against) | (wide.isnan() & against.isnan())
    gap = torch.where(same, 0.0, (wide - against).abs()).nan_to_num(torch.inf, torch.inf)
    if not bool((gap > atol + rtol * against.abs().nan_to_num(0.0, 0.0)).any()):
        return None
    flat = int(gap.argmax())
    index = tuple(int(place) for place in torch.unravel_index(torch.tensor(flat), a.shape))
    relative = gap / against.abs().clamp(min=torch.finfo(torch.float64).tiny)
    return Difference(
        name,
        other,
        "value",
        f"{float(wide.reshape(-1)[flat]):.6g}",
        f"{float(against.reshape(-1)[flat]):.6g}",
        index,
        float(gap.max()),
        float(relative.max()),
    )
