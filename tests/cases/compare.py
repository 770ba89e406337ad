"""Comparisons, logic and selection."""

import torch

from tests.cases.unary import SPECIAL
from tests.harness import Case, rand

_I, _J, _B, _U, _H = torch.int64, torch.int32, torch.bool, torch.uint8, torch.float16
_aten = torch.ops.aten
_PAIRS = (SPECIAL.repeat_interleave(len(SPECIAL)), SPECIAL.repeat(len(SPECIAL)))
_INTEGERS = (rand(3, 4, dtype=_I, low=-3, high=3), rand(4, dtype=_I, low=-3, high=3))
_WIDE = torch.tensor([0, 1, -1, 2, 5, 255, 2**31 - 1, -(2**31), 2**33 + 5, 2**62, 2**63 - 1, -(2**63)])


def _comparisons(x, y):
    return x == y, x != y, x < y, x <= y, x > y, x >= y


def _logic(x, y):
    return x.logical_and(y), x.logical_or(y), x.logical_xor(y), x.logical_not()


def _known_logic(x):
    no, yes = torch.zeros(4, dtype=_B), torch.ones(3, 1, dtype=_B)
    return x & no, x | yes, x & yes, x | no, no & x, x ^ yes


def _bits(x, y):
    return x & y, x | y, x ^ y, ~x


def _named_bits(x, y):
    return torch.bitwise_and(x, y), torch.bitwise_or(x, y), torch.bitwise_xor(x, y), torch.bitwise_not(x)


def _shifts(x, y):
    return x << y, x >> y, torch.bitwise_left_shift(x, y), torch.bitwise_right_shift(x, y)


def _dynamic(name, function, **options):
    dynamic, others = {"x": {0: (1, 2, 8)}}, [{"x": rand(5, 3, **options)}, {"x": rand(1, 3, **options)}]
    return Case(name, function, {"x": rand(2, 3, **options)}, dynamic=dynamic, others=others)


@torch.jit.script
def _sizes(x: torch.Tensor) -> torch.Tensor:
    count = x.size(0)
    values = [count == 3, count != 3, count < 3, count <= 3, count > 3, count >= 3]
    result = torch.zeros_like(x)
    for value in values:
        result = result * 2 + float(value)
    return result


@torch.jit.script
def _whole(x: torch.Tensor, y: torch.Tensor):
    same = float(torch.equal(x, y)), float(torch.equal(x, x)), float(torch.equal(x, y[:2]))
    close = float(torch.allclose(x, y)), float(torch.allclose(x, y, 0.1, 9.0))
    return x * same[0], x * same[1], x * same[2], x * close[0], x * close[1]


def _bool_numbers(x):
    """Python bools where operators take numbers, with the tracer's help or without."""
    mask = x > 0
    filled = mask.clone().fill_(True)
    filled |= x > 1
    return (
        mask == True,  # noqa: E712
        True & mask,
        torch.ops.aten.bitwise_or.Scalar(mask, False),
        torch.where(mask, True, False),
        torch.where(mask, x, True),
        mask.masked_fill(x > 1, False),
        filled,
        torch.full((2, 3), True),
        torch.full_like(x, True),
        x.new_full((2,), fill_value=False),
        x.clamp(False, True) + x.sum(0, True),
        torch.nn.functional.threshold(x, True, False),
    )


