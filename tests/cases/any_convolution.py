"""Convolutions whose kernels or groups have sizes that are dynamic."""

import torch
import torch.nn.functional as F

from tests.harness import Case


def _drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def _correlation(x, k):
    """Each image with a kernel of its own, as trackers do: the groups are a dynamic size."""
    batch, channels, height, width = k.shape
    found = F.conv2d(x.reshape(1, -1, *x.shape[2:]), k.reshape(-1, 1, height, width), groups=batch * channels)
    return found.reshape(batch, channels, *found.shape[2:])


def _inputs(spatial, outputs, size, batch=2, channels=4, groups=2):
    return {
        "x": _drawn(batch, channels, *[9] * spatial),
        "w": _drawn(outputs, channels // groups, size, *[3] * (spatial - 1)),
        "b": _drawn(outputs),
    }


def _turned(inputs):
    """The same for a transposed convolution of two groups."""
    weight = inputs["w"]
    return {"x": inputs["x"], "w": _drawn(4, len(weight), *weight.shape[2:]), "b": _drawn(2 * len(weight))}


_SIZES = ((4, 3), (2, 2), (8, 4))
_DYNAMIC = {"x": {0: (1, 2, 4)}, "w": {0: ("maps", 2, 4, 8), 2: ("size", 2, 3, 4)}, "b": {0: "maps"}}
_TURNED = {"x": {0: (1, 2, 4)}, "w": {1: ("maps", 2, 4, 8), 2: ("size", 2, 3, 4)}, "b": {0: ("twice", 4, 8, 16)}}

_FUNCTIONS = {1: (F.conv1d, F.conv_transpose1d), 2: (F.conv2d, F.conv_transpose2d), 3: (F.conv3d, F.conv_transpose3d)}

CASES = [
    Case(
        "correlation",
        _correlation,
        {"x": _drawn(2, 3, 9, 9), "k": _drawn(2, 3, 4, 4)},
        {"x": {0: ("batch", 1, 2, 4)}, "k": {0: "batch"}},
        [{"x": _drawn(n, 3, 9, 9), "k": _drawn(n, 3, 4, 4)} for n in (1, 4)],
        rtol=1e-4,
    ),
    *(
        Case(
            f"{spatial}d",
            lambda x, w, b, f=f: (f(x, w, b, 2, 1, 2, 2), f(x[0], w, None, padding="same", groups=2)),
            _inputs(spatial, *_SIZES[0]),
            _DYNAMIC,
            [_inputs(spatial, *sizes, batch=batch) for sizes, batch in zip(_SIZES[1:], (1, 4), strict=True)],
            rtol=1e-4,
        )
        for spatial, (f, _) in _FUNCTIONS.items()
    ),
    *(
        Case(
            f"transposed-{spatial}d",
            lambda x, w, b, f=f: (f(x, w, b, 2, 1, 1, 2, 2), f(x[0], w, None, groups=2)),
            _turned(_inputs(spatial, *_SIZES[0])),
            _TURNED,
            [_turned(_inputs(spatial, *sizes, batch=batch)) for sizes, batch in zip(_SIZES[1:], (1, 4), strict=True)],
            rtol=1e-4,
        )
        for spatial, (_, f) in _FUNCTIONS.items()
    ),
    Case(
        "half",
        lambda x, w, b: F.conv2d(x, w, b, groups=2),
        {name: value.half() for name, value in _inputs(2, 4, 3).items()},
        _DYNAMIC,
        [{name: value.half() for name, value in _inputs(2, *sizes).items()} for sizes in _SIZES[1:]],
        rtol=1e-2,
    ),
]
