#include "../kernels/scatter_reduce/scatter_reduce.h"

#include "common.h"

namespace t2t::torch_ops {
namespace {

constexpr char kScatter[] = "torch2trt::scatter_reduce";

Reduction reduction_of(std::string_view name) {
    constexpr std::string_view names[] = {"sum", "prod", "mean", "amax", "amin"};
    for (int number = 0; number < 5; ++number) {
        if (name == names[number]) {
            return Reduction(number);
        }
    }
    TORCH_CHECK(false, kScatter, ": reduce must be sum, prod, mean, amax or amin, got ", name);
}

void copy_shape(at::Tensor const& tensor, int64_t (&shape)[kMaxRank]) {
    shape[0] = 1;
    for (int64_t axis = 0; axis < tensor.dim(); ++axis) {
        shape[axis] = tensor.size(axis);
    }
}

at::Tensor scatter_reduce(at::Tensor const& self, int64_t dim, at::Tensor const& index, at::Tensor const& src,
                          std::string_view reduce, bool include_self) {
    check_like(kScatter, "index", index, self, false);
    check_like(kScatter, "src", src, self);
    int64_t const rank = std::max<int64_t>(self.dim(), 1);
    TORCH_CHECK(rank <= kMaxRank, kScatter, " takes ", kMaxRank, " axes at most, got shape ", self.sizes());
    TORCH_CHECK(std::max<int64_t>(index.dim(), 1) == rank && std::max<int64_t>(src.dim(), 1) == rank, kScatter,
                ": self, index and src must have as many axes, got shapes ", self.sizes(), ", ", index.sizes(), ", ",
                src.sizes());
    TORCH_CHECK(dim >= -rank && dim < rank, kScatter, ": dim ", dim, " is out of range for shape ", self.sizes());
    ScatterReduce op{};
    op.dtype = dtype_of(kScatter, self);
    op.index_type = index_type_of(kScatter, index);
    op.rank = int32_t(rank);
    op.dim = int32_t(dim < 0 ? dim + rank : dim);
    op.reduction = reduction_of(reduce);
    op.include_self = include_self;
    copy_shape(self, op.self_shape);
    copy_shape(index, op.index_shape);
    copy_shape(src, op.src_shape);
    check(kScatter, scatter_reduce_check(op));

    at::Tensor const selves = self.contiguous(), indices = index.contiguous(), sources = src.contiguous();
    at::Tensor output = at::empty(self.sizes(), self.options());
    ScatterReduceData const data{selves.const_data_ptr(), indices.const_data_ptr(), sources.const_data_ptr(),
                                 output.data_ptr()};
    if (self.is_cpu()) {
        check(kScatter, scatter_reduce_check_index(op, data.index));
    }
    run(
        kScatter, self, scatter_reduce_items(op), 16, scatter_reduce_workspace(op),
        [&](int64_t begin, int64_t end) { scatter_reduce_cpu(op, data, begin, end); },
        [&](void* workspace, Stream stream) { return scatter_reduce_cuda(op, data, workspace, stream); });
    return output;
}

at::Tensor scatter_reduce_meta(at::Tensor const& self, int64_t, at::Tensor const&, at::Tensor const&,
                               std::string_view, bool) {
    return at::empty_symint(self.sym_sizes(), self.options());
}

}  // namespace

T2T_IMPLEMENT("scatter_reduce", scatter_reduce, scatter_reduce_meta)

}  // namespace t2t::torch_ops
