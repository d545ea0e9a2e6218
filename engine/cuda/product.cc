// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/cuda/product.cuh"

namespace pinboard::engine {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what cuBLAS takes on Hopper
constexpr std::size_t kMostPlans = 8192;  // prompts have many lengths; forgotten together

absl::Status ToStatus(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, ": cuBLASLt: ", cublasLtGetStatusString(status)));
}

std::string ToString(const ProductShape& shape) {
  return absl::StrCat("product of [", shape.rows, ", ", shape.inner, "] and [", shape.columns, ", ",
                      shape.inner, "]",
                      shape.batch > 1 ? absl::StrCat(" times ", shape.batch) : "");
}

/// log2 of the largest power of two, at most 256, that divides the address.
std::uint32_t Alignment(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return static_cast<std::uint32_t>(std::min(8, std::countr_zero(address | 256U)));
}

/// A row-major matrix is column-major with rows and columns exchanged.
absl::Status MakeLayout(cublasLtMatrixLayoutOpaque_t* layout, cudaDataType type, int rows,
                        int columns, int stride, int batch, std::int64_t batch_stride) {
  PB_RETURN_IF_ERROR(
      ToStatus(cublasLtMatrixLayoutInit(layout, type, static_cast<std::uint64_t>(columns),
                                        static_cast<std::uint64_t>(rows), stride),
               "matrix layout"));
  PB_RETURN_IF_ERROR(
      ToStatus(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                                sizeof(batch)),
               "batch count"));
  return ToStatus(
      cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                       &batch_stride, sizeof(batch_stride)),
      "batch stride");
}

/// Owned: made and asked once for each plan.
class Preference {
 public:
  Preference() { (void)cublasLtMatmulPreferenceInit(&preference_); }

  template <typename T>
  absl::Status Set(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    return ToStatus(
        cublasLtMatmulPreferenceSetAttribute(&preference_, attribute, &value, sizeof(value)),
        "preference");
  }
  cublasLtMatmulPreference_t get() { return &preference_; }

 private:
  cublasLtMatmulPreferenceOpaque_t preference_;
};

}  // namespace

absl::StatusOr<Products> Products::Create(cudaStream_t stream) {
  cublasLtHandle_t handle = nullptr;
  PB_RETURN_IF_ERROR(ToStatus(cublasLtCreate(&handle), "create a handle"));
  Handle owned(handle);
  PB_ASSIGN_OR_RETURN(auto workspace, cuda::DeviceBuffer<std::byte>::Make(kWorkspaceBytes));
  return Products(std::move(owned), std::move(workspace), stream);
}

absl::Status Products::Multiply(const ProductShape& shape, const std::uint16_t* in,
                                const std::uint16_t* weight, float* out) {
  const std::uint32_t alignments = Alignment(in) | Alignment(weight) << 8U | Alignment(out) << 16U;
  return Run({shape, CUDA_R_32F, alignments}, in, weight, out);
}

absl::Status Products::Multiply(const ProductShape& shape, const std::uint16_t* in,
                                const std::uint16_t* weight, std::uint16_t* out) {
  const std::uint32_t alignments = Alignment(in) | Alignment(weight) << 8U | Alignment(out) << 16U;
  return Run({shape, CUDA_R_16BF, alignments}, in, weight, out);
}

absl::Status Products::Run(const Key& key, const void* in, const void* weight, void* out) {
  auto found = plans_.find(key);
  if (found == plans_.end()) {
    PB_ASSIGN_OR_RETURN(const Plan plan, MakePlan(key));
    if (plans_.size() >= kMostPlans) plans_.clear();
    found = plans_.emplace(key, plan).first;
  }
  Plan& plan = found->second;
  const float one = 1.0F, sum_before = key.shape.accumulate ? 1.0F : 0.0F;
  const cublasStatus_t status = cublasLtMatmul(
      handle_.get(), &plan.product, &one, weight, &plan.weight, in, &plan.in, &sum_before, out,
      &plan.out, out, &plan.out, &plan.algorithm, workspace_.data(), workspace_.size(), stream_);
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return ToStatus(status, ToString(key.shape).c_str());
}

absl::StatusOr<Products::Plan> Products::MakePlan(const Key& key) const {
  const ProductShape& shape = key.shape;
  Plan plan;
  // Column-major, the transpose of what is wanted: out^T = weight^T-or-not in^T.
  PB_RETURN_IF_ERROR(
      ToStatus(cublasLtMatmulDescInit(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "product"));
  const cublasOperation_t operation = shape.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  PB_RETURN_IF_ERROR(
      ToStatus(cublasLtMatmulDescSetAttribute(&plan.product, CUBLASLT_MATMUL_DESC_TRANSA,
                                              &operation, sizeof(operation)),
               "transpose"));
  PB_RETURN_IF_ERROR(MakeLayout(&plan.weight, CUDA_R_16BF,
                                shape.transposed ? shape.columns : shape.inner,
                                shape.transposed ? shape.inner : shape.columns, shape.weight_stride,
                                shape.batch, shape.weight_batch_stride));
  PB_RETURN_IF_ERROR(MakeLayout(&plan.in, CUDA_R_16BF, shape.rows, shape.inner, shape.in_stride,
                                shape.batch, shape.in_batch_stride));
  PB_RETURN_IF_ERROR(MakeLayout(&plan.out, key.out_type, shape.rows, shape.columns,
                                shape.out_stride, shape.batch, shape.out_batch_stride));

  Preference preference;
  const auto alignment = [&](int operand) {
    return 1U << (key.alignments >> (8 * operand) & 255U);
  };
  PB_RETURN_IF_ERROR(
      preference.Set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes}));
  PB_RETURN_IF_ERROR(preference.Set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(1)));
  PB_RETURN_IF_ERROR(preference.Set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(0)));
  PB_RETURN_IF_ERROR(preference.Set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(2)));
  PB_RETURN_IF_ERROR(preference.Set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(2)));
  cublasLtMatmulHeuristicResult_t result;
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_.get(), &plan.product, &plan.weight, &plan.in,
                                     &plan.out, &plan.out, preference.get(), 1, &result, &found);
  if (status != CUBLAS_STATUS_SUCCESS || found == 0) {
    return ToStatus(status == CUBLAS_STATUS_SUCCESS ? CUBLAS_STATUS_NOT_SUPPORTED : status,
                    ToString(shape).c_str());
  }
  plan.algorithm = result.algo;
  return plan;
}

}  // namespace pinboard::engine
