"""Writes through views, and views of what was written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.harness import rand
from tests.passes.mutation import CUBE, X, Y, check, programs

PROGRAMS, program = programs()


# ---- views


@program(X, Y)
def slice_plus(x, y):
    a = x + 1
    a[:, 1:] += y[:, 1:]
    return a


@program(X, Y)
def slice_of_the_result_is_read_by_row(x, y):
    a = x + 1
    rows = list(a.unbind(0))
    a[1:] *= y[1:]
    return rows


@program(X)
def view_taken_earlier_and_read_later(x):
    a = x + 1
    flat, column, transposed = a.view(-1), a[:, 0], a.t()
    a.mul_(3)
    return flat, column, transposed


@program(X)
def write_to_a_view_and_read_the_base_and_its_other_views(x):
    a = x + 1
    flat, transposed = a.view(-1), a.t()
    flat[::3].zero_()
    transposed[1].add_(10)
    return a, flat, transposed, a[1]


@program(CUBE)
def views_of_views(x):
    a = x + 1
    b = a.transpose(1, 2)
    c = b[1:]
    d = c[..., ::2]
    d.mul_(100)
    c.add_(1)
    return a, b, c, d


@program(CUBE)
def overlapping_slices(x):
    a = x + 1
    left, right = a[..., :3], a[..., 1:]
    left.add_(1)
    right.mul_(2)
    left.sub_(5)
    return a, left, right


@program(CUBE)
def every_kind_of_view(x):
    a = x + 1
    views = [
        a.permute(2, 0, 1), a.swapaxes(0, 2), a.movedim(0, -1), a.movedim((0, 1), (1, 2)), a.mT, a.unsqueeze(1),
        a[:, :1].squeeze(1), a.narrow(2, 1, 2), a.flatten(), a.flatten(1), a.unflatten(2, (2, 2)), a.reshape(6, 4),
        a.diagonal(0, 1, 2), a.select(1, 2), a[:, None], a.detach(), a.view_as(a), a.reshape_as(x), a.ravel(),
        a.unfold(2, 2, 2), a.expand(2, 3, 4), a[:1].expand(2, 3, 4), a.contiguous(), a.to(torch.float32),
        a.type_as(x), a.as_strided((2, 2), (12, 1), 5), torch.atleast_3d(a), a.adjoint(), a.squeeze(), a.real,
    ]  # fmt: skip
    a.mul_(2)
    return views


def write_through(view: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    def function(x):
        a = x + 1
        shown, flat = view(a), a.view(-1)
        shown.mul_(shown)
        shown.add_(1)
        return a, shown, flat

    return function


VIEWS = {
    "permute": lambda a: a.permute(2, 0, 1),
    "permute-negative": lambda a: a.permute(-1, 0, -2),
    "transpose": lambda a: a.transpose(0, -1),
    "swapaxes": lambda a: a.swapaxes(0, 2),
    "movedim": lambda a: a.movedim(0, -1),
    "movedim-list": lambda a: a.movedim((0, 1), (1, 2)),
    "mT": lambda a: a.mT,
    "T": lambda a: a[0].T,
    "adjoint": lambda a: a.adjoint(),
    "unsqueeze": lambda a: a.unsqueeze(1),
    "squeeze": lambda a: a[:, :1].squeeze(1),
    "squeeze-nothing": lambda a: a.squeeze(1),
    "squeeze-all": lambda a: a[:1].squeeze(),
    "narrow": lambda a: a.narrow(2, 1, 2),
    "narrow-negative": lambda a: a.narrow(2, -3, 2),
    "flatten": lambda a: a.flatten(1),
    "unflatten": lambda a: a.unflatten(2, (2, 2)),
    "reshape": lambda a: a.reshape(6, 4),
    "view": lambda a: a.view(4, 6),
    "view_as": lambda a: a.view_as(CUBE.view(6, 4)),
    "ravel": lambda a: a.ravel(),
    "diagonal": lambda a: a.diagonal(1, 1, 2),
    "diagonal-default": lambda a: a.diagonal(),
    "linalg_diagonal": lambda a: torch.linalg.diagonal(a, offset=-1),
    "select": lambda a: a.select(1, -1),
    "slice-step": lambda a: a[:, ::2, 1::2],
    "none": lambda a: a[:, None, 1:],
    "ellipsis": lambda a: a[..., 1],
    "unfold": lambda a: a.unfold(2, 2, 2),
    "unfold-gaps": lambda a: a.unfold(1, 1, 2),
    "expand-same": lambda a: a.expand(2, 3, 4),
    "expand-ahead": lambda a: a.expand(1, 2, 3, 4),
    "contiguous": lambda a: a.contiguous(),
    "to": lambda a: a.to(torch.float32),
    "detach": lambda a: a.detach(),
    "type_as": lambda a: a.type_as(a),
    "as_strided": lambda a: a.as_strided((2, 2), (12, 1), 5),
    "as_strided-of-a-view": lambda a: a[1].as_strided((2, 2), (4, 1)),
    "atleast": lambda a: torch.atleast_2d(a[0, 0]),
    "split": lambda a: a.split(2, 1)[1],
    "split-sizes": lambda a: a.split([1, 3], 2)[1],
    "split_with_sizes": lambda a: a.split_with_sizes([1, 2], 1)[1],
    "chunk": lambda a: a.chunk(2, 1)[1],
    "chunk-negative-axis": lambda a: a.chunk(2, -1)[0],
    "unbind": lambda a: a.unbind(1)[2],
    "tensor_split": lambda a: a.tensor_split(3, 2)[0],
    "tensor_split-indices": lambda a: a.tensor_split([1], 2)[1],
    "hsplit": lambda a: a.hsplit(3)[1],
    "vsplit": lambda a: a.vsplit(2)[0],
    "dsplit": lambda a: a.dsplit(2)[1],
    "unsafe_chunk": lambda a: a.unsafe_chunk(2, 2)[1],
    "complex": lambda a: torch.view_as_real(torch.view_as_complex(a.view(2, 3, 2, 2))),
    "dropout": lambda a: torch.nn.functional.dropout(a, 0.5, False),
    "copies": lambda a: a.transpose(0, 1).reshape(6, 4),
    "copies-contiguous": lambda a: a.transpose(0, 1).contiguous(),
    "copies-flatten": lambda a: a[:, :2].flatten(),
    "copies-to": lambda a: a.to(torch.float64),
    "copies-to-copy": lambda a: a.to(torch.float32, copy=True),
    "copies-clone": lambda a: a.clone(),
    "copies-index": lambda a: a[:, [0, 2]],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_writes_through_views(view):
    check(write_through(view), CUBE)


@program(X)
def maybe_views_are_decided_by_the_strides(x):
    a = x + 1
    same, copied = a.reshape(-1), a.t().reshape(-1)
    contiguous, made = a.contiguous(), a.t().contiguous()
    a.add_(5)
    same.mul_(2)
    copied.mul_(3)
    return a, same, copied, contiguous, made


@program(X)
def siblings_of_a_split(x):
    a = x + 1
    left, right = a.chunk(2, 1)
    left.add_(right)
    top, rest = a.split([1, 2])
    rest *= 2
    return left, right, top, rest, a


@program(X)
def loop_over_rows(x):
    a = x + 1
    for row in a:
        row.sub_(row.mean())
    for i in range(a.size(1)):
        a[:, i] = a[:, i] / (a[:, i].abs().max() + 1)
    return a


@program(X, Y)
def built_piece_by_piece(x, y):
    out = torch.zeros(6, 8)
    out[:3, :4] = x
    out[3:, 4:] = y
    out[:3, 4:].copy_(x * y)
    out[3:].view(-1)[:4] = 9
    return out


@program(rand(2, 4, 6))
def rotary_embedding(x):
    out = torch.empty_like(x)
    even, odd = x[..., ::2], x[..., 1::2]
    out[..., ::2] = even * 0.5 - odd
    out[..., 1::2] = even + odd * 0.5
    return out


@program(rand(1, 3, 6, 6))
def shifted_window_mask(x):
    mask = x.new_zeros(6, 6)
    count = 0
    for rows in (slice(0, -3), slice(-3, -1), slice(-1, None)):
        for columns in (slice(0, -3), slice(-3, -1), slice(-1, None)):
            mask[rows, columns] = count
            count += 1
    return x + mask


@program(X)
def a_write_between_two_reads_of_one_view(x):
    a = x + 1
    row = a[1]
    first = row * 2
    a[:, 2] = 7
    second = row * 2
    row[0] = 5
    return first, second, row, a


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    check(*PROGRAMS[name])
