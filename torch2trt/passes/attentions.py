"""Attention that the module writes out as products around a softmax, as one node, and its masks and batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from ..graph import Node, Operand, Value
from ..weights import origin
from .arrangement import sizes_to_reshape
from .builder import Builder
from .fold import Plan
from .rearranging import shaped
from .rewriting import Rewriter

_ATTENTIONS = ("aten::scaled_dot_product_attention", "torch2trt::attention")
"""Nodes whose fourth argument is a mask, which is broadcast."""

_ANDS = ("aten::__and__", "aten::bitwise_and", "aten::logical_and")


@dataclass
class _Scores:
    """``query @ key.T * scale + mask``."""

    query: Value
    key: Value
    scale: float
    mask: Operand


def attention(plan: Plan) -> int:
    """``softmax(query @ key.T * scale + mask) @ value``, however the scale and the casts stand.

    The one node multiplies by the scale where it costs least, and keeps the scores in float32.
    """
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        product = rewriter.maker(node.outputs[0], "aten::matmul", "aten::bmm") if len(node.outputs) == 1 else None
        found = None if product is None else _match(rewriter, product)
        if found is None or product is None:
            continue
        rewriter.call(node, "torch2trt::attention", found.query, found.key, product.args[1], found.mask, found.scale)
        count += 1
    rewriter.finish()
    return count


def _match(rewriter: Rewriter, product: Node) -> _Scores | None:
    result, value = product.outputs[0], product.args[1]
    softmax = rewriter.maker(_through_cast(rewriter, product.args[0], result), "aten::softmax", "aten::_softmax")
    if softmax is None or not _once(rewriter, product.args[0]) or result.shape is None or len(result.shape) < 3:
        return None
    scores = softmax.args[0]
    last = [-1, len(result.shape) - 1]
    if softmax.kind != "aten::softmax" or rewriter.known(softmax.args[1]) not in last or not _once(rewriter, scores):
        return None
    found = _scores(rewriter, _through_cast(rewriter, scores, result))
    same = found is not None and _all_like(result, found.query, found.key, value)
    return found if same else None


def _all_like(result: Value, *operands: Operand) -> bool:
    """Whether all are tensors of the result's dtype, rank and leading sizes: the one node broadcasts none of them."""
    shapes = [operand.shape for operand in operands if isinstance(operand, Value) and operand.dtype == result.dtype]
    if len(shapes) != len(operands) or result.shape is None or result.dtype is None:
        return False
    lead = result.shape[:-2]
    return result.dtype.is_floating_point and all(shape is not None and shape[:-2] == lead for shape in shapes)


def _once(rewriter: Rewriter, operand: Operand) -> bool:
    return isinstance(operand, Value) and rewriter.uses.get(operand) == 1


def _through_cast(rewriter: Rewriter, operand: Operand, result: Value) -> Operand:
    """What stands before a cast between half precision and float32, which the one node does itself."""
    cast = rewriter.maker(operand, "aten::to")
    if cast is None or not _once(rewriter, cast.args[0]):
        return operand
    dtypes = {value.dtype for value in (operand, cast.args[0]) if isinstance(value, Value)}
    return cast.args[0] if dtypes <= {result.dtype, torch.float32} else operand


def _scores(rewriter: Rewriter, value: Operand) -> _Scores | None:
    mask: Operand = None
    total = rewriter.maker(value, "aten::add")
    if total is not None:
        if rewriter.number(total.args[2]) != 1:
            return None
        for scores, added in (total.args[:2], total.args[1::-1]):
            found = _scaled(rewriter, scores)
            if found is not None and _is_mask(scores, added) and _once(rewriter, scores):
                found.mask = added
                return found
        return None
    found = _scaled(rewriter, value)
    if found is not None:
        found.mask = mask
    return found


def _is_mask(scores: Operand, added: Operand) -> bool:
    """Whether what is added is a tensor that broadcasts to the scores, in a dtype that changes theirs nowhere."""
    if not isinstance(scores, Value) or not isinstance(added, Value) or added.shape is None or scores.shape is None:
        return False
    pairs = zip(reversed(added.shape), reversed(scores.shape), strict=False)
    fits = len(added.shape) <= len(scores.shape) and all(size in (1, other) for size, other in pairs)
    return fits and added.dtype == scores.dtype


def _scaled(rewriter: Rewriter, value: Operand) -> _Scores | None:
    scale = 1.0
    factor = rewriter.maker(value, "aten::mul", "aten::div")
    while factor is not None:
        if factor.kind == "aten::div":
            number, inner = rewriter.number(factor.args[1]), factor.args[0]
            if not number or len(factor.args) != 2:
                return None
            scale /= number
        else:
            numbers = [rewriter.number(operand) for operand in factor.args[:2]]
            index = 0 if numbers[0] is None else 1
            inner, number = factor.args[index], numbers[1 - index]
            if number is None:
                return None
            scale *= number
        if not _once(rewriter, inner):
            return None
        value = inner
        factor = rewriter.maker(value, "aten::mul", "aten::div")
    product = rewriter.maker(value, "aten::matmul", "aten::bmm")
    if product is None:
        return None
    key = _transposed(rewriter, product.args[1])
    return None if key is None or not isinstance(product.args[0], Value) else _Scores(product.args[0], key, scale, None)


