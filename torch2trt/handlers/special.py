"""Special functions, computed in float32; integers give the default float dtype."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from .. import emit
from ..emit import Tensor, bessel, gamma, orthogonal, special
from ..errors import UnsupportedArgumentError
from ..registry import op

# What torch calls it, and by which other names.
_FUNCTIONS: dict[tuple[str, ...], Callable[[Any], Any]] = {
    ("erfc",): special.erfc,
    ("special_erfcx",): special.erfcx,
    ("erfinv",): special.erfinv,
    ("special_ndtr",): special.ndtr,
    ("special_ndtri",): special.ndtri,
    ("special_log_ndtr",): special.log_ndtr,
    ("special_entr",): special.entr,
    ("lgamma",): special.lgamma,
    ("digamma",): special.digamma,
    ("i0", "special_modified_bessel_i0"): bessel.i0,
    ("special_i0e",): bessel.i0e,
    ("special_i1", "special_modified_bessel_i1"): bessel.i1,
    ("special_i1e",): bessel.i1e,
    ("special_modified_bessel_k0",): bessel.k0,
    ("special_modified_bessel_k1",): bessel.k1,
    ("special_scaled_modified_bessel_k0",): bessel.k0e,
    ("special_scaled_modified_bessel_k1",): bessel.k1e,
    ("special_bessel_j0",): bessel.j0,
    ("special_bessel_j1",): bessel.j1,
    ("special_bessel_y0",): bessel.y0,
    ("special_bessel_y1",): bessel.y1,
    ("special_spherical_bessel_j0",): bessel.spherical_j0,
    ("special_airy_ai",): bessel.airy,
}


def _of_two(function: Callable[[Any, Any], Any], left: Tensor, right: Tensor) -> Any:
    """``function`` of two in float32, in the float dtype that PyTorch promotes to."""
    dtype = emit.held_dtype(emit.result_type(left, right, to_float=True))
    # known numbers in the rank of the other: of 0-d constants TensorRT computes shapes
    values = emit.align_ranks([emit.cast(left, torch.float32), emit.cast(right, torch.float32)])
    return emit.cast(function(*values), dtype)


def _register(names: tuple[str, ...], function: Callable[[Any], Any]) -> None:
    def handler(self: Tensor) -> Any:
        return emit.in_float32(function, self)

    def handler_of_x(x: Tensor) -> Any:
        return emit.in_float32(function, x)

    takes_x = names[-1] in ("special_airy_ai", "special_spherical_bessel_j0") or "scaled" in names[-1]
    chosen = handler_of_x if takes_x else handler
    chosen.__doc__ = f"``{names[0]}(Tensor {'x' if takes_x else 'self'}) -> Tensor``: {function.__doc__}"
    op(*(f"aten::{name}" for name in names))(chosen)


for _names, _function in _FUNCTIONS.items():
    _register(_names, _function)


@op("aten::mvlgamma")
def aten_mvlgamma(self: Tensor, p: int) -> Any:
    """``mvlgamma(Tensor self, int p) -> Tensor``: the logarithm of the multivariate gamma function."""

    def function(value: Any) -> Any:
        total = None
        for place in range(p):
            part = special.lgamma(special.add(value, -place / 2) if place else value)
            total = part if total is None else emit.elementwise("SUM", total, part)
        return special.add(total, p * (p - 1) / 4 * math.log(math.pi))

    return emit.in_float32(function, self)


@op("aten::polygamma")
def aten_polygamma(self: Tensor, n: int) -> Any:
    """``polygamma(int n, Tensor self) -> Tensor``; orders up to 20."""
    if not 0 <= n <= 20:
        raise UnsupportedArgumentError(f"polygamma of order {n} leaves the range of float32", hint="stay below 21")
    return emit.in_float32(lambda value: special.polygamma(n, value), self)


@op("aten::igamma")
def aten_igamma(self: Tensor, other: Tensor) -> Any:
    """``igamma(Tensor self, Tensor other) -> Tensor``: the regularised lower incomplete gamma function."""
    return _of_two(lambda shape, value: gamma.incomplete_gamma(shape, value, upper=False), self, other)


@op("aten::igammac")
def aten_igammac(self: Tensor, other: Tensor) -> Any:
    """``igammac(Tensor self, Tensor other) -> Tensor``: the regularised upper incomplete gamma function."""
    return _of_two(lambda shape, value: gamma.incomplete_gamma(shape, value, upper=True), self, other)


@op("aten::special_zeta", "aten::special_zeta.self_scalar", "aten::special_zeta.other_scalar")
def aten_special_zeta(self: Tensor, other: Tensor) -> Any:
    """``special_zeta(Tensor self, Tensor other) -> Tensor``: Hurwitz's zeta; NaN for ``other`` below -23."""
    return _of_two(special.zeta, self, other)


def _register_polynomial(kind: str, shifted: bool) -> None:
    def polynomial(value: Any, degree: Any) -> Any:
        if shifted:
            value = special.affine(value, 2.0, -1.0)
        if isinstance(degree, int):
            return orthogonal.of_known_degree(kind, value, degree)
        if kind.startswith("chebyshev"):
            return orthogonal.chebyshev(kind, value, degree)
        return orthogonal.of_degree(kind, value, degree)

    def handler(x: Tensor, n: Tensor) -> Any:
        if isinstance(n, torch.Tensor) and n.dim() == 0:
            n = n.item()
        if isinstance(n, (int, float)):
            dtype = emit.held_dtype(emit.result_type(x, n, to_float=True))
            return emit.cast(polynomial(emit.as_float32(x), int(n)), dtype)
        return _of_two(lambda value, _: polynomial(value, orthogonal.whole(n)), x, n)

    name = f"special_{'shifted_' if shifted else ''}{kind}"
    handler.__doc__ = f"""``{name}(Tensor x, Tensor n) -> Tensor``; known degrees up to {orthogonal.HIGHEST}."""
    if not kind.startswith("chebyshev"):
        handler.__doc__ += " NaN for higher degrees in a tensor."
    op(f"aten::{name}", f"aten::{name}.x_scalar", f"aten::{name}.n_scalar")(handler)


for _kind in orthogonal.RECURRENCES:
    _register_polynomial(_kind, shifted=False)
    if _kind.startswith("chebyshev"):
        _register_polynomial(_kind, shifted=True)
