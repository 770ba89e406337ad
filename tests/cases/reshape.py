"""Other views of the same elements."""

import torch

from tests.harness import Case, rand

_I, _H, _B, _U = torch.int64, torch.float16, torch.bool, torch.uint8


def _dynamic(name, function, *shapes, axes=None, **options):
    """A row whose first axis is dynamic, at the sizes of ``shapes``; the first is traced."""
    return Case(
        name,
        function,
        {"x": rand(*shapes[0], **options)},
        dynamic={"x": axes or {0: (1, 4, 16)}},
        others=[{"x": rand(*shape, **options)} for shape in shapes[1:]],
    )


def _counted(x, counts):
    repeated = torch.repeat_interleave(x, counts, 1)
    return repeated * repeated.shape[1], torch.repeat_interleave(counts), torch.repeat_interleave(x, counts[0])


def _repeats(counts, **options):
    return lambda x: torch.repeat_interleave(x, torch.tensor(counts), **options)


_aten = torch.ops.aten

CASES = [
    Case("reshape", lambda x: x.reshape(6, -1), rand(2, 3, 4)),
    Case("reshape-scalar", lambda x: (x.reshape(()), x.view(1, 1)), rand(1)),
    Case("reshape-empty", lambda x: x.reshape(3, 0, 2), rand(0, 6)),
    Case("reshape-uint8", lambda x: x.reshape(6, -1), rand(2, 3, 4, dtype=_U, low=0, high=255)),
    Case("reshape-bool", lambda x: x.view(4, 6), rand(2, 3, 4, dtype=_B)),
    _dynamic("reshape-dynamic", lambda x: x.reshape(x.size(0), -1), (2, 3, 4), (1, 3, 4), (7, 3, 4)),
    _dynamic("reshape-merged", lambda x: x.reshape(x.size(0) * 3, 2, -1), (2, 3, 4), (1, 3, 4), (7, 3, 4)),
    _dynamic(
        "reshape-two-dynamic",
        lambda x: x.view(x.size(0), 2, 2, x.size(2)).transpose(1, 3).reshape(x.size(0), x.size(2), 4),
        (2, 4, 3),
        (5, 4, 1),
        (1, 4, 6),
        axes={0: (1, 2, 8), 2: (1, 2, 8)},
    ),
    Case("view_copy", lambda x: (_aten.view_copy(x, [3, 2]), _aten._unsafe_view(x, [6])), rand(2, 3)),
    Case("_reshape_alias", lambda x: _aten._reshape_alias(x, [3, 2], [2, 1]), rand(2, 3)),
    Case("view_as", lambda x, y: (x.view_as(y), x.reshape_as(y)), (rand(2, 6), rand(3, 4))),
    Case("flatten", lambda x: (x.flatten(1, -2), x.flatten(-1), x.ravel()), rand(2, 3, 4, 5)),
    Case("flatten-scalar", lambda x: (x.flatten(), x.ravel()), rand()),
    Case("flatten-half", torch.flatten, rand(2, 3, dtype=_H)),
    _dynamic("flatten-dynamic", lambda x: (x.flatten(1), x.flatten()), (2, 3, 4), (1, 3, 4), (7, 3, 4)),
    Case("unflatten", lambda x: (x.unflatten(1, (2, 3)), x.unflatten(-1, (-1, 2))), rand(2, 6, 4)),
    _dynamic("unflatten-dynamic", lambda x: (x.unflatten(0, (-1, 2)), x.unflatten(1, (3, -1))), (4, 6), (2, 6), (8, 6)),
    Case("squeeze", lambda x: (x.squeeze(), x.squeeze(0), x.squeeze(1), x.squeeze((0, -1))), rand(1, 3, 1)),
    Case("squeeze-scalar", lambda x: (x.squeeze(), x.squeeze(-1)), rand()),
    Case(
        "squeeze-int",
        lambda x: (_aten.squeeze_copy(x), _aten.squeeze_copy.dim(x, 0)),
        rand(1, 3, dtype=_I, low=1, high=9),
    ),
    Case("squeeze_copy", lambda x: _aten.squeeze_copy.dims(x, [0, 2]), rand(1, 3, 1)),
    _dynamic("squeeze-dynamic", lambda x: (x.squeeze(), x.squeeze(-1)), (2, 3, 1), (4, 3, 1), (7, 3, 1)),
    Case("unsqueeze", lambda x: (x.unsqueeze(0), x.unsqueeze(-1), _aten.unsqueeze_copy(x, 1)), rand(2, 3)),
    Case("unsqueeze-scalar", lambda x: x.unsqueeze(-1), rand(dtype=_I)),
    _dynamic("unsqueeze-dynamic", lambda x: x.unsqueeze(-2).unsqueeze(0), (2, 3), (1, 3), (7, 3)),
    Case("permute", lambda x: (x.permute(2, 0, -2), _aten.permute_copy(x, [1, 2, 0])), rand(2, 3, 4)),
    Case("permute-uint8", lambda x: x.permute(2, 0, 1), rand(2, 3, 4, dtype=_U, low=0, high=255)),
    _dynamic("permute-dynamic", lambda x: x.permute(1, 2, 0), (2, 3, 4), (1, 3, 4), (7, 3, 4)),
    Case("transpose", lambda x: (x.transpose(0, -1), x.swapaxes(1, 2), x.swapdims(-1, -2)), rand(2, 3, 4)),
    Case("transpose_copy", lambda x: (_aten.transpose_copy.int(x, 0, 1),), rand(2, 3)),
    Case("t", lambda x: (x.t(), _aten.t_copy(x), x.H), rand(2, 3)),
    Case("t-vector", lambda x: x.t(), rand(3)),
    Case("mT", lambda x: (x.mT, x.mH, x.adjoint()), rand(2, 3, 4)),
    Case("numpy_T", lambda x: x.T, rand(2, 3)),
    Case("movedim", lambda x: (x.movedim(0, -1), x.moveaxis(-1, 0), x.movedim(1, 1)), rand(2, 3, 4)),
    Case("movedim-many", lambda x: (x.movedim((0, 1), (2, 0)), x.moveaxis((-1, 0), (0, 1))), rand(2, 3, 4)),
    Case("movedim-scalar", lambda x: x.movedim(0, -1), rand()),
    Case("expand", lambda x: (x.expand(2, -1, 4), x.broadcast_to(2, 3, 4)), rand(3, 1)),
    Case("expand-scalar", lambda x: (x.expand(2, 3), x.expand(())), rand()),
    Case("expand-bool", lambda x: _aten.expand_copy(x, [4, 3]), rand(1, 3, dtype=_B)),
    Case("expand_as", lambda x, y: x.expand_as(y), (rand(3, 1), rand(2, 3, 4))),
    _dynamic("expand-dynamic", lambda x: x.unsqueeze(1).expand(-1, 5, -1), (2, 3), (1, 3), (7, 3)),
    _dynamic("expand-to-dynamic", lambda x: x[:1].expand(x.size(0), -1), (2, 3), (1, 3), (7, 3)),
    Case(
        "broadcast_tensors",
        lambda x, y, z: torch.broadcast_tensors(x, y, z),
        (rand(3, 1), rand(4), rand()),
    ),
    Case("repeat", lambda x: (x.repeat(2, 1, 3), x.repeat(1, 1), x.tile(2), x.tile(2, 1, 2)), rand(2, 3)),
    Case("repeat-none", lambda x: x.repeat(0, 2) + 1, rand(2, 3)),
    Case("repeat-half", lambda x: x.repeat(3, 1), rand(2, 3, dtype=_H)),
    Case("repeat-int", lambda x: x.repeat(3), rand(2, dtype=_I)),
    _dynamic("repeat-dynamic", lambda x: (x.repeat(3, 2), x[:1].repeat(x.size(0), 1)), (2, 3), (1, 3), (7, 3)),
    Case(
        "repeat_interleave",
        lambda x: (x.repeat_interleave(2), x.repeat_interleave(3, 0), x.repeat_interleave(2, -1)),
        rand(2, 3),
    ),
    Case("repeat_interleave-scalar", lambda x: x.repeat_interleave(2), rand()),
    Case("repeat_interleave-known", _repeats([1, 0, 3], dim=1), rand(2, 3)),
    Case(
        "repeat_interleave-as-many-counts-or-one",
        lambda x, n: torch.repeat_interleave(x, n, 1),
        {"x": torch.tensor([[1.5, 2.0, 4.0], [-3.0, 4.5, 7.0]]), "n": torch.tensor([2])},
        {"n": {0: (1, 1, 3)}},
        [
            {"x": torch.tensor([[5.0, 1.0, 2.0], [0.5, -2.0, 1.0]]), "n": torch.tensor([3])},
            {"x": torch.tensor([[5.0, 1.0, 2.0], [0.5, -2.0, 1.0]]), "n": torch.tensor([1, 0, 2])},
        ],
    ),
    Case("repeat_interleave-known-one", _repeats([2], dim=1), rand(2, 3)),
    Case("repeat_interleave-known-number", _repeats(3, dim=0), rand(1, 3)),
    Case(
        "repeat_interleave-computed-number",
        lambda x, n: torch.repeat_interleave(x, n, 1, output_size=9),
        (rand(2, 3), torch.tensor(3)),
    ),
    Case(
        "repeat_interleave-counts",
        lambda x, n: torch.repeat_interleave(x, n, 0, output_size=5),
        (rand(3, 2), torch.tensor([2, 0, 3])),
    ),
    Case(
        "repeat_interleave-rows",
        lambda n: torch.repeat_interleave(n, output_size=5),
        torch.tensor([2, 0, 3], dtype=torch.int32),
    ),
    Case(
        "repeat_interleave-counted",
        _counted,
        (rand(2, 3), torch.tensor([2, 0, 3])),
        others=[(rand(2, 3), torch.tensor([0, 1, 0])), (rand(2, 3), torch.tensor([4, 5, 1]))],
        unbuilt="sizes that depend on the values of a tensor",
    ),
    Case(
        "repeat_interleave-by-sizes",
        lambda x, y: y.repeat_interleave(x.shape[0] // y.shape[0], dim=0),
        (rand(6, 2), rand(2, 3)),
        dynamic={"x": {0: (1, 6, 12)}, "y": {0: (1, 2, 4)}},
        others=[(rand(4, 2), rand(4, 3)), (rand(9, 2), rand(3, 3))],
    ),
    _dynamic("repeat_interleave-dynamic", lambda x: x.repeat_interleave(2, 0), (2, 3), (1, 3), (7, 3)),
    *(
        Case(
            f"atleast-{len(shape)}d",
            lambda x: (torch.atleast_1d(x), torch.atleast_2d(x), torch.atleast_3d(x)),
            rand(*shape),
        )
        for shape in ((), (2,), (2, 3), (2, 3, 4))
    ),
    Case(
        "atleast-lists",
        lambda x, y: (torch.atleast_1d(x, y), torch.atleast_2d(x, y), torch.atleast_3d(x, y)),
        (rand(), rand(2, 3)),
    ),
]
