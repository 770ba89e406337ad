"""Why ops have no handler, for errors and for the table of ops."""

from __future__ import annotations

_NONSYMMETRIC = "eigenvalues of matrices that are not symmetric take an iteration of unknown length and are complex"
_SPARSE = "TensorRT has no sparse tensors; use dense ones"
_NESTED = "TensorRT has no nested tensors; use padded ones"
_HASH = "its result is uint64, which TensorRT does not have"
_QUANTISED = "TensorRT has no quantised tensors: they convert where dequantize() follows at once, of quint8 or qint8"

REASONS = {
    "aten::quantize_per_tensor": _QUANTISED,
    "aten::quantize_per_channel": _QUANTISED,
    "aten::quantize_per_tensor_dynamic": _QUANTISED,
    "aten::dequantize": _QUANTISED,
    "aten::linalg_eig": _NONSYMMETRIC,
    "aten::linalg_eigvals": _NONSYMMETRIC,
    "aten::_linalg_eigvals": _NONSYMMETRIC,
    "aten::hash_tensor": _HASH,
    "aten::to_sparse": _SPARSE,
    "aten::to_sparse_csr": _SPARSE,
    "aten::to_sparse_csc": _SPARSE,
    "aten::to_sparse_bsr": _SPARSE,
    "aten::to_sparse_bsc": _SPARSE,
    "aten::to_dense": _SPARSE,
    "aten::sparse_coo_tensor": _SPARSE,
    "aten::sparse_compressed_tensor": _SPARSE,
    "aten::sparse_csr_tensor": _SPARSE,
    "aten::sparse_mask": _SPARSE,
    "aten::sparse_sampled_addmm": _SPARSE,
    "aten::sspaddmm": _SPARSE,
    "aten::_sparse_mm": _SPARSE,
    "aten::_sparse_mm_reduce_impl": _SPARSE,
    "aten::_sparse_sum": _SPARSE,
    "aten::_sparse_softmax": _SPARSE,
    "aten::_sparse_log_softmax": _SPARSE,
    "aten::_sparse_semi_structured_linear": _SPARSE,
    "aten::_sparse_semi_structured_mm": _SPARSE,
    "aten::_sparse_semi_structured_addmm": _SPARSE,
    "aten::_cslt_sparse_mm": _SPARSE,
    "aten::coalesce": _SPARSE,
    "aten::values": _SPARSE,
    "aten::indices": _SPARSE,
    "aten::crow_indices": _SPARSE,
    "aten::col_indices": _SPARSE,
    "aten::_nested_tensor_from_mask": _NESTED,
    "aten::_nested_tensor_from_tensor_list": _NESTED,
    "aten::nested_to_padded_tensor": _NESTED,
    "aten::to_padded_tensor": _NESTED,
}
"""For ops that are left out on purpose, why."""
