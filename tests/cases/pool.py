"""Pooling."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from tests.harness import Case, rand

aten = torch.ops.aten


def _with(function: Callable[..., Any], *args: Any, **options: Any) -> Callable[[torch.Tensor], Any]:
    """The function with everything given but the tensor."""

    def run(x: torch.Tensor) -> Any:
        return function(x, *args, **options)

    return run


def _max(spatial: int, *args: Any, **options: Any) -> Callable[[torch.Tensor], Any]:
    return _with((F.max_pool1d, F.max_pool2d, F.max_pool3d)[spatial - 1], *args, **options)


def _average(spatial: int, *args: Any, **options: Any) -> Callable[[torch.Tensor], Any]:
    return _with((F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[spatial - 1], *args, **options)


def _adaptive(spatial: int, size: Any) -> Callable[[torch.Tensor], Any]:
    return _with((F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[spatial - 1], size)


def _adaptive_max(spatial: int, size: Any, indices: bool = True) -> Callable[[torch.Tensor], Any]:
    function = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[spatial - 1]
    return _with(function, size, return_indices=indices)


def _adaptive_halved(x: torch.Tensor) -> Any:
    rows, columns = x.shape[2:]
    return F.adaptive_avg_pool2d(x, (rows // 2, columns)), F.adaptive_avg_pool2d(x, (columns, 3))


def _adaptive_max_halved(x: torch.Tensor) -> Any:
    rows, columns = x.shape[2:]
    return F.adaptive_max_pool2d(x, (rows // 2, columns), True), F.adaptive_max_pool1d(x[0], [columns - 4], True)


def _whole(x: torch.Tensor) -> Any:
    features = F.avg_pool2d(x, x.shape[2:]).flatten(1)
    return features @ torch.ones(3, 2), F.max_pool2d(x, kernel_size=x.shape[-2:]), F.avg_pool1d(x[0], [x.size(3)])


def _by_sizes(x: torch.Tensor) -> Any:
    rows, columns = x.shape[2:]
    volumes = F.avg_pool3d(x, [2, rows, columns // 3])
    return volumes, F.avg_pool2d(x, [rows // 2, 3], stride=1), F.max_pool2d(x, [3, columns // 2], [columns // 4, 2])


def _unpool(spatial: int, size: Any = None) -> Callable[[torch.Tensor], torch.Tensor]:
    """Pooling and back; the places of a real pooling occur once each."""
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[spatial - 1]
    unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[spatial - 1]

    def run(x: torch.Tensor) -> torch.Tensor:
        values, indices = pool(x, 2, return_indices=True)
        return unpool(values * 2, indices, 2, output_size=size)

    return run


def _backward(stride: int, padding: int, dilation: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    def run(x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        window, steps, zeros, spread = [3, 3], [stride] * 2, [padding] * 2, [dilation] * 2
        _, indices = aten.max_pool2d_with_indices(x, window, steps, zeros, spread, False)
        result: torch.Tensor = aten.max_pool2d_with_indices_backward(
            gradient, x, window, steps, zeros, spread, False, indices
        )
        return result

    return run


def _fractional2d(x: torch.Tensor, numbers: torch.Tensor) -> Any:
    return aten.fractional_max_pool2d(x, [2, 3], [3, 4], numbers)


def _fractional3d(x: torch.Tensor, numbers: torch.Tensor) -> Any:
    return aten.fractional_max_pool3d(x, [2, 2, 3], [2, 3, 1], numbers)


def _fractional_dynamic(name: str, *shapes: Sequence[int], dtype: torch.dtype = torch.float32) -> Case:
    """A row whose number of images and spatial sizes are dynamic; the first of ``shapes`` is traced."""
    axes = len(shapes[0]) - 2
    pool = torch.nn.FractionalMaxPool2d if axes == 2 else torch.nn.FractionalMaxPool3d
    counts = (5, 4, 1)[:axes]

    def run(x: torch.Tensor, numbers: torch.Tensor) -> Any:
        return pool((3, 2, 2)[:axes], output_size=counts, return_indices=True, _random_samples=numbers)(x)

    inputs = []
    for seed, shape in enumerate(shapes):
        generator = torch.Generator().manual_seed(seed)
        image, numbers = torch.randn(shape, generator=generator), torch.rand(*shape[:2], axes, generator=generator)
        inputs.append(((2 * image).round().to(dtype), numbers.to(dtype)))  # windows hold equal maxima
    sizes = {0: (1, 2, 4)}
    dynamic = {"x": {**sizes, **{2 + axis: (7, 9, 400) for axis in range(axes)}}, "numbers": sizes}
    return Case(name, run, inputs[0], dynamic, inputs[1:])


def _tied(*shape: int) -> torch.Tensor:
    """Few different values, so that windows hold equal maxima."""
    return rand(*shape, low=-2, high=2).round()


def _tied_with_nan(*shape: int) -> torch.Tensor:
    """The same with a few NaN and a window of -inf, by a generator of its own."""
    generator = torch.Generator().manual_seed(len(shape))
    values = torch.randn(shape, generator=generator).round()
    values[torch.rand(shape, generator=generator) < 0.03] = torch.nan
    values[..., :6] = -torch.inf
    return values


_WAVES = torch.arange(432.0).sin().reshape(2, 3, 9, 8)
_NAN = torch.tensor([[[1, torch.nan, 0, torch.nan, 2, 3, 4]]])
_HALF = torch.float16
_INT = torch.int64
_SIZES = {"x": {0: (1, 2, 8), 2: (7, 9, 20), 3: (7, 8, 20)}}
_OTHERS = [rand(1, 3, 7, 20), rand(8, 3, 14, 11)]
_LARGE = rand(1, 2, 401, 330)
_ALWAYS_NEGATIVE = rand(2, 3, 9, 8, low=-9, high=-5)

CASES = [
    Case("max1d", _max(1, 3, stride=2, padding=1), rand(2, 3, 9)),
    Case("max1d-unbatched", _max(1, 2), rand(3, 9)),
    Case("max1d-wide", _max(1, 300, stride=7, padding=20, ceil_mode=True), rand(2, 3, 1001)),
    Case("max2d", _max(2, 3, stride=2, padding=1), rand(2, 3, 9, 8)),
    Case("max2d-negative", _max(2, 3, stride=2, padding=1), _ALWAYS_NEGATIVE),
    Case("max2d-unbatched", _max(2, (2, 3)), rand(3, 9, 8)),
    Case("max2d-ceil", _max(2, 3, stride=2, ceil_mode=True), rand(2, 3, 9, 8)),
    Case("max2d-ceil-padding", _max(2, 3, stride=2, padding=1, ceil_mode=True), rand(2, 3, 8, 8)),
    Case("max2d-ceil-starts-outside", _max(2, 2, stride=3, padding=1, ceil_mode=True), rand(2, 3, 9, 8)),
    Case("max2d-dilation", _max(2, (3, 2), stride=2, padding=1, dilation=(2, 3)), rand(2, 3, 9, 8)),
    Case("max2d-dilation-ceil", _max(2, 2, stride=3, padding=1, dilation=2, ceil_mode=True), rand(2, 3, 9, 8)),
    Case("max2d-longer-than-input", _max(2, 50, padding=1, ceil_mode=True), rand(2, 3, 9, 8)),
    Case("max2d-large", _max(2, (350, 300), stride=33, padding=(7, 9), ceil_mode=True), _LARGE),
    Case("max2d-half", _max(2, 3, stride=2), rand(2, 3, 9, 8, dtype=_HALF)),
    Case("max2d-empty-batch", _max(2, 3, stride=2), rand(0, 3, 9, 8)),
    Case("max2d-dynamic", _max(2, 3, stride=2, padding=1), rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case("max2d-dynamic-ceil", _max(2, 3, stride=2, padding=1, ceil_mode=True), rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case("max2d-dynamic-outside", _max(2, 2, stride=3, padding=1, ceil_mode=True), rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case("max2d-dynamic-dilation", _max(2, 2, stride=2, dilation=3), rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case("max3d", _max(3, (2, 3, 2), stride=2, padding=(1, 1, 0)), rand(2, 3, 5, 6, 7)),
    Case("max3d-unbatched", _max(3, 2), rand(3, 5, 6, 7)),
    Case("indices1d", _max(1, 3, stride=2, return_indices=True), _tied(2, 3, 9)),
    Case("indices2d", _max(2, 3, stride=1, padding=1, return_indices=True), _tied(2, 3, 9, 8)),
    Case("indices2d-dilation", _max(2, 3, padding=1, dilation=2, return_indices=True), _tied(2, 3, 9, 8)),
    Case("indices2d-infinite", _max(2, 3, padding=1, return_indices=True), torch.full((1, 2, 5, 5), -torch.inf)),
    Case("indices2d-nan", _max(2, 2, return_indices=True), torch.tensor([[[1.0, torch.nan], [torch.nan, 9.0]]])),
    Case("indices1d-large", _max(1, 17, 2, 1, return_indices=True), _tied_with_nan(2, 3, 40)),
    Case("indices2d-large", _max(2, 5, 2, return_indices=True), _tied_with_nan(2, 2, 20, 21)),
    Case("indices2d-large-padding", _max(2, (5, 7), (3, 1), (2, 3), 1, True, True), _tied_with_nan(1, 2, 20, 21)),
    Case("indices2d-large-dilation", _max(2, 5, 2, 2, dilation=3, return_indices=True), _tied_with_nan(1, 2, 20, 21)),
    Case("indices2d-large-integers", _max(2, 5, padding=1, return_indices=True), -torch.arange(300).reshape(3, 10, 10)),
    Case(
        "indices2d-large-dynamic",
        _max(2, 5, 2, 1, ceil_mode=True, return_indices=True),
        _tied_with_nan(2, 3, 9, 8),
        _SIZES,
        [_tied_with_nan(1, 3, 7, 20), _tied_with_nan(8, 3, 14, 11)],
    ),
    Case("indices3d-large", _max(3, (1, 4, 5), 3, (0, 2, 1), return_indices=True), _tied_with_nan(1, 2, 4, 20, 21)),
    Case(
        "indices2d-dynamic",
        _max(2, 3, stride=2, padding=1, ceil_mode=True, return_indices=True),
        _tied(2, 3, 9, 8),
        _SIZES,
        [_tied(1, 3, 7, 20), _tied(8, 3, 14, 11)],
    ),
    Case("indices3d", _max(3, 2, stride=2, padding=1, return_indices=True), _tied(2, 3, 5, 6, 7)),
    Case("average1d", _average(1, 3, stride=2, padding=1), rand(2, 3, 9)),
    Case("average1d-integers", _average(1, 2), rand(2, 3, 9, dtype=_INT, low=-50, high=50)),
    Case("average2d", _average(2, 3, stride=2, padding=1), rand(2, 3, 9, 8)),
    Case("average2d-excluded", _average(2, 3, stride=2, padding=1, count_include_pad=False), rand(2, 3, 9, 8)),
    Case("average2d-ceil", _average(2, 3, stride=2, padding=1, ceil_mode=True), rand(2, 3, 8, 9)),
    Case(
        "average2d-ceil-excluded",
        _average(2, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        rand(2, 3, 8, 9),
    ),
    Case("average2d-ceil-outside", _average(2, 2, stride=3, padding=1, ceil_mode=True), rand(2, 3, 8, 9)),
    Case("average2d-longer-than-input", _average(2, 2560, ceil_mode=True), rand(2, 3, 9, 8)),
    Case("average2d-far-apart", _average(2, 2, stride=300_000, padding=1, ceil_mode=True), rand(2, 3, 9, 8)),
    Case("average1d-whole", _average(1, 150_000), rand(1, 2, 150_000)),
    Case(
        "average1d-wide",
        _average(1, 257, padding=9),
        rand(2, 3, 700),
        {"x": {2: (400, 700, 900)}},
        [rand(2, 3, 401), rand(2, 3, 850)],
    ),
    Case("average3d-wide", _average(3, (2, 3, 300), padding=(0, 1, 7)), rand(1, 2, 4, 5, 800)),
    Case("average2d-whole", _average(2, (401, 330)), _LARGE),
    Case("average2d-large", _average(2, (350, 300), stride=33, padding=(7, 9), count_include_pad=False), _LARGE),
    Case("average2d-divisor", _average(2, 3, stride=2, padding=1, divisor_override=5), rand(2, 3, 9, 8)),
    Case(
        "average2d-divisor-ceil",
        _average(2, 3, stride=2, padding=1, ceil_mode=True, divisor_override=5),
        rand(2, 3, 8, 8),
    ),
    Case("average2d-half", _average(2, 3, stride=2, padding=1), rand(2, 3, 9, 8, dtype=_HALF)),
    Case("average2d-integers", _average(2, 3, padding=1), rand(2, 3, 9, 8, dtype=_INT, low=-50, high=50)),
    Case("average2d-dynamic", _average(2, 3, stride=2, padding=1), rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case(
        "average2d-dynamic-outside",
        _average(2, 2, stride=3, padding=1, ceil_mode=True, count_include_pad=False),
        rand(2, 3, 9, 8),
        _SIZES,
        _OTHERS,
    ),
    Case(
        "average2d-dynamic-ceil",
        _average(2, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        rand(2, 3, 9, 8),
        _SIZES,
        _OTHERS,
    ),
    Case("average3d", _average(3, 2, padding=(1, 0, 1), ceil_mode=True), rand(2, 3, 5, 6, 7)),
    Case("power", _with(F.lp_pool2d, 2.0, 3, 2), rand(2, 3, 9, 8, low=0.1)),
    Case("adaptive1d", _adaptive(1, 4), rand(2, 3, 9)),
    Case("adaptive2d-global", _adaptive(2, 1), rand(2, 3, 9, 8)),
    Case("adaptive2d-even", _adaptive(2, (3, 4)), rand(2, 3, 9, 8)),
    Case("adaptive2d-same", _adaptive(2, (9, None)), rand(2, 3, 9, 8)),
    Case("adaptive2d-uneven", _adaptive(2, (5, 3)), rand(2, 3, 9, 8)),
    Case("adaptive2d-larger", _adaptive(2, (12, 8)), rand(2, 3, 9, 8)),
    Case("adaptive2d-unbatched", _adaptive(2, (5, 1)), rand(3, 9, 8)),
    Case("adaptive2d-half", _adaptive(2, (5, 3)), rand(2, 3, 9, 8, dtype=_HALF)),
    Case("adaptive2d-dynamic-global", _adaptive(2, 1), rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case("adaptive2d-dynamic", _adaptive(2, (5, 3)), rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case("adaptive2d-internal", _with(aten._adaptive_avg_pool2d, [2, 2]), rand(2, 3, 9, 8)),
    Case("adaptive3d", _adaptive(3, (2, 1, 7)), rand(2, 3, 5, 6, 7)),
    Case("adaptive3d-internal", _with(aten._adaptive_avg_pool3d, [2, 2, 1]), rand(2, 3, 5, 6, 7)),
    Case("adaptive_max1d", _adaptive_max(1, 4), _tied(2, 3, 9)),
    Case("adaptive_max2d", _adaptive_max(2, (5, 3)), _tied(2, 3, 9, 8)),
    Case("adaptive_max2d-values", _adaptive_max(2, (5, 1), indices=False), rand(2, 3, 9, 8)),
    Case("adaptive_max1d-nan", _adaptive_max(1, 2), _NAN),
    Case("adaptive_max1d-nan-global", _adaptive_max(1, 1), _NAN),
    Case(
        "adaptive_max2d-values-even",
        _adaptive_max(2, (3, 4), indices=False),
        torch.arange(432.0).reshape(2, 3, 9, 8).sin(),
    ),
    Case("adaptive_max2d-large", _adaptive_max(2, 2), _tied_with_nan(2, 3, 20, 18)),
    Case("adaptive_max2d-even", _adaptive_max(2, (3, 4)), _tied(2, 3, 9, 8)),
    Case("adaptive_max2d-global", _adaptive_max(2, 1), _tied(2, 3, 9, 8)),
    Case(
        "adaptive_max2d-dynamic",
        _adaptive_max(2, (5, 3)),
        _tied(2, 3, 9, 8),
        _SIZES,
        [_tied(1, 3, 7, 20), _tied(8, 3, 14, 11)],
    ),
    Case("adaptive2d-dynamic-sizes", _adaptive_halved, rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case(
        "adaptive_max2d-dynamic-sizes",
        _adaptive_max_halved,
        _tied(2, 3, 9, 8),
        _SIZES,
        [_tied(1, 3, 7, 20), _tied(8, 3, 14, 11)],
    ),
    Case("adaptive_max3d", _adaptive_max(3, (2, 4, 3)), _tied(2, 3, 5, 6, 7)),
    Case("whole-dynamic", _whole, rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case("by-sizes-dynamic", _by_sizes, rand(2, 3, 9, 8), _SIZES, _OTHERS),
    Case("unpool1d", _unpool(1), rand(2, 3, 8)),
    Case("unpool2d", _unpool(2), rand(2, 3, 8, 6)),
    Case("unpool2d-size", _unpool(2, (9, 7)), rand(2, 3, 9, 7)),
    Case("unpool2d-unbatched", _unpool(2), rand(3, 8, 6)),
    Case(
        "unpool2d-dynamic",
        _unpool(2),
        rand(2, 3, 8, 6),
        {"x": {0: (1, 2, 4), 2: (4, 8, 16)}},
        [rand(1, 3, 16, 6), rand(3, 3, 4, 6)],
    ),
    Case("unpool3d", _unpool(3), rand(2, 3, 4, 6, 4)),
    Case("backward", _backward(2, 1, 1), (rand(2, 3, 9, 8), rand(2, 3, 5, 4))),
    Case("backward-dilation", _backward(1, 1, 2), (rand(2, 3, 9, 8), rand(2, 3, 7, 6))),
    Case("fractional2d", _fractional2d, (_tied(2, 60, 9, 11), rand(2, 60, 2, low=0, high=1))),
    Case(
        "fractional-rounded",
        lambda x, n: aten.fractional_max_pool2d(x, [2, 2], [9, 11], n),
        (_tied(2, 9, 29, 31).bfloat16(), rand(2, 9, 2, low=0, high=1, dtype=torch.bfloat16)),
    ),
    Case("fractional3d", _fractional3d, (_tied(2, 3, 5, 6, 7), rand(2, 3, 3, low=0, high=1))),
    _fractional_dynamic("fractional2d-dynamic", (2, 30, 9, 11), (1, 30, 24, 7), (4, 30, 67, 190), (2, 30, 7, 98)),
    _fractional_dynamic(
        "fractional-rounded-dynamic", (2, 30, 9, 11), (1, 30, 24, 7), (4, 30, 67, 390), dtype=torch.bfloat16
    ),
    _fractional_dynamic("fractional3d-dynamic", (2, 9, 9, 8, 7), (1, 9, 24, 7, 12), (4, 9, 17, 30, 8)),
]
