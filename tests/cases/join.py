"""Several tensors as one."""

import torch

from tests.harness import Case, rand

_I, _H, _B, _U = torch.int64, torch.float16, torch.bool, torch.uint8
_aten = torch.ops.aten
_TWO = (rand(2, 3), rand(2, 3))


def _dynamic(name, function):
    return Case(
        name,
        function,
        {"x": rand(3, 3)},
        dynamic={"x": {0: (2, 4, 16)}},
        others=[{"x": rand(2, 3)}, {"x": rand(8, 3)}],
    )


_padded = torch.nn.utils.rnn.pad_sequence

CASES = [
    Case("cat", lambda x, y: (torch.cat((x, y)), torch.cat((y, x), -1)), _TWO),
    Case("cat-promotes", lambda x, y: torch.cat((x, y, x), 1), (rand(2, 3, dtype=_I), rand(2, 1))),
    Case("cat-known", lambda x: torch.cat((x, torch.arange(6.0).reshape(2, 3)), 0), rand(2, 3)),
    Case("cat-skips-empty", lambda x, y: torch.cat((y, x), 0), (rand(2, 3), rand(0))),
    Case("cat-empty", lambda x, y: torch.cat((x, y), 1), (rand(2, 0), rand(2, 3))),
    Case("cat-uint8", lambda x, y: torch.cat((x, y)), tuple(rand(2, 3, dtype=_U, low=0, high=255) for _ in range(2))),
    Case("cat-bool", lambda x: torch.cat((x, x)), rand(2, 3, dtype=_B)),
    Case("concat", lambda x, y: (torch.concat((x, y)), torch.concatenate((y, x), 1)), _TWO),
    _dynamic("cat-dynamic", lambda x: (torch.cat((x, x * 2)), torch.cat((x, x + 1), 1))),
    Case(
        "pad_sequence",
        lambda x, y: (_padded([x, y]), _padded([y, x, y], True, -1.5), _padded([x, y], True, 2.0, "left")),
        (rand(3, 2), rand(5, 2)),
    ),
    Case("pad_sequence-int", lambda x, y: _padded([x, y]), (rand(3, dtype=_I), rand(5, dtype=_I))),
    Case(
        "pad_sequence-dynamic",
        lambda x, y: (_padded([x, y, x[1:]]), _padded([x, y], True, 1.0, "left")),
        {"x": rand(3, 4), "y": rand(5, 4)},
        dynamic={"x": {0: (1, 3, 9)}, "y": {0: (1, 5, 9)}},
        others=[{"x": rand(7, 4), "y": rand(2, 4)}, {"x": rand(1, 4), "y": rand(1, 4)}],
    ),
    Case("stack", lambda x, y: (torch.stack((x, y)), torch.stack((x, y), -1), _aten._stack([x, y], 1)), _TWO),
    Case("stack-scalars", lambda x, y: torch.stack((x, y)), (rand(), rand(dtype=_I))),
    Case("stack-known", lambda x: torch.stack((x, torch.ones(3))), rand(3)),
    Case("stack-half", lambda x: torch.stack((x, x), 1), rand(2, 3, dtype=_H)),
    _dynamic("stack-dynamic", lambda x: (torch.stack((x, x * 2)), torch.stack((x, x + 1), -1))),
    *(
        Case(
            f"stacks-{len(shape)}d",
            lambda x, y: (
                torch.hstack((x, y)),
                torch.vstack((x, y)),
                torch.dstack((x, y)),
                torch.column_stack((x, y)),
                torch.row_stack((x, y)),
            ),
            (rand(*shape), rand(*shape)),
        )
        for shape in ((), (2,), (2, 3), (2, 3, 4))
    ),
    Case("flatten_dense_tensors", lambda x, y: _aten.flatten_dense_tensors([x, y]), (rand(2, 3), rand(4))),
    Case(
        "_chunk_cat",
        lambda x, y: (_aten._chunk_cat([x, y], 0, 2), _aten._chunk_cat([x, y], 1, 3), _aten._chunk_cat([x], -1, 4)),
        (rand(3, 5, 2), rand(3, 2)),
    ),
    Case("_chunk_cat-whole", lambda x, y: _aten._chunk_cat([x, y], 0, 2), (rand(4, 2), rand(2))),
    _dynamic("_chunk_cat-dynamic", lambda x: (_aten._chunk_cat([x, x * 2], 0, 2), _aten._chunk_cat([x], 1, 2))),
    Case(
        "meshgrid",
        lambda x, y, z: (*torch.meshgrid(x, y, z, indexing="ij"), *torch.meshgrid(x, y, z, indexing="xy")),
        (rand(3), rand(2), rand()),
    ),
    Case("meshgrid-default", lambda x, y: _aten.meshgrid([x, y]), (rand(3, dtype=_I), rand(2, dtype=_I))),
    _dynamic("meshgrid-dynamic", lambda x: torch.meshgrid(x[:, 0], x[0], indexing="ij")),
    Case("cartesian_prod", lambda x, y: (torch.cartesian_prod(x, y), torch.cartesian_prod(x)), (rand(3), rand(2))),
    Case(
        "combinations",
        lambda x: (torch.combinations(x), torch.combinations(x, 3), torch.combinations(x, 2, True)),
        rand(4),
    ),
    Case("combinations-none", lambda x: torch.combinations(x, 5) + 1, rand(4)),
    Case("block_diag", lambda x, y, z: torch.block_diag(x, y, z), (rand(2, 3), rand(3), rand(dtype=_I))),
    _dynamic("block_diag-dynamic", lambda x: torch.block_diag(x, x[0], x * 2)),
]