def _transposed(rewriter: Rewriter, value: Operand) -> Value | None:
    """The value whose last two axes were exchanged."""
    node = rewriter.maker(value, "aten::transpose", "aten::permute", "aten::mT")
    if node is None or not isinstance(value, Value) or value.shape is None or not isinstance(node.args[0], Value):
        return None
    rank = len(value.shape)
    if node.kind == "aten::permute":
        order = rewriter.known(node.args[1])
        if [axis % rank for axis in order] != [*range(rank - 2), rank - 1, rank - 2]:
            return None
    elif node.kind == "aten::transpose":
        axes = {rewriter.known(axis) % rank for axis in node.args[1:3]}
        if axes != {rank - 2, rank - 1}:
            return None
    return node.args[0]


def narrow_masks(plan: Plan) -> int:
    """A mask that was spread over the queries, or joined with one that is all True, is read as it was before.

    Attention spreads it itself, and TensorRT's fused kernels read one that is the same for all queries faster.
    """
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        attends = rewriter.maker(node.outputs[0], *_ATTENTIONS) if len(node.outputs) == 1 else None
        if attends is None:
            continue
        mask = _narrowed(rewriter, attends.args[3])
        if mask is not attends.args[3]:
            rewriter.substitute(node, partial(_with_mask, attends, mask))
            count += 1
    rewriter.finish()
    return count


def _with_mask(node: Node, mask: Operand, builder: Builder) -> None:
    builder.repeat(node, [*node.args[:3], mask, *node.args[4:]], result=node.outputs[0])


def _narrowed(rewriter: Rewriter, mask: Operand) -> Operand:
    while True:
        spread, both = rewriter.maker(mask, "aten::expand"), rewriter.maker(mask, *_ANDS)
        if spread is not None:
            mask = spread.args[0]
        elif both is not None and _is_true(rewriter, both.args[0]):
            mask = both.args[1]
        elif both is not None and _is_true(rewriter, both.args[1]):
            mask = both.args[0]
        else:
            return mask


def _is_true(rewriter: Rewriter, operand: Operand) -> bool:
    """Whether a mask is all True, whatever a refit brings."""
    found = rewriter.tensor(operand)
    return found is not None and found.dtype == torch.bool and origin(found) is None and bool(found.all())


def batches_of_attention(plan: Plan) -> int:
    """A batch of several axes, as of windows in images, is merged around attention, for what views become there.

    In half precision TensorRT for RTX 1.4 fails to build some networks whose attention has five axes (``CHECK`` in its
    ``formats.cpp`` and ``tactic.cpp``; Twins and Hiera of timm).
    """
    rewriter = Rewriter(plan)
    count = 0
    for node in plan.nodes:
        attends = rewriter.maker(node.outputs[0], *_ATTENTIONS) if len(node.outputs) == 1 else None
        if attends is not None and _has_batch_to_merge(attends):
            rewriter.substitute(node, partial(_with_one_batch, attends))
            count += 1
    rewriter.finish()
    return count


_Sizes = tuple[int | None, ...]


def _has_batch_to_merge(node: Node) -> bool:
    """Whether query, key, value and result have one batch of several axes, and a mask can follow."""
    tensors = [*node.args[:3], node.outputs[0]]
    shapes = [value.shape for value in tensors if isinstance(value, Value) and value.shape is not None]
    if len(shapes) < len(tensors) or len(shapes[0]) <= 4 or any(shape[:-2] != shapes[0][:-2] for shape in shapes):
        return False
    *batch, heads = shapes[0][:-2]
    if None in (*batch[1:], heads) or (batch[0] is None and any(None in shape[-2:] for shape in shapes)):
        return False
    mask = node.args[3]
    if mask is None:
        return True
    if not isinstance(mask, Value) or mask.shape is None or None in mask.shape[-3:]:
        return False
    spread = mask.shape[:-3]
    return set(spread) <= {1} or (None not in (*spread, *batch) and _product(spread) == _product(batch))


def _with_one_batch(node: Node, builder: Builder) -> None:
    args = list(node.args)
    for index, value in enumerate(args[:4]):
        if isinstance(value, Value) and value.shape is not None and len(value.shape) > 4:
            merged = _merged(value.shape)
            args[index] = builder.call(
                "aten::reshape", value, sizes_to_reshape(merged), result=shaped(builder, value, merged)
            )
    shape = node.outputs[0].shape or ()
    result = builder.repeat(node, args, result=shaped(builder, node.outputs[0], _merged(shape)))
    builder.call("aten::reshape", result, sizes_to_reshape(shape), result=node.outputs[0])


def _merged(shape: _Sizes) -> _Sizes:
    return (_product(shape[:-3]), *shape[-3:])


def _product(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None
