"""Rewrites of what is left to convert, for a network that TensorRT builds better; each can be switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..arguments import listed_names
from ..errors import InputError
from .activations import gelu, silu
from .attentions import attention, batches_of_attention, narrow_masks
from .batch_norm import fold_batch_norm
from .branches import short_branches_first
from .concatenations import join_parts, parts_of_joined, signs_into_constants
from .fold import Plan
from .linears import addmm_to_linear, fold_linear_scale, merge_linears
from .norms import layer_norm, rms_norm
from .parts import parts_of_linear
from .patches import patches_to_linear, space_to_depth
from .quantisations import fake_quantize
from .rearranging import merge_views, views_after_linear
from .simplify import common_subexpressions, dead_nodes, no_ops

Pass = Callable[[Plan], int]
"""Changes a plan in place and returns how often it found its pattern."""

PASSES: dict[str, Pass] = {
    "no_ops": no_ops,
    "common_subexpressions": common_subexpressions,
    "fake_quantize": fake_quantize,
    "fold_batch_norm": fold_batch_norm,
    "patches_to_linear": patches_to_linear,
    "space_to_depth": space_to_depth,
    "gelu": gelu,
    "silu": silu,
    "rms_norm": rms_norm,
    "layer_norm": layer_norm,
    "attention": attention,
    "narrow_masks": narrow_masks,
    "batches_of_attention": batches_of_attention,
    "addmm_to_linear": addmm_to_linear,
    "fold_linear_scale": fold_linear_scale,
    "parts_of_joined": parts_of_joined,
    "signs_into_constants": signs_into_constants,
    "join_parts": join_parts,
    "views_after_linear": views_after_linear,
    "merge_linears": merge_linears,
    "parts_of_linear": parts_of_linear,
    "merge_views": merge_views,
    "short_branches_first": short_branches_first,
    "dead_nodes": dead_nodes,
}
"""Every rewrite by name, in the order in which they run."""


def parse_passes(passes: Any) -> list[str]:
    """The names of the passes that an argument ``optimize`` asks for.

    Raises:
        InputError: it is no list of names, or a name is no pass.
    """
    if isinstance(passes, bool):
        return list(PASSES) if passes else []
    names = listed_names("optimize", passes)
    unknown = [name for name in names if name not in PASSES]
    if unknown:
        raise InputError(f"no such pass: {', '.join(unknown)}; there are {', '.join(PASSES)}")
    return names


def optimize(plan: Plan, passes: bool | Iterable[str] = True) -> dict[str, int]:
    """Run passes over a plan.

    Args:
        plan: changed in place.
        passes: all of them, none, or those named.

    Returns:
        how often each found its pattern.

    Raises:
        InputError: a name is no pass.
    """
    names = parse_passes(passes)
    return {name: PASSES[name](plan) for name in PASSES if name in names}
