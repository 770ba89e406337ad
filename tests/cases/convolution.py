"""Convolutions and transposed convolutions."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tests.harness import Case, rand

aten = torch.ops.aten


def _layer(module: nn.Module) -> nn.Module:
    """The module with seeded weights."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return module.eval()


def _long(module: nn.Module) -> nn.Module:
    """The module with seeded weights so small that sums of many products are too."""
    module = _layer(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter /= 16
    return module


def _run_time(function: Callable[..., torch.Tensor], **options: Any) -> Callable[..., torch.Tensor]:
    """The function of an image, a weight and a bias that are all inputs."""

    def run(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return function(x, weight, bias, **options)

    return run


def _scripted_conv1d(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.conv1d(x, w, None, 2, 1) + F.conv1d(x, w, None, [2], "valid")[..., :1]


def _scripted_conv2d(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.conv2d(x, w, None, [1, 2], [1, 0]) + F.conv2d(x, w, None, 1, "same")[..., :1]


def _scripted_conv3d(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.conv3d(x, w, None, 1, 1) + F.conv3d(x, w, None, 1, "same")


def _scripted_transposed1d(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.conv_transpose1d(x, w, None, 2, 1, 1)


def _scripted_transposed2d(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.conv_transpose2d(x, w, None, 2, 1)


def _scripted_transposed3d(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return F.conv_transpose3d(x, w, None, 2, 1)


def _inside_trace(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A scripted function keeps the operators that a trace takes apart."""
    scripted = torch.jit.script(function)

    def run(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = scripted(x, w)
        return result

    return run


def _deprecated(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = aten._convolution.deprecated(
        x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False, False, False
    )
    return result


def _scripted_plain(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return torch.convolution(x, w, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)


def _thnn(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = aten.thnn_conv2d(x, w, [3, 3], b, [2, 1], [1, 0])
    return result


def _slow3d(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = aten.slow_conv3d(x, w, [2, 3, 3], b, [1, 2, 1], [1, 0, 1])
    return result


class _CountedChannels(nn.Module):
    """Channels whose number follows from a dynamic batch: as many as are left."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = _layer(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x.flatten(0, 1).tanh().unflatten(0, (x.shape[0], -1)))
        return result


class _TimeFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(rand(3, 4, 5)), nn.Parameter(rand(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.conv_tbc(x, self.weight, self.bias, 1)


_IMAGE = {"x": {0: (1, 2, 8), 2: (6, 9, 20), 3: (6, 8, 20)}}
_OTHER_IMAGES = [rand(1, 4, 6, 20), rand(8, 4, 15, 7)]
_DYNAMIC = {"input": _IMAGE["x"]}

CASES = [
    Case("conv1d", _layer(nn.Conv1d(4, 6, 3, stride=2, padding=1)), rand(2, 4, 9)),
    Case("conv1d-unbatched", _layer(nn.Conv1d(4, 6, 3, dilation=2)), rand(4, 9)),
    Case("conv1d-same-even", _layer(nn.Conv1d(4, 6, 4, padding="same", dilation=3)), rand(2, 4, 11)),
    Case("conv2d", _layer(nn.Conv2d(4, 6, 3, padding=1)), rand(2, 4, 9, 8)),
    Case("conv2d-no-bias", _layer(nn.Conv2d(4, 6, (1, 3), stride=(2, 1), bias=False)), rand(2, 4, 9, 8)),
    Case("conv2d-unbatched", _layer(nn.Conv2d(4, 6, 3)), rand(4, 9, 8)),
    Case("conv2d-groups", _layer(nn.Conv2d(4, 6, 3, padding=(2, 0), dilation=(1, 2), groups=2)), rand(2, 4, 9, 8)),
    Case("conv2d-depthwise", _layer(nn.Conv2d(4, 8, 3, groups=4)), rand(2, 4, 9, 8)),
    Case("conv2d-same", _layer(nn.Conv2d(4, 6, (2, 5), padding="same")), rand(2, 4, 9, 8)),
    Case("conv2d-valid", _layer(nn.Conv2d(4, 6, 3, padding="valid", stride=2)), rand(2, 4, 9, 8)),
    Case("conv2d-reflect", _layer(nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect")), rand(2, 4, 9, 8)),
    Case("conv2d-circular", _layer(nn.Conv2d(4, 6, 3, padding=2, padding_mode="circular")), rand(2, 4, 9, 8)),
    Case("conv2d-empty-batch", _layer(nn.Conv2d(4, 6, 3)), rand(0, 4, 9, 8)),
    Case("conv2d-half", _layer(nn.Conv2d(4, 6, 3)).half(), rand(2, 4, 9, 8, dtype=torch.float16)),
    Case("conv2d-bfloat16", _layer(nn.Conv2d(4, 6, 3)).bfloat16(), rand(2, 4, 9, 8, dtype=torch.bfloat16)),
    Case(
        "conv1d-depthwise-bfloat16",
        _layer(nn.Conv1d(8, 8, 3, groups=8, bias=False)).bfloat16(),
        rand(2, 8, 9, dtype=torch.bfloat16),
    ),
    Case(
        "conv2d-depthwise-bfloat16",
        _layer(nn.Conv2d(8, 8, 3, padding="same", groups=8)).bfloat16(),
        rand(2, 8, 9, 8, dtype=torch.bfloat16),
    ),
    Case(
        "conv2d-depthwise-bfloat16-run-time",
        _run_time(F.conv2d, groups=8),
        tuple(rand(*shape, dtype=torch.bfloat16) for shape in ((2, 8, 9, 8), (8, 1, 3, 3), (8,))),
    ),
    Case("conv2d-dynamic", _layer(nn.Conv2d(4, 6, 3, padding=1)), rand(2, 4, 9, 8), _DYNAMIC, _OTHER_IMAGES),
    Case("conv2d-run-time", _run_time(F.conv2d, padding=1), (rand(2, 4, 9, 8), rand(6, 4, 3, 3), rand(6))),
    Case(
        "conv2d-run-time-groups",
        _run_time(F.conv2d, groups=2, stride=2),
        (rand(2, 4, 9, 8), rand(6, 2, 3, 3), rand(6)),
    ),
    Case("conv1d-run-time", _run_time(F.conv1d, padding=1), (rand(2, 4, 9), rand(6, 4, 3), rand(6))),
    Case(
        "conv1d-integers",
        _run_time(F.conv1d, stride=2, padding=1),
        tuple(rand(*shape, dtype=torch.int64, low=-9, high=9) for shape in ((2, 4, 9), (6, 4, 3), (6,))),
    ),
    Case(
        "conv2d-integers",
        _run_time(F.conv2d, groups=2, dilation=(1, 2), padding=(0, 1)),
        tuple(
            rand(*shape, dtype=torch.int64, low=-(2**40), high=2**40) for shape in ((2, 4, 6, 7), (6, 2, 3, 2), (6,))
        ),
    ),
    Case(
        "conv_transpose2d-integers",
        _run_time(F.conv_transpose2d, stride=(2, 1), padding=(0, 1), output_padding=(1, 0)),
        tuple(rand(*shape, dtype=torch.int64, low=-9, high=9) for shape in ((2, 4, 5, 6), (4, 3, 3, 2), (3,))),
    ),
    Case("conv3d", _layer(nn.Conv3d(4, 6, 3, padding=(0, 1, 2), stride=(1, 2, 1))), rand(2, 4, 5, 6, 7)),
    Case("conv3d-same", _layer(nn.Conv3d(4, 6, 2, padding="same")), rand(2, 4, 5, 6, 7)),
    Case(
        "conv3d-dynamic",
        _layer(nn.Conv3d(2, 3, 3, padding=1)),
        rand(1, 2, 4, 5, 6),
        dynamic={"input": {0: (1, 1, 2), 2: (3, 4, 8)}},
        others=[rand(2, 2, 8, 5, 6), rand(1, 2, 3, 5, 6)],
    ),
    Case("transposed1d", _layer(nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1)), rand(2, 4, 9)),
    Case("transposed1d-unbatched", _layer(nn.ConvTranspose1d(4, 6, 3, padding=1)), rand(4, 9)),
    Case("transposed2d", _layer(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1)), rand(2, 4, 5, 6)),
    Case(
        "transposed2d-output-padding", _layer(nn.ConvTranspose2d(4, 6, 2, stride=3, output_padding=2)), rand(2, 4, 5, 6)
    ),
    Case("transposed2d-groups", _layer(nn.ConvTranspose2d(4, 6, 3, stride=(2, 1), groups=2)), rand(2, 4, 5, 6)),
    Case("transposed2d-dilated", _layer(nn.ConvTranspose2d(4, 6, 3, dilation=2, padding=1)), rand(2, 4, 5, 6)),
    Case(
        "transposed2d-stride-dilation",
        _layer(nn.ConvTranspose2d(4, 6, (3, 2), stride=2, dilation=(2, 3), padding=1, output_padding=1)),
        rand(2, 4, 5, 6),
    ),
    Case(
        "transposed2d-run-time",
        _run_time(F.conv_transpose2d, stride=3, dilation=2, output_padding=2),
        (rand(2, 4, 5, 6), rand(4, 3, 3, 2), rand(3)),
    ),
    Case(
        "transposed2d-half",
        _layer(nn.ConvTranspose2d(4, 6, 3, stride=2)).half(),
        rand(2, 4, 5, 6, dtype=torch.float16),
    ),
    Case(
        "transposed2d-crops-all",
        _layer(nn.ConvTranspose2d(4, 6, 2, stride=2, padding=3)).bfloat16(),
        rand(2, 4, 9, 9, dtype=torch.bfloat16),
    ),
    Case(
        "transposed2d-bfloat16",
        _layer(nn.ConvTranspose2d(4, 6, 3, stride=2)).bfloat16(),
        rand(2, 4, 5, 6, dtype=torch.bfloat16),
    ),
    Case(
        "transposed2d-depthwise-bfloat16",
        _layer(nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1, groups=8)).bfloat16(),
        rand(2, 8, 5, 6, dtype=torch.bfloat16),
    ),
    Case(
        "transposed2d-dynamic",
        _layer(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1)),
        rand(2, 4, 9, 8),
        _DYNAMIC,
        _OTHER_IMAGES,
    ),
    Case(
        "transposed1d-counted-channels",
        _CountedChannels(nn.ConvTranspose1d(4, 6, 3, stride=2)),
        rand(2, 4, 9),
        {"x": {0: (1, 2, 5), 2: (4, 9, 12)}},
        [rand(1, 4, 4), rand(5, 4, 12)],
    ),
    Case(
        "transposed2d-counted-channels",
        _CountedChannels(nn.ConvTranspose2d(4, 6, 3, stride=2)),
        rand(2, 4, 9, 8),
        {"x": {0: (1, 2, 5)}},
        [rand(1, 4, 9, 8), rand(5, 4, 9, 8)],
    ),
    Case("transposed3d", _layer(nn.ConvTranspose3d(4, 2, 3, stride=2, padding=1)), rand(2, 4, 3, 4, 5)),
    Case("transposed3d-touching", _layer(nn.ConvTranspose3d(4, 2, 2, stride=2)), rand(2, 4, 3, 4, 5)),
    Case(
        "transposed3d-run-time",
        _run_time(F.conv_transpose3d, stride=(2, 1, 2), padding=(1, 0, 2), output_padding=(1, 0, 0), groups=2),
        (rand(1, 4, 3, 4, 5), rand(4, 3, 3, 2, 2), rand(6)),
    ),
    Case("transposed3d-plain", _layer(nn.ConvTranspose3d(4, 2, 3, dilation=(1, 2, 1))), rand(2, 4, 3, 4, 5)),
    Case("scripted1d", _inside_trace(_scripted_conv1d), (rand(2, 4, 9), rand(6, 4, 3))),
    Case("scripted1d-unbatched", _inside_trace(_scripted_conv1d), (rand(4, 9), rand(6, 4, 3))),
    Case("scripted2d-unbatched", _inside_trace(_scripted_transposed2d), (rand(4, 5, 6), rand(4, 6, 3, 3))),
    Case("scripted2d", _inside_trace(_scripted_conv2d), (rand(2, 4, 9, 8), rand(6, 4, 3, 3))),
    Case("scripted3d", _inside_trace(_scripted_conv3d), (rand(2, 2, 4, 5, 6), rand(3, 2, 3, 3, 3))),
    Case("scripted-transposed1d", _inside_trace(_scripted_transposed1d), (rand(2, 4, 9), rand(4, 6, 3))),
    Case("scripted-transposed2d", _inside_trace(_scripted_transposed2d), (rand(2, 4, 5, 6), rand(4, 6, 3, 3))),
    Case("scripted-transposed3d", _inside_trace(_scripted_transposed3d), (rand(1, 2, 3, 4, 5), rand(2, 3, 3, 3, 3))),
    Case("scripted-convolution", _inside_trace(_scripted_plain), (rand(2, 4, 9, 8), rand(6, 4, 3, 3))),
    Case("convolution-deprecated", _deprecated, (rand(2, 4, 9, 8), rand(6, 4, 3, 3))),
    Case("thnn_conv2d", _thnn, (rand(2, 4, 9, 8), rand(6, 4, 3, 3), rand(6))),
    Case("slow_conv3d", _slow3d, (rand(1, 2, 4, 7, 6), rand(3, 2, 2, 3, 3), rand(3))),
    Case("conv_tbc", _TimeFirst(), rand(9, 2, 4)),
    # Products of frames, and the phases of transposed convolutions with a stride.
    Case("framed-groups", _long(nn.Conv1d(64, 32, 35, padding=17, groups=2)), rand(2, 64, 30)),
    Case("framed-groups-unbatched", _long(nn.Conv1d(64, 32, 36, padding="same", groups=2)), rand(64, 30)),
    Case(
        "framed-groups-half",
        _long(nn.Conv1d(64, 32, 35, groups=4, bias=False)).half(),
        rand(2, 64, 40, dtype=torch.float16),
        rtol=1e-2,
        atol=1e-2,
    ),
    Case(
        "framed-groups-dynamic",
        _long(nn.Conv1d(32, 64, 33, padding=16, groups=2)),
        {"input": rand(2, 32, 30)},
        {"input": {0: (1, 2, 3), 2: (1, 30, 50)}},
        [{"input": rand(1, 32, 1)}, {"input": rand(3, 32, 41)}],
    ),
    Case(
        "framed-groups-counted-channels",
        _CountedChannels(nn.Conv1d(32, 64, 33, padding=16, groups=2)),
        rand(2, 32, 9),
        {"x": {0: (1, 2, 5), 2: (4, 9, 12)}},
        [rand(1, 32, 4), rand(5, 32, 12)],
    ),
    Case("framed-one-channel", _long(nn.Conv1d(1, 512, 10, stride=5, padding=3)), rand(1, 1, 42000)),
    Case("framed-one-channel-unbatched", _long(nn.Conv1d(1, 512, 8, stride=4, bias=False)), rand(1, 33000)),
    *(
        Case(f"framed-transposed-{name}", _long(nn.ConvTranspose1d(512, outputs, 32, **options)), rand(*shape))
        for name, outputs, options, shape in (
            ("plain", 1, {"stride": 8}, (2, 512, 5)),
            ("cut", 2, {"stride": 8, "padding": 5, "output_padding": 3}, (2, 512, 5)),
            ("longer", 1, {"stride": 8, "output_padding": 3}, (2, 512, 5)),
            ("unbatched", 1, {"stride": 40, "bias": False}, (512, 5)),
        )
    ),
    Case(
        "framed-transposed-dynamic",
        _long(nn.ConvTranspose1d(512, 1, 32, stride=16, padding=8)),
        {"input": rand(2, 512, 9)},
        {"input": {0: (1, 2, 3), 2: (1, 9, 12)}},
        [{"input": rand(1, 512, 1)}, {"input": rand(3, 512, 12)}],
    ),
    Case(
        "framed-transposed-counted-channels",
        _CountedChannels(nn.ConvTranspose1d(512, 1, 32, stride=16)),
        rand(2, 512, 9),
        {"x": {0: (1, 2, 5), 2: (4, 9, 12)}},
        [rand(1, 512, 4), rand(5, 512, 12)],
    ),
    *(
        Case(f"phases-{name}", _layer(layer), rand(*shape))
        for name, layer, shape in (
            ("1d", nn.ConvTranspose1d(4, 4, 5, stride=3, padding=1, output_padding=2, groups=4), (2, 4, 9)),
            ("2d", nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=4, bias=False), (2, 4, 5, 6)),
            ("uneven", nn.ConvTranspose2d(4, 4, (3, 5), stride=(1, 4), padding=(2, 0), groups=4), (2, 4, 5, 6)),
            ("gaps", nn.ConvTranspose2d(4, 4, 2, stride=3, groups=4), (2, 4, 5, 6)),
            ("beyond", nn.ConvTranspose2d(4, 4, 4, stride=2, output_padding=1, groups=4), (2, 4, 5, 6)),
            ("unbatched", nn.ConvTranspose2d(4, 4, 4, stride=2, groups=4), (4, 5, 6)),
            (
                "3d-groups",
                nn.ConvTranspose3d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
                (2, 4, 3, 4, 5),
            ),
            ("3d-beyond", nn.ConvTranspose3d(4, 2, 2, stride=2, output_padding=1), (2, 4, 3, 4, 5)),
        )
    ),
    Case(
        "phases-dynamic",
        _layer(nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=4)),
        rand(2, 4, 9, 8),
        _DYNAMIC,
        _OTHER_IMAGES,
    ),
    Case(
        "phases-counted-channels",
        _CountedChannels(nn.ConvTranspose2d(4, 4, 4, stride=2, groups=4)),
        rand(2, 4, 9, 8),
        {"x": {0: (1, 2, 5)}},
        [rand(1, 4, 9, 8), rand(5, 4, 9, 8)],
    ),
]
