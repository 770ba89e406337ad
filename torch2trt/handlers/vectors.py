"""Singular and eigenvectors, in float32: converted with ``allow_other_signs=True``; singular ones of static sizes.

Their signs are open, and so is the basis of those of equal values: PyTorch's own are others on a CPU than on a GPU.
"""

from __future__ import annotations

from typing import Any

import torch

from .. import emit
from ..context import building
from ..emit import Tensor, matrix, spectrum
from ..errors import UnsupportedArgumentError
from ..registry import op


def _require_allowed(what: str) -> None:
    if not building().allow_other_signs:
        raise UnsupportedArgumentError(
            f"{what} have no definite sign, nor a definite basis for equal values, so that an engine's would differ "
            "from PyTorch's",
            hint="allow_other_signs=True converts them all the same, where the result does not depend on the choice; "
            "torch.linalg.svdvals and eigvalsh, the values alone, convert anyway",
        )


def _svd(value: Tensor, full: bool) -> tuple[Any, Any, Any]:
    _require_allowed("singular vectors")
    return spectrum.singular_decomposition(value, full)


@op("aten::linalg_svd")
@emit.known_if_empty
def aten_linalg_svd(A: Tensor, full_matrices: bool = True, driver: str | None = None) -> Any:
    """``linalg_svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)``.

    Needs ``allow_other_signs=True``.
    """
    return _svd(A, full_matrices)


@op("aten::_linalg_svd")
@emit.known_if_empty
def aten__linalg_svd(A: Tensor, full_matrices: bool = False, compute_uv: bool = True, driver: str | None = None) -> Any:
    """``_linalg_svd(Tensor A, bool full_matrices=False, bool compute_uv=True, ...) -> (Tensor U, S, Vh)``.

    Vectors need ``allow_other_signs=True``; without them their tensors are empty.
    """
    if compute_uv:
        return _svd(A, full_matrices)
    return torch.empty(0), spectrum.singular_values(A), torch.empty(0)


@op("aten::svd")
@emit.known_if_empty
def aten_svd(self: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """``svd(Tensor self, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)``.

    Vectors need ``allow_other_signs=True``; without them their tensors are zeros.
    """
    if compute_uv:
        left, values, right = _svd(self, not some)
        return left, values, matrix.transposed(right)
    *lead, rows, columns = emit.shape_of(self)
    none = [emit.expand(matrix.ZERO, [*lead, size, size]) for size in (rows, columns)]
    return none[0], spectrum.singular_values(self), none[1]


def _eigh(value: Tensor, uplo: str) -> tuple[Any, Any]:
    _require_allowed("eigenvectors")
    return spectrum.symmetric_decomposition(matrix.symmetric(value, uplo))


@op("aten::linalg_eigh")
@emit.known_if_empty
def aten_linalg_eigh(self: Tensor, UPLO: str = "L") -> Any:
    """``linalg_eigh(Tensor self, str UPLO="L") -> (Tensor eigenvalues, Tensor eigenvectors)``.

    Needs ``allow_other_signs=True``.
    """
    return _eigh(self, UPLO)


@op("aten::_linalg_eigh")
@emit.known_if_empty
def aten__linalg_eigh(A: Tensor, UPLO: str = "L", compute_v: bool = True) -> Any:
    """``_linalg_eigh(Tensor A, str UPLO="L", bool compute_v=True) -> (Tensor eigenvalues, Tensor eigenvectors)``.

    Vectors need ``allow_other_signs=True``; without them their tensor is empty.
    """
    if compute_v:
        return _eigh(A, UPLO)
    return spectrum.symmetric_eigenvalues(matrix.symmetric(A, UPLO)), torch.empty(0)
