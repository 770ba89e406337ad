#include <algorithm>
#include <vector>

#include "../common/dispatch.h"
#include "query.h"

namespace t2t {

Error ms_deform_attn_check(MsDeformAttn const& op) {
    if (op.batch < 0 || op.length < 0 || op.heads < 0 || op.channels < 0 || op.queries < 0 || op.levels < 0 ||
        op.points < 0) {
        return "a size is negative";
    }
    if (op.length > INT32_MAX) {
        return "value may have 2^31 - 1 rows at most";
    }
    int64_t const most = INT32_MAX / 8;
    auto const fit = [&](int64_t left, int64_t right) { return right == 0 || left <= most / right; };
    bool const all_fit = fit(op.heads, op.channels) && fit(op.levels, op.points) &&
                         fit(op.heads, op.levels * op.points);
    return all_fit ? nullptr : "heads times channels and heads times places may be 2^28 - 1 at most";
}

Error ms_deform_attn_check_levels(MsDeformAttn const& op, void const* spatial_shapes, void const* level_start_index) {
    return with_index(op.index_type, [&](auto type) -> Error {
        using I = decltype(type);
        for (int64_t level = 0; level < op.levels; ++level) {
            if (!level_of(op, static_cast<I const*>(spatial_shapes), static_cast<I const*>(level_start_index), level)
                     .valid) {
                return "a level of spatial_shapes and level_start_index does not lie within value";
            }
        }
        return nullptr;
    });
}

int64_t ms_deform_attn_items(MsDeformAttn const& op) {
    return op.channels == 0 ? 0 : op.batch * op.queries * op.heads;
}

void ms_deform_attn_cpu(MsDeformAttn const& op, MsDeformAttnData const& data, int64_t begin, int64_t end) {
    with_type(op.dtype, [&](auto type) {
        using T = decltype(type);
        with_index(op.index_type, [&](auto index_type) {
            using I = decltype(index_type);
            int64_t const places = op.levels * op.points;
            std::vector<float> sums(static_cast<size_t>(op.channels));
            for (int64_t item = begin; item < end; ++item) {
                int64_t const head = item % op.heads, image = item / (op.heads * op.queries);
                std::fill(sums.begin(), sums.end(), 0.0f);
                T const* value = static_cast<T const*>(data.value) +
                                 (image * op.length * op.heads + head) * op.channels;
                T const* location = static_cast<T const*>(data.sampling_locations) + item * places * 2;
                T const* weight = static_cast<T const*>(data.attention_weights) + item * places;
                for (int64_t place = 0; place < places; ++place, location += 2, ++weight) {
                    Level const level = level_of(op, static_cast<I const*>(data.spatial_shapes),
                                                 static_cast<I const*>(data.level_start_index), place / op.points);
                    Reads const reads =
                        reads_of(op, level, to_float(location[0]), to_float(location[1]), to_float(*weight));
                    for (int corner = 0; corner < 4; ++corner) {
                        if (reads.rows[corner] < 0) {
                            continue;
                        }
                        T const* from = value + int64_t(reads.rows[corner]) * op.heads * op.channels;
                        for (int64_t channel = 0; channel < op.channels; ++channel) {
                            sums[channel] += reads.weights[corner] * to_float(from[channel]);
                        }
                    }
                }
                for (int64_t channel = 0; channel < op.channels; ++channel) {
                    static_cast<T*>(data.output)[item * op.channels + channel] = from_float<T>(sums[channel]);
                }
            }
        });
    });
}

}  // namespace t2t