CASES = [
    Case("comparisons", _comparisons, (rand(3, 4), rand(4))),
    Case("comparisons-special", _comparisons, _PAIRS),
    Case("comparisons-int", _comparisons, _INTEGERS),
    Case("comparisons-bool", _comparisons, (rand(3, 4, dtype=_B), rand(4, dtype=_B))),
    Case("comparisons-uint8", _comparisons, (rand(9, dtype=_U, low=0, high=4), rand(9, dtype=_U, low=0, high=4))),
    Case("comparisons-mixed", _comparisons, (rand(3, 4, dtype=_J, low=-3, high=3), rand(4))),
    Case("comparisons-half", lambda x: (x > 0.1, x <= 0.5, x == 1), rand(3, 4, dtype=_H)),
    Case("comparisons-numbers", lambda x: (x == 1, x != 1, x < 0.5, x <= 1, x > 0, x >= 1.5), rand(3, 4, dtype=_I)),
    Case("comparisons-scalar", _comparisons, (rand(), rand())),
    _dynamic("comparisons-dynamic", lambda x: (x > 0, x.eq(x), x.le(0.5))),
    Case("logic", _logic, (rand(3, 4, dtype=_I, low=-1, high=2), rand(4, dtype=_I, low=-1, high=2))),
    Case("logic-float", _logic, _PAIRS),
    Case("logic-bool", _logic, (rand(3, 4, dtype=_B), rand(4, dtype=_B))),
    Case("logic-known", _known_logic, rand(3, 4, dtype=_B)),
    Case("logic-uint8", _logic, (rand(9, dtype=_U, low=0, high=2), rand(9, dtype=_U, low=0, high=2))),
    Case("bits", _bits, _INTEGERS),
    Case("bits-named", _named_bits, _INTEGERS),
    Case("bits-bool", _bits, (rand(3, 4, dtype=_B), rand(4, dtype=_B))),
    Case("bits-wide", _bits, (_WIDE.repeat_interleave(len(_WIDE)), _WIDE.repeat(len(_WIDE)))),
    Case("bits-int32", _bits, (rand(99, dtype=_J, low=-(2**31), high=2**31 - 1), rand(99, dtype=_J, low=-99, high=99))),
    Case("bits-uint8", _bits, (rand(99, dtype=_U, low=0, high=255), rand(99, dtype=_U, low=0, high=255))),
    Case("bits-numbers", lambda x: (x & 6, x | 5, x ^ 3, 6 & x, 5 | x, 3 ^ x), rand(3, 4, dtype=_I, low=-9, high=9)),
    Case("bits-named-numbers", lambda x: (_aten.bitwise_and.Scalar(x, 6), _aten.bitwise_or.Scalar(x, 6)), _WIDE),
    Case("bits-named-numbers-2", lambda x: (_aten.bitwise_xor.Scalar(x, 6), _aten.__xor__.Scalar(x, 6)), _WIDE),
    Case(
        "bits-number-first",
        lambda x: (torch.bitwise_and(-3, x), torch.bitwise_or(6, x), torch.bitwise_xor(6, x)),
        rand(3, 4, dtype=_J, low=-9, high=9),
    ),
    Case("bits-named-numbers-3", lambda x: (_aten.__and__.Scalar(x, 6), _aten.__or__.Scalar(x, 6)), _WIDE),
    Case(
        "bits-rank8",
        lambda x, y: x & y,
        (rand(1, 2, 1, 2, 1, 2, 1, 3, dtype=_J, low=0, high=99), rand(3, dtype=_J, low=0, high=99)),
    ),
    _dynamic("bits-dynamic", lambda x: (x & 6, ~x), dtype=_I, low=-9, high=9),
    Case("shifts", _shifts, (rand(3, 4, dtype=_I, low=-9, high=9), rand(4, dtype=_I, low=0, high=9))),
    Case("shifts-wide", _shifts, (_WIDE.repeat_interleave(6), torch.tensor([0, 1, 31, 62, 63, 5]).repeat(len(_WIDE)))),
    Case("shifts-out-of-range", _shifts, (_WIDE.repeat(2), torch.tensor([64, -1]).repeat_interleave(len(_WIDE)))),
    Case(
        "shifts-int32", _shifts, (rand(99, dtype=_J, low=-(2**31), high=2**31 - 1), rand(99, dtype=_J, low=0, high=32))
    ),
    Case("shifts-uint8", _shifts, (rand(99, dtype=_U, low=0, high=255), rand(99, dtype=_U, low=0, high=8))),
    Case(
        "shifts-numbers",
        lambda x: (x << 3, x >> 1, _aten.bitwise_left_shift(3, x.abs())),
        rand(3, dtype=_I, low=-9, high=9),
    ),
    Case("shifts-numbers-2", lambda x: (torch.bitwise_left_shift(x, 3), torch.bitwise_right_shift(x, 1)), _WIDE),
    Case("shifts-numbers-3", lambda x: torch.bitwise_right_shift(99, x), rand(9, dtype=_I, low=0, high=9)),
    Case("where", lambda c, x, y: torch.where(c, x, y), (rand(3, 4, dtype=_B), rand(3, 1), rand(4))),
    Case(
        "where-numbers",
        lambda c, x: (torch.where(c, x, 2), torch.where(c, 1.5, x), torch.where(c, 1, 0)),
        (rand(3, 4, dtype=_B), rand(3, 1)),
    ),
    Case("where-mixed", lambda c, x, y: torch.where(c, x, y), (rand(3, 4, dtype=_B), rand(3, 1, dtype=_I), rand(4))),
    Case(
        "where-uint8",
        lambda c, x: torch.where(c.bool(), x, 7),
        (rand(9, dtype=_U, low=0, high=2), rand(9, dtype=_U, low=0, high=9)),
    ),
    Case("where-bool", lambda c, x: torch.where(c, x, ~x), (rand(3, 4, dtype=_B), rand(4, dtype=_B))),
    _dynamic("where-dynamic", lambda x: torch.where(x > 0, x, 0.5)),
    Case(
        "masked_fill",
        lambda x, m, v: (x.masked_fill(m, -1e9), x.masked_fill(m, v)),
        (rand(3, 4), rand(4, dtype=_B), rand()),
    ),
    Case("masked_fill-int", lambda x, m: x.masked_fill(m, 7), (rand(3, 4, dtype=_I), rand(3, 1, dtype=_B))),
    Case("masked_fill-half", lambda x, m: x.masked_fill(m, float("-inf")), (rand(3, 4, dtype=_H), rand(4, dtype=_B))),
    _dynamic("masked_fill-dynamic", lambda x: x.masked_fill(x > 0, 0.5)),
    Case("isclose", lambda x, y: (x.isclose(y), x.isclose(y, 0.1, 0.1), x.isclose(y, equal_nan=True)), _PAIRS),
    Case("isclose-exact", lambda x, y: x.isclose(y, 0, 0), (rand(3, 4), rand(3, 4))),
    Case("isclose-int", lambda x, y: x.isclose(y, 0.5, 0), _INTEGERS),
    Case("whole", _whole, (rand(3, 4), rand(3, 4))),
    Case("whole-empty", _whole, (rand(0, 4), rand(0, 4))),
    Case(
        "number-comparisons",
        _sizes,
        {"x": rand(3, 2)},
        dynamic={"x": {0: (1, 3, 8)}},
        others=[{"x": rand(2, 2)}, {"x": rand(5, 2)}],
    ),
    Case("bool-numbers", _bool_numbers, rand(3, 4)),
    _dynamic("bool-numbers-dynamic", _bool_numbers),
]
