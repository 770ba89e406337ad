"""What handlers build with. Only this package calls ``network.add_*``."""

from .adaptive import adaptive_average_pool, adaptive_max_pool
from .arithmetic import (
    absolute,
    all_true,
    copy_sign,
    either,
    extremum,
    extremum_of_numbers,
    floored_quotient,
    fmod,
    full_like,
    is_nan,
    negative,
    power,
    remainder,
    sign_of,
    truncated,
    truncated_quotient,
)
from .attention import attention, causal_mask
from .bags import bags, embedding_bag, renormed_rows
from .bits import bitwise, shift
from .constants import constant, layer_weights
from .control import Conditional, Loop, assertion, scalar
from .convolution import convolution, transposed_convolution
from .counting import binned, check_pairs, insertion_points, is_among, runs
from .ctc import alignment_loss
from .cumulative import cumulative_sum, running_extreme, running_log_sum_exp, running_product, scan_doubling
from .deformable import CostVolume, cost_volume, deformable_attention
from .detection import deformed_convolution, non_maximum_suppression
from .dims import (
    Dim,
    Shape,
    all_known,
    as_dim,
    axes_mask,
    axes_of,
    axis_of,
    dim_add,
    dim_floordiv,
    dim_max,
    dim_min,
    dim_mul,
    dim_product,
    dim_sub,
    expand_list,
    is_static,
    known_ints,
    rank_of,
    shape_of,
    shape_tensor,
    size_of,
    static_shape,
)
from .distance import MATRIX_SIZE, cosine, euclidean_by_product, pairwise_distance, reduced_loss, vector_norm
from .dtypes import Tensor, cast, dtype_of, held_dtype, is_bool, is_float, promote, promoted, result_type, tensor
from .exponents import mantissa_and_exponent, next_after
from .fill import counting, filled, range_count
from .folding import fold, frames, overlap_add, unfold
from .functions import (
    atan2,
    clamp,
    clip,
    expm1,
    greatest_divisor,
    hypot,
    log1p,
    log2,
    log_sigmoid,
    log_softmax,
    logaddexp,
    softplus,
    vanishing_product,
)
from .indexing import carries_bytes, index_per_axis, indexed, is_mask, joined, nonzero, readable, result_shape, wrapped
from .math import (
    activation,
    add,
    binary,
    compare,
    compute_in_float32,
    elementwise,
    gather,
    gather_elements,
    identity,
    in_float32,
    logical,
    logical_not,
    mul,
    reduce,
    scatter_elements,
    scatter_nd,
    softmax,
    sub,
    to_float,
    topk,
    true_divide,
    unary,
    where,
)
from .moving import (
    along_axis,
    at_least_3d,
    axes_back,
    axes_last,
    band_mask,
    clamped,
    computes_bytes,
    diagonal,
    diagonal_mask,
    dim_remainder,
    dim_sum,
    empty_result,
    gather_known,
    iota,
    is_empty,
    known_if_empty,
    moves_bytes,
    on_diagonal,
    overlay,
    padded,
    split_at,
    take,
    traced_device,
    traced_dtype,
    traced_rank,
    traced_sizes,
    unsqueezed,
    wrap_index,
    wrapped_window,
)
from .network import MAX_RANK, add_layer, add_layer_object, enum
from .normalization import (
    group_normalization,
    moments,
    normalization,
    normalize_batch,
    per_channel,
    rms_normalization,
    running_statistics,
    scale_batch,
    weight_normalization,
)
from .padding import pad
from .plugin import PluginName, plugin_layer
from .pointwise import (
    arithmetic,
    as_float32,
    choose,
    computable,
    convert,
    float_function,
    is_half,
    is_integer,
    is_number,
    number_like,
    scaled,
    to_uint8,
    widened,
)
from .pooling import average_pool, max_pool, max_pool_with_indices, pool_by_sizes, windows
from .product import contract, linear, product
from .quantization import dequantize, fake_quantize, fake_quantize_float8, in_range, quantize
from .random import LARGEST_RANGE, channels, dropped, exponential, kept, normal, require_random, uniform
from .reduction import (
    NOWHERE,
    accumulated,
    arg_extreme,
    axis_or_all,
    count_of,
    extreme,
    first_true,
    flat,
    full_result,
    holds,
    log_sum_exp,
    places,
    reduced_shape,
    reduces_nothing,
    sum_dtype,
    variance,
)
from .regions import Regions, channel_mapping, ps_roi_align, ps_roi_pool, roi_align, roi_pool
from .resize import resize, resize_smoothed
from .sampling import (
    axis_steps,
    clipped,
    gather_batch,
    linear_places,
    nearest_places,
    reflected,
    sample,
    unnormalized,
)
from .scan import scan
from .scattering import (
    REDUCTIONS,
    compaction,
    masked_values,
    scatter_reduced,
    scatter_sum,
)
from .shape import (
    align_ranks,
    broadcast_shape,
    clamp_index,
    concatenate,
    expand,
    flatten,
    pad_rank,
    permute,
    rearrange,
    reshape,
    slice_axis,
    slice_bounds,
    split_sizes,
    squeeze,
    strided_slice,
    swap_axes,
    unsqueeze,
)
from .sorting import interpolated, most_frequent, order_along, sorted_along
from .tf32 import full_matmul
from .unpooling import fractional_max_pool, max_pool_backward, max_unpool
from .whole import chosen_where, is_known, positions, remainder_and_quotient, shaped, whole
from .whole_convolution import whole_convolution, whole_transposed_convolution
