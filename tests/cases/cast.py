"""Conversions of dtype, and ops that give a tensor as it is."""

import torch
import torch.nn.functional as F

from tests.harness import Case, rand

_I, _J, _B, _U, _H, _G, _F = (
    torch.int64,
    torch.int32,
    torch.bool,
    torch.uint8,
    torch.float16,
    torch.bfloat16,
    torch.float32,
)
_aten = torch.ops.aten
_FLOAT8 = torch.float8_e4m3fn
_FLOAT8_INPUT = torch.tensor([[448.0, 464, 464.1, -torch.inf], [torch.nan, 1e-3, 2**-10, -17.3]])
_NO_GPU = "" if torch.cuda.is_available() else "TensorRT for RTX builds quantisation where there is a GPU"
_DTYPES = (_F, _I, _J, _B, _H, _G)


def _to_all(x):
    return tuple(x.to(dtype) for dtype in (*_DTYPES, _U))


@torch.jit.script
def _scripted(x: torch.Tensor):
    moved = x.cpu() + 1, x.to(torch.device("cpu")) + 2, x.to("cpu", 5), x.to(torch.device("cpu"), 6) + 3
    kinds = x.to(5), x.to(non_blocking=True) + 4, x.to(x) + 5, x.to(x.half()), x.to(dtype=None) + 6, x.float() + 7
    return moved, kinds


@torch.jit.script
def _numbers(x: torch.Tensor):
    number = float(x.sum())
    count = float(x.size(0))
    large = float(bool(x.max() > 0.5))
    filled = float(bool(x.size(0)))
    return x * number + count, x + large + filled


def _autocast(x: torch.Tensor):
    with torch.autocast("cpu", dtype=_G):
        y = x @ torch.linspace(-1, 1, 12).reshape(4, 3)
        z = torch.softmax(y, -1) + y
    return z, z.float() @ torch.eye(3)


def _autocast_by_torchscript(x: torch.Tensor):
    cuda, cpu = x.is_cuda, not x.is_cuda
    dtypes = (_G, _H) if cuda else (_H, _G)
    half = _aten._autocast_to_reduced_precision(x, cuda, cpu, *dtypes)
    return (
        half,
        _aten._autocast_to_reduced_precision(x, True, True, *dtypes),
        _aten._autocast_to_reduced_precision(x, False, False, *dtypes),
        _aten._autocast_to_reduced_precision(x, cpu, cuda, *dtypes),
        _aten._autocast_to_full_precision(half, cuda, cpu),
        _aten._autocast_to_full_precision(half, cpu, cuda),
        _aten._autocast_to_full_precision(x, True, True),
    )


@torch.jit.script
def _implicit(x: torch.Tensor):
    return torch.add(x, float(x.sum().item()))


def _convolved(x: torch.Tensor):
    weight = torch.linspace(-1, 1, 2304).reshape(16, 16, 3, 3)
    return F.conv2d(x, weight.to(x.dtype), padding=1)


def _moved_products(x: torch.Tensor):
    image, product = _convolved(x), x @ x.transpose(2, 3)
    low = (_convolved(x.to(_G)).float() * 1.5).to(_G)
    before = image.permute(0, 2, 3, 1).to(_G), product.relu().transpose(1, 2).to(_G), image.flatten(1).sigmoid().to(_G)
    after = (image * 0.5).to(_G).flatten(1), product.to(_G).transpose(1, 2), low.flatten(1), image.to(_G)[:, 1:3]
    return *before, *after


CASES = [
    *(
        Case(f"{str(dtype).removeprefix('torch.')}", _to_all, rand(3, 4, dtype=dtype, low=0, high=9))
        for dtype in (*_DTYPES, _U)
    ),
    Case("negative", lambda x: (x.to(_I), x.to(_J), x.to(_B), x.to(_H)), rand(30, low=-9.0, high=9.0)),
    Case("nan-to-bool", lambda x: x.to(_B), torch.tensor([float("nan"), 0.0, -0.0, 0.4, float("inf")])),
    Case("wraps", lambda x: (x.to(_J), x.to(_U)), torch.tensor([2**31, -1, 256, 300, 2**40 + 7, -(2**31) - 1])),
    Case("scalar", _to_all, rand(low=0.0)),
    Case("empty", lambda x: x.to(_H), rand(0, 3)),
    Case("device", lambda x: (x.to("cpu", _H), x.to("cpu"), x.to(device="cpu", dtype=_H, copy=True)), rand(3, 4)),
    Case("other", lambda x, y: (x.to(y), x.type_as(y)), (rand(3, 4), rand(3, dtype=_H))),
    Case("methods", lambda x: (x.int(), x.long(), x.half(), x.bool(), x.byte(), x.bfloat16()), rand(3, 4, low=0.0)),
    Case("_to_copy", lambda x: (_aten._to_copy(x), _aten._to_copy(x, dtype=_H)), rand(3, 4)),
    Case(
        "same", lambda x: (x.clone(), x.detach(), x.contiguous(), x.alias() if hasattr(x, "alias") else x), rand(3, 4)
    ),
    Case("alias", lambda x: (_aten.alias(x), _aten.alias_copy(x), _aten.detach_copy(x), _aten.positive(x)), rand(3, 4)),
    Case("real", lambda x: (_aten.real(x), _aten.resolve_conj(x), _aten.resolve_neg(x)), rand(3, 4)),
    Case("conj", lambda x: (_aten.conj(x), torch.conj_physical(x)), rand(3, 4)),
    Case("lift", lambda x: (_aten.lift(x), _aten.lift_fresh(x), _aten.lift_fresh_copy(x)), rand(3, 4)),
    Case("scripted", _scripted, rand(3, 4)),
    Case("numbers", _numbers, {"x": rand(3, 2)}, {"x": {0: (1, 3, 8)}}, [{"x": rand(2, 2)}, {"x": rand(5, 2)}]),
    Case("autocast", _autocast, rand(3, 4), {"x": {0: (1, 3, 8)}}, [rand(2, 4), rand(5, 4)], rtol=1e-2),
    Case("moved-products", _moved_products, rand(2, 16, 12, 12), rtol=2e-2, atol=2e-2),
    Case("autocast-by-torchscript", _autocast_by_torchscript, rand(3, 4)),
    Case("implicit", _implicit, rand(3, 2)),
    Case(
        "dynamic",
        _to_all,
        {"x": rand(2, 3, low=0.0)},
        {"x": {0: (1, 2, 8)}},
        [{"x": rand(5, 3, low=0.0)}, {"x": rand(1, 3, low=0.0)}],
    ),
    *(
        Case(f"float8-{name}", function, _FLOAT8_INPUT, unbuilt=_NO_GPU)
        for name, function in (
            ("back", lambda x: x.to(_FLOAT8).float()),
            ("half", lambda x: x.half().to(_FLOAT8).half()),
            ("integers", lambda x: x.nan_to_num(3).clamp(-99, 99).long().to(_FLOAT8).long()),
            ("scalar", lambda x: x[0, 1].to(_FLOAT8).float()),
            ("moved", lambda x: torch.cat([x.to(_FLOAT8).reshape(4, 2), x[:, :2].to(_FLOAT8)]).t().float()),
        )
    ),
    Case(
        "float8-dynamic",
        lambda x: x.to(_FLOAT8).float(),
        {"x": _FLOAT8_INPUT},
        {"x": {0: (1, 2, 8)}},
        [{"x": _FLOAT8_INPUT[1:]}, {"x": _FLOAT8_INPUT.repeat(3, 1)}],
        unbuilt=_NO_GPU,
    ),
]
