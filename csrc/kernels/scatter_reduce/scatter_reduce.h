// Elements reduced into the places that an index names, duplicates and all: aten::scatter_reduce.two.
#pragma once

#include "../common/api.h"

namespace t2t {

enum class Reduction : int32_t { Sum, Prod, Mean, Amax, Amin };

constexpr int kMaxRank = 8;

struct ScatterReduce {
    DType dtype;
    IndexType index_type;
    int32_t rank, dim;  // a 0-d tensor counts as one of shape (1)
    int64_t self_shape[kMaxRank], index_shape[kMaxRank], src_shape[kMaxRank];
    Reduction reduction;
    bool include_self;
};

struct ScatterReduceData {
    void const* self;
    void const* index;
    void const* src;
    void* output;
};

Error scatter_reduce_check(ScatterReduce const& op);
// Why an element of index is out of range; index must be host memory.
Error scatter_reduce_check_index(ScatterReduce const& op, void const* index);
// Lines of self along dim.
int64_t scatter_reduce_items(ScatterReduce const& op);
// An index out of range makes NaN of the line that it would have written to.
void scatter_reduce_cpu(ScatterReduce const& op, ScatterReduceData const& data, int64_t begin, int64_t end);
size_t scatter_reduce_workspace(ScatterReduce const& op);
// An index out of range makes NaN of the line that it would have written to. Sums are added in no fixed order.
Error scatter_reduce_cuda(ScatterReduce const& op, ScatterReduceData const& data, void* workspace, Stream stream);

}  // namespace t2t
