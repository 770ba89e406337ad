"""torchvision's operators."""

from typing import Any

import torch
from torchvision import ops

from tests.harness import Case, rand

_NO_NMS = "TensorRT for RTX has no kernel for the NMS layer"


def _boxes(count: int, size: float = 20.0) -> torch.Tensor:
    corner = rand(count, 2, low=0, high=size * 0.7)
    return torch.cat((corner, corner + rand(count, 2, low=0.5, high=size * 0.6)), 1)


def _rois(count: int, images: int = 2, size: float = 20.0) -> torch.Tensor:
    return torch.cat((rand(count, 1, low=0, high=images).floor(), _boxes(count, size)), 1)


def _nms(boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    return ops.nms(boxes, scores, 0.4)


def _nms_of_positive(boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    keep = torch.nonzero(scores > 0)[:, 0]
    return keep[ops.nms(boxes[keep], scores[keep], 0.4)]


def _tied(count: int) -> torch.Tensor:
    return rand(count, low=0, high=4).floor() / 4 - 0.5


def _roi_align(ratio: int, aligned: bool, scale: float = 0.5) -> Any:
    def function(x: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        return ops.roi_align(x, rois, (3, 2), scale, ratio, aligned)

    return function


def _known_rois(x: torch.Tensor) -> torch.Tensor:
    rois = torch.tensor([[0.0, 1.0, 2.0, 7.0, 9.0], [1.0, 0.0, 0.5, 6.0, 7.5]])
    return ops.roi_align(x, rois, (3, 3), 1.0, -1, True)


def _ps_roi_align(x: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
    return ops.ps_roi_align(x, rois, (2, 3), 0.5, 2)


def _ps_mapping(x: torch.Tensor, rois: torch.Tensor) -> Any:
    return torch.ops.torchvision.ps_roi_align(x, rois, 0.5, 2, 3, 2)


def _roi_pool(x: torch.Tensor, rois: torch.Tensor) -> Any:
    return torch.ops.torchvision.roi_pool(x, rois, 0.5, 3, 2)


def _ps_roi_pool(x: torch.Tensor, rois: torch.Tensor) -> Any:
    return torch.ops.torchvision.ps_roi_pool(x, rois, 0.5, 2, 3)


def _deform(**options: Any) -> Any:
    def function(
        x: torch.Tensor, offset: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        return ops.deform_conv2d(x, offset, weight, bias, mask=mask, **options)

    return function


class _DeformLayer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = ops.DeformConv2d(4, 6, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x, offset)
        return result


_DYNAMIC_ROIS = {"rois": {0: (1, 5, 16)}}
_OUTSIDE = torch.tensor([[0, -30.0, -30.0, -5.0, -5.0], [1, 30.0, 2.0, 60.0, 8.0], [0, 5.0, 5.0, 4.0, 3.0]])

CASES = [
    Case("nms", _nms, (_boxes(20), rand(20)), unbuilt=_NO_NMS),
    Case("nms-ties", _nms, (_boxes(30), _tied(30)), unbuilt=_NO_NMS),
    Case(
        "nms-dynamic",
        _nms,
        (_boxes(12), _tied(12)),
        dynamic={"boxes": {0: ("n", 1, 12, 50)}, "scores": {0: "n"}},
        others=[(_boxes(40), _tied(40)), (_boxes(1), rand(1))],
        unbuilt=_NO_NMS,
    ),
    Case("nms-many", _nms, (_boxes(5400, 2000.0), _tied(5400)), unbuilt=_NO_NMS),
    Case(
        "nms-many-dynamic",
        _nms_of_positive,
        (_boxes(5400, 2000.0), rand(5400, low=0.1)),
        unbuilt=_NO_NMS,
    ),
    Case("roi_align", _roi_align(2, False), (rand(2, 3, 10, 12), _rois(5))),
    Case("roi_align-aligned", _roi_align(2, True), (rand(2, 3, 10, 12), _rois(5))),
    Case("roi_align-outside", _roi_align(3, True, 1.0), (rand(2, 3, 10, 12), _OUTSIDE)),
    Case("roi_align-inverted", _roi_align(1, False, 1.0), (rand(2, 3, 10, 12), _OUTSIDE)),
    Case("roi_align-known", _known_rois, rand(2, 3, 10, 12)),
    Case(
        "roi_align-dynamic",
        _roi_align(2, False),
        (rand(2, 3, 10, 12), _rois(5)),
        dynamic={"x": {0: (1, 2, 3), 2: (8, 10, 20), 3: (8, 12, 20)}, **_DYNAMIC_ROIS},
        others=[(rand(1, 3, 16, 9), _rois(1, 1)), (rand(3, 3, 8, 20), _rois(11, 3))],
    ),
    Case("ps_roi_align", _ps_roi_align, (rand(2, 12, 10, 12), _rois(5))),
    Case("ps_roi_align-mapping", _ps_mapping, (rand(2, 12, 10, 12), _rois(4))),
    Case(
        "ps_roi_align-dynamic",
        _ps_roi_align,
        (rand(2, 12, 10, 12), _rois(5)),
        dynamic={"x": {0: (1, 2, 3), 2: (8, 10, 20)}, **_DYNAMIC_ROIS},
        others=[(rand(1, 12, 16, 12), _rois(1, 1)), (rand(3, 12, 8, 12), _rois(11, 3))],
    ),
    Case("roi_pool", _roi_pool, (rand(2, 3, 10, 12), _rois(5))),
    Case("roi_pool-outside", _roi_pool, (rand(2, 3, 10, 12), _OUTSIDE)),
    Case("roi_pool-single", _roi_pool, (rand(1, 3, 10, 12), _rois(4, 1))),
    Case(
        "roi_pool-dynamic",
        _roi_pool,
        (rand(2, 3, 10, 12), _rois(5)),
        dynamic={"x": {0: (1, 2, 3), 3: (8, 12, 20)}, **_DYNAMIC_ROIS},
        others=[(rand(2, 3, 10, 9), _rois(1, 1)), (rand(3, 3, 10, 20), _rois(11, 3))],
    ),
    Case("ps_roi_pool", _ps_roi_pool, (rand(2, 12, 10, 12), _rois(5))),
    Case("ps_roi_pool-outside", _ps_roi_pool, (rand(2, 12, 10, 12), _OUTSIDE)),
    Case(
        "deform_conv2d",
        _deform(padding=(1, 0), dilation=(1, 1)),
        (rand(2, 4, 7, 7), rand(2, 12, 7, 6), rand(6, 4, 3, 2), rand(6), rand(2, 6, 7, 6)),
    ),
    Case(
        "deform_conv2d-groups",
        _deform(padding=(1, 1), stride=(2, 2), dilation=(1, 2)),
        (rand(2, 4, 7, 7), rand(2, 24, 4, 4), rand(6, 2, 3, 2), rand(6), rand(2, 12, 4, 4)),
    ),
    Case("deform_conv2d-layer", _DeformLayer().eval(), (rand(2, 4, 8, 8), rand(2, 18, 4, 4))),
    Case(
        "deform_conv2d-dynamic",
        _DeformLayer().eval(),
        (rand(2, 4, 8, 8), rand(2, 18, 4, 4)),
        dynamic={
            "x": {0: ("n", 1, 2, 4), 2: (4, 8, 16)},
            "offset": {0: "n", 2: (2, 4, 8)},
        },
        others=[(rand(1, 4, 12, 8), rand(1, 18, 6, 4)), (rand(3, 4, 6, 8), rand(3, 18, 3, 4))],
    ),
]
