"""Mutation made functional: what the graph computes is what eager computes, and no node writes to a value."""

from __future__ import annotations

import pytest
import torch

from tests.harness import rand
from tests.passes.mutation import X, Y, check, programs

PROGRAMS, program = programs()


# ---- one tensor


@program(X)
def relu_on_a_fresh_tensor(x):
    return (x * 2).relu_()


@program(X)
def the_name_before_the_write_sees_it(x):
    y = x * 2
    z = y
    y.add_(1)
    return z


@program(X)
def chained(x):
    return (x * 2).add_(1).mul_(3).sub_(x).div_(2).clamp_(-1, 1)


@program(X, Y)
def augmented_assignments(x, y):
    a = x * 1
    a += y
    a -= 1
    a *= y
    a /= 2
    a **= 2
    return a


@program(rand(3, 4, dtype=torch.int64, low=0, high=9), rand(3, 4, dtype=torch.int64, low=1, high=5))
def integer_assignments(a, b):
    a = a + 1
    a &= b
    a |= 3
    a ^= b
    a <<= 1
    a >>= 2
    a //= b
    a %= 3
    return a


@program(rand(3, 4, dtype=torch.bool), rand(3, 4, dtype=torch.bool))
def boolean_assignments(a, b):
    a = a.clone()
    a &= b
    a |= ~b
    a ^= b
    return a


@program(X, Y)
def values_read_before_stay(x, y):
    a = x + 1
    before = a * 2
    a.mul_(y)
    return before, a


@program(X)
def filled(x):
    a, b, c = x + 1, x + 2, x + 3
    a.fill_(3)
    b.zero_()
    c.fill_(x.sum())
    return a, b, c


@program(X)
def with_itself(x):
    a = x + 1
    a.add_(a)
    a.mul_(a.exp())
    return a


@program(X, rand(3, 4, dtype=torch.bool))
def masked(x, mask):
    a, b, c = x + 1, x + 1, x + 1
    a[mask] = 0
    b.masked_fill_(mask, 7)
    c.masked_scatter_(mask, x)
    return a, b, c


@program(X, torch.tensor([2, 0]))
def indexed(x, index):
    a, b, c, d, e = (x + i for i in range(5))
    a[index] = 1
    b[index, 1] += 5
    c.index_fill_(0, index, -1)
    d.index_add_(0, index, x[:2])
    e.index_copy_(0, index, x[1:])
    return a, b, c, d, e


@program(X, torch.tensor([[0, 1, 2, 3], [1, 1, 0, 0], [2, 2, 2, 2]]))
def scattered(x, index):
    a, b, c = x + 1, x + 2, x.clone()
    a.scatter_(1, index, x)
    b.scatter_add_(1, index, x)
    c.put_(index[0], x[0], accumulate=True)
    return a, b, c


@program(X)
def accumulated_twice_at_one_index(x):
    a = torch.zeros_like(x)
    a.index_put_((torch.tensor([0, 0, 1]),), x, accumulate=True)
    return a


@program(rand(4, 3), rand(4, 5), rand(5, 3))
def products(x, y, z):
    a = x + 1
    a.addmm_(y, z, beta=2, alpha=0.5)
    a.addcmul_(a, a, value=2).lerp_(x, 0.25)
    return a


@program(X)
def in_eval_dropout_writes_nothing(x):
    y = torch.nn.functional.dropout(x * 2, 0.5, False, inplace=True)
    return y, torch.nn.functional.relu6(y, inplace=True)


@program(X)
def diagonals_filled(x):
    a, b, c, d = x + 1, x.repeat(3, 1), x.repeat(3, 1), torch.zeros(3, 3, 3) + x.sum()
    a.fill_diagonal_(5)
    b.fill_diagonal_(5)
    c.fill_diagonal_(5, wrap=True)
    d.fill_diagonal_(5)
    return a, b, c, d


@program(X)
def triangles(x):
    a = x @ x.t()
    a.tril_()
    return a, (x @ x.t()).triu_(1)


