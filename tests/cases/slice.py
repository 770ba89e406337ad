"""Parts of a tensor, and tensors with a part replaced."""

import torch

from tests.harness import Case, rand

_I, _H, _B, _U = torch.int64, torch.float16, torch.bool, torch.uint8
_aten = torch.ops.aten
_X = (2, 6, 5)


def _dynamic(name, function, *shapes, axes=None, **options):
    """A row whose first axis is dynamic, at the sizes of ``shapes``; the first is traced."""
    return Case(
        name,
        function,
        {"x": rand(*shapes[0], **options)},
        dynamic={"x": axes or {0: (1, 4, 16)}},
        others=[{"x": rand(*shape, **options)} for shape in shapes[1:]],
    )


def _windows_of_written(x):
    """Overlapping windows over rows that lie two apart in memory that is written to."""
    y = x + 1
    y *= 2
    rows = y.view(x.size(0) // 2, 2, -1).transpose(0, 1)
    return rows.as_strided((2, 3, 2), (4, 1, 1)), rows


def _drawn(length, dtype=torch.float32):
    return (4 * torch.randn(length, generator=torch.Generator().manual_seed(length))).to(dtype)


def _frames(x):
    """As torchaudio.compliance.kaldi cuts a waveform."""
    return x.as_strided(((x.shape[0] - 8) // 4 + 1, 8), (4, 1))


@torch.jit.script
def _scripted_split(x):  # traced, split by sizes is split_with_sizes
    return x.split([1, 5], 1)


CASES = [
    Case("split-scripted", _scripted_split, rand(*_X)),
    Case("slice", lambda x: (x[:, 1:4], x[..., -3:], x[:, ::2], x[:, 1:-1:3], x[:, :0] + 1), rand(*_X)),
    Case("slice-out-of-range", lambda x: (x[:, -9:2], x[:, 3:99], x[:, 4:2] + 1), rand(*_X)),
    Case("slice-uint8", lambda x: x[:, 1:4], rand(*_X, dtype=_U, low=0, high=255)),
    Case("slice_copy", lambda x: _aten.slice_copy(x, 1, 1, 5, 2), rand(*_X, dtype=_B)),
    _dynamic(
        "slice-dynamic", lambda x: (x[1:], x[:-1], x[-2:], x[::2], x[:3]), (5, 3), (2, 3), (9, 3), axes={0: (2, 4, 16)}
    ),
    _dynamic("slice-computed", lambda x: x[:, : x.size(0)], (2, 6), (1, 6), (6, 6)),
    Case("select", lambda x: (x[1], x[:, -1], x.select(-1, 2), _aten.select_copy(x, 1, -2)), rand(*_X)),
    Case("select-half", lambda x: x[:, 0], rand(*_X, dtype=_H)),
    Case("select-vector", lambda x: x[2], rand(4, dtype=_I)),
    _dynamic("select-dynamic", lambda x: (x[0], x[-1], x[:, 1]), (2, 3), (1, 3), (7, 3)),
    _dynamic("select-computed", lambda x: x.select(1, x.size(0) - 3), (2, 8), (1, 8), (7, 8)),
    Case("narrow", lambda x: (x.narrow(1, 2, 3), x.narrow(-1, -2, 2), _aten.narrow_copy(x, 1, 0, 4)), rand(*_X)),
    Case("narrow-end", lambda x: x.narrow(1, 6, 0) + 1, rand(*_X)),
    Case("narrow-tensor", lambda x: x.narrow(1, torch.tensor(2), 3), rand(*_X)),
    _dynamic(
        "narrow-computed", lambda x: x.narrow(1, x.size(0), x.size(0)), (2, 6), (1, 6), (3, 6), axes={0: (1, 2, 3)}
    ),
    _dynamic("narrow-dynamic", lambda x: (x.narrow(0, 0, 1), x.narrow(0, -1, 1)), (4, 3), (1, 3), (7, 3)),
    Case("split", lambda x: (*x.split(4, 1), *x.split(2, -2)), rand(*_X)),
    Case("split-zero", lambda x: x.split(0, 1)[0] + 1, rand(2, 0)),
    Case("split-sizes", lambda x: (*x.split([1, 2, 3], 1), *x.split_with_sizes([5], -1)), rand(*_X)),
    Case("split-unsafe", lambda x: (*x.unsafe_split(4, 1), *x.unsafe_split_with_sizes([1, 5], 1)), rand(*_X)),
    Case("split-copy", lambda x: (*_aten.split_copy(x, 4, 1), *_aten.split_with_sizes_copy(x, [1, 5], 1)), rand(*_X)),
    Case("split-int", lambda x: x.split(4, 1), rand(*_X, dtype=_I)),
    _dynamic("split-dynamic", lambda x: (*x.split(2, 1), *x.split([1, x.size(0) - 1], 0)), (2, 4), (3, 4), (7, 4)),
    Case("chunk", lambda x: (*x.chunk(3, 1), *x.chunk(4, 1), *x.unsafe_chunk(2, -1)), rand(*_X)),
    Case("chunk-empty", lambda x: tuple(piece + 1 for piece in x.chunk(3, 0)), rand(0, 2)),
    _dynamic("chunk-dynamic", lambda x: (*x.chunk(2, 0), *x.chunk(3, 1)), (5, 6), (2, 6), (8, 6)),
    Case("tensor_split", lambda x: (*x.tensor_split(4, 1), *x.tensor_split((1, 4), 1)), rand(*_X)),
    Case("tensor_split-odd", lambda x: [piece + 1 for piece in x.tensor_split((-2, 1, 9), 1)], rand(*_X)),
    Case(
        "tensor_split-tensor",
        lambda x: (*x.tensor_split(torch.tensor(3), 1), *x.tensor_split(torch.tensor([2, 3]), 1)),
        rand(*_X),
    ),
    Case(
        "tensor_split-places",
        lambda x, i: [piece.sum(1) * piece.shape[1] for piece in x.tensor_split(i, 1)],
        (rand(2, 6), torch.tensor([1, -2])),
        others=[(rand(2, 6), torch.tensor([0, 9])), (rand(2, 6), torch.tensor([4, 2]))],
        unbuilt="sizes that depend on the values of a tensor",
    ),
    _dynamic("tensor_split-dynamic", lambda x: (*x.tensor_split(3), *x.tensor_split((1, 2))), (5, 2), (3, 2), (8, 2)),
    Case("hsplit", lambda x: (*x.hsplit(3), *x.hsplit([1, 4])), rand(*_X)),
    Case("hsplit-vector", lambda x: (*x.hsplit(2), *x.hsplit([1])), rand(4)),
    Case("vsplit", lambda x: (*x.vsplit(2), *x.vsplit([1])), rand(*_X)),
    Case("dsplit", lambda x: (*x.dsplit(5), *x.dsplit([1, 4])), rand(*_X)),
    Case("unbind", lambda x: (*x.unbind(), *x.unbind(-1), *_aten.unbind_copy(x, 1)), rand(2, 3, 2)),
    Case("unbind-uint8", lambda x: x.unbind(1), rand(2, 3, dtype=_U, low=0, high=255)),
    _dynamic("unbind-dynamic", lambda x: x.unbind(1), (2, 3, 2), (1, 3, 2), (7, 3, 2)),
    Case("unfold", lambda x: (x.unfold(1, 3, 2), x.unfold(-1, 2, 1), x.unfold(1, 2, 2), x.unfold(1, 1, 4)), rand(*_X)),
    Case("unfold-scalar", lambda x: x.unfold(0, 1, 1), rand()),
    Case("unfold_copy", lambda x: _aten.unfold_copy(x, 1, 6, 1), rand(*_X, dtype=_I)),
    _dynamic(
        "unfold-dynamic", lambda x: (x.unfold(0, 2, 1), x.unfold(0, 2, 2)), (5, 3), (2, 3), (8, 3), axes={0: (2, 4, 16)}
    ),
    Case("as_strided", lambda x: (x.as_strided((2, 3), (1, 2)), x.as_strided((3, 3), (1, 1), 2)), rand(3, 4)),
    Case("as_strided-empty", lambda x: x.as_strided((2, 0), (1, 1)) + 1, rand(3, 4)),
    Case("as_strided-transposed", lambda x: x.t().as_strided((2, 2, 3), (2, 1, 4)), rand(3, 4)),
    Case("as_strided-of-a-part", lambda x: (x * 1)[1:, ::2].as_strided((2, 2), (2, 4)), rand(3, 4)),
    Case("as_strided-written", _windows_of_written, rand(4, 4)),
    Case("as_strided_copy", lambda x: _aten.as_strided_copy(x, (2, 2), (4, 3)), rand(3, 4, dtype=_H)),
    Case(
        "as_strided_scatter", lambda x, y: torch.as_strided_scatter(x, y, (2, 2), (4, 2), 1), (rand(3, 4), rand(2, 2))
    ),
    Case("slice_scatter", lambda x, y: x.slice_scatter(y, 1, 1, 4), (rand(*_X), rand(2, 3, 5))),
    Case("slice_scatter-all", lambda x, y: x.slice_scatter(y, -1), (rand(*_X), rand(*_X))),
    Case("slice_scatter-none", lambda x, y: x.slice_scatter(y, 1, 4, 4), (rand(*_X), rand(2, 0, 5))),
    Case("slice_scatter-step", lambda x, y: x.slice_scatter(y, 1, 1, 6, 2), (rand(*_X), rand(2, 3, 5))),
    Case("slice_scatter-int", lambda x, y: x.slice_scatter(y, 1, -2), (rand(*_X, dtype=_I), rand(2, 2, 5, dtype=_I))),
    _dynamic(
        "slice_scatter-dynamic",
        lambda x: (x.slice_scatter(x[1:] * 2, 0, 1), x.slice_scatter(x[1::2] * 2, 0, 1, step=2)),
        (5, 3),
        (2, 3),
        (8, 3),
        axes={0: (2, 4, 16)},
    ),
    Case("select_scatter", lambda x, y: x.select_scatter(y, 1, -2), (rand(*_X), rand(2, 5))),
    Case("select_scatter-bool", lambda x, y: x.select_scatter(y, 0, 0), (rand(3, 4, dtype=_B), rand(4, dtype=_B))),
    _dynamic("select_scatter-dynamic", lambda x: x.select_scatter(x[0] * 2, 0, -1), (4, 3), (1, 3), (7, 3)),
    Case(
        "diagonal",
        lambda x: (x.diagonal(), x.diagonal(1, -1, 0), x.diagonal(-2, 1, 2), _aten.diagonal_copy(x, 2, 1, 2)),
        rand(*_X),
    ),
    Case("diagonal-empty", lambda x: x.diagonal(7) + 1, rand(3, 4)),
    Case("linalg_diagonal", lambda x: torch.linalg.diagonal(x, offset=-1), rand(*_X)),
    _dynamic("diagonal-dynamic", lambda x: (x.diagonal(), x.diagonal(-1)), (2, 3), (3, 3), (7, 3)),
    *(
        Case(
            f"diagonal_scatter{offset:+d}",
            lambda x, y, offset=offset: torch.diagonal_scatter(x, y, offset, 2, 0),
            (rand(3, 2, 4), rand(2, torch.empty(4, 3).diagonal(offset).numel())),
        )
        for offset in (-2, 0, 1)
    ),
    _dynamic(
        "diagonal_scatter-dynamic",
        lambda x: x.diagonal_scatter(x.diagonal() * 2),
        (3, 4),
        (1, 4),
        (7, 4),
    ),
    Case(
        "as_strided-of-a-copy",
        lambda x: (
            x.to(memory_format=torch.channels_last).as_strided((1, 4, 5, 3), (60, 15, 3, 1)),
            x.contiguous(memory_format=torch.channels_last).detach().as_strided((2, 3), (7, 1)),
            x.mT.contiguous().as_strided((4, 5), (1, 4)),
        ),
        rand(1, 3, 4, 5),
    ),
    Case(
        "_reshape_alias-strides",
        lambda x: (
            _aten._reshape_alias(x, (4, 6), (1, 4)),
            _aten._reshape_alias(x.t(), (2, 3), (3, 6)),
            _aten._reshape_alias(x, (6, 4), (1, 6)).as_strided((2, 2), (1, 4)),
        ),
        rand(4, 6),
    ),
    *(
        Case(
            f"as_strided-dynamic-{name}",
            function,
            _drawn(length, dtype=dtype),
            {"x": {0: (8, 20, 100)}},
            [_drawn(other, dtype=dtype) for other in (8, 33, 100)],
        )
        for name, length, dtype, function in (
            ("frames", 20, torch.float32, _frames),
            ("int64", 21, torch.int64, lambda x: _frames(x * 2)),
            ("bool", 21, torch.float32, lambda x: _frames(x > 0)),
            ("select", 20, torch.float16, lambda x: _frames(x.view(1, -1)[0])),
            ("copy", 22, torch.float32, lambda x: _aten.as_strided_copy(x, (2, x.shape[0] - 3), (3, 1), 0)),
            (
                "strides",
                19,
                torch.float32,
                lambda x: torch.stack([x, -x, 2 * x]).as_strided((x.shape[0] - 1, 2), (1, x.shape[0]), x.shape[0] + 1),
            ),
            (
                "transposed",
                19,
                torch.float32,
                lambda x: torch.stack([x, -x], 1).t().contiguous().as_strided((x.shape[0], 2), (1, x.shape[0])),
            ),
        )
    ),
]