@program(X)
def comparisons_in_place_keep_the_dtype(x):
    a, b = x + 1, x.clone()
    a.gt_(1)
    b.logical_not_()
    return a, b


@program(rand(3, 4, dtype=torch.float16), rand(3, 4), rand(3, 4, dtype=torch.int64, low=-3, high=3))
def dtypes_of_the_target_stay(half, single, integer):
    a, b, c = half + 1, single + 1, integer.to(torch.int32)
    a += single
    b *= half
    b -= integer
    c += integer
    return a, b, c


@program(X)
def foreach_ops(x):
    a, b = x + 1, x + 2
    view = a.view(-1)
    torch._foreach_add_([a, b], 1.0)
    torch._foreach_mul_([a, b], [b, a])
    return a, b, view


# ---- copy_


@program(X, rand(4), rand(3, 4, dtype=torch.int64, low=-3, high=3))
def copies(x, row, integers):
    a, b, c = x + 1, x + 2, x + 3
    a.copy_(row)
    b.copy_(integers)
    c.copy_(torch.tensor(2.5))
    d = integers + 0
    d.copy_(x)
    return a, b, c, d


@program(X)
def copy_keeps_the_targets_layout(x):
    a = torch.empty(4, 3)
    a.copy_(x.t())
    return a.view(12), a.view(2, 6).sum(1)


@program(X, Y)
def copy_then_the_source_changes(x, y):
    source = x + 1
    a = torch.empty_like(x)
    a.copy_(source)
    source.add_(y)
    a.mul_(2)
    return a, source


@program(X, Y)
def setitem_with_everything(x, y):
    a = x + 1
    a[0] = y[1]
    a[1, 2] = 3
    a[:, -1] = y.sum()
    a[..., 0] = 0
    a[::2, 1:3] = y[::2, :2]
    a[1:, None, 0] = 4
    return a


@program(X)
def a_list_assigned(x):
    a = x + 1
    a[0] = torch.tensor([1.0, 2, 3, 4])
    a[:] = a + 1
    a[...] = a * 2
    return a


# ---- metadata


@program(X)
def shapes_changed_in_place(x):
    a, b, c = x + 1, x + 2, x.unsqueeze(0) + 3
    flat = a.view(-1)
    a.t_()
    a[0] = 1
    b.unsqueeze_(1).squeeze_(1).transpose_(0, 1).swapaxes_(0, 1)
    c.squeeze_()
    c.detach_().mul_(2)
    return a, flat, b, c


@program(X)
def strides_changed_in_place(x):
    a = x + 1
    a.as_strided_((2, 3), (4, 1), 1)
    a.add_(5)
    return a


@program(X)
def gradients_do_not_matter(x):
    a = x * 2
    a.requires_grad_(False)
    a.add_(1)
    return a


# ---- out=


@program(X, Y)
def out_variants(x, y):
    a, b, c = torch.empty(3, 4), torch.empty(3), torch.empty(3, dtype=torch.int64)
    view = a[1:]
    torch.add(x, y, alpha=2, out=a)
    torch.max(a, 1, out=(b, c))
    torch.mul(b, 2, out=b)
    return a, b, c, view


@program(X, Y)
def out_is_a_view(x, y):
    a = x + 1
    torch.mul(x[1:], y[1:], out=a[1:])
    torch.sum(y, 0, out=a[0])
    return a


@program(X)
def out_is_resized(x):
    a = torch.empty(0)
    torch.exp(x, out=a)
    return a, a.mul_(2)


@program(X)
def out_of_another_dtype(x):
    a, b = torch.empty(3, 4, dtype=torch.float64), torch.empty(3, 4)
    torch.add(x, 1, out=a)
    torch.gt(x, 0, out=b)
    return a, b


@program(X)
def factories_with_out(x):
    a, b = torch.empty(3, 4), torch.empty(4, dtype=torch.float64)
    torch.zeros(3, 4, out=a)
    torch.arange(4, out=b)
    a += x
    torch.cat([a, x], out=a.new_empty(6, 4))
    return a, b


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    check(*PROGRAMS[name])
