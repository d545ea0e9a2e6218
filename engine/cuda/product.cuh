// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The engine's matrix products on the device, through cuBLASLt.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cuda/device_buffer.h"

namespace pinboard::engine {

/// out [rows, columns] = in [rows, inner] weight, for each of `batch` products that lie a batch
/// stride apart. Row-major; row i of a matrix begins at i * its stride.
struct ProductShape {
  int rows = 0;
  int columns = 0;
  int inner = 0;
  bool transposed =
      true;  // weight is [columns, inner] and its transpose is taken, or [inner, columns]
  bool accumulate = false;  // out += instead; of floats
  int in_stride = 0;
  int weight_stride = 0;
  int out_stride = 0;
  int batch = 1;
  std::int64_t in_batch_stride = 0;
  std::int64_t weight_batch_stride = 0;
  std::int64_t out_batch_stride = 0;

  template <typename H>
  friend H AbslHashValue(H h, const ProductShape& s) {
    return H::combine(std::move(h), s.rows, s.columns, s.inner, s.transposed, s.accumulate,
                      s.in_stride, s.weight_stride, s.out_stride, s.batch, s.in_batch_stride,
                      s.weight_batch_stride, s.out_batch_stride);
  }
  friend bool operator==(const ProductShape&, const ProductShape&) = default;
};

/// Products of bf16 values, summed in float, in the order of one stream. How a shape is multiplied
/// is asked of cuBLASLt once and remembered. Thread-compatible.
class Products {
 public:
  static absl::StatusOr<Products> Create(cudaStream_t stream);

  /// Device memory. Internal, naming the shape, where cuBLASLt refuses it.
  absl::Status Multiply(const ProductShape& shape, const std::uint16_t* in,
                        const std::uint16_t* weight, float* out);
  /// The same, rounded to bf16. Requires !shape.accumulate.
  absl::Status Multiply(const ProductShape& shape, const std::uint16_t* in,
                        const std::uint16_t* weight, std::uint16_t* out);

 private:
  struct Key {
    ProductShape shape;
    cudaDataType out_type = CUDA_R_32F;
    std::uint32_t alignments = 0;  // of the three pointers, a byte each

    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.shape, static_cast<int>(key.out_type), key.alignments);
    }
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Plan {
    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t weight, in, out;
    cublasLtMatmulAlgo_t algorithm;
  };
  struct Destroy {
    void operator()(cublasLtHandle_t handle) const { (void)cublasLtDestroy(handle); }
  };
  using Handle = std::unique_ptr<std::remove_pointer_t<cublasLtHandle_t>, Destroy>;

  Products(Handle handle, cuda::DeviceBuffer<std::byte> workspace, cudaStream_t stream)
      : handle_(std::move(handle)), workspace_(std::move(workspace)), stream_(stream) {}

  absl::Status Run(const Key& key, const void* in, const void* weight, void* out);
  absl::StatusOr<Plan> MakePlan(const Key& key) const;

  Handle handle_;
  cuda::DeviceBuffer<std::byte> workspace_;
  cudaStream_t stream_;
  absl::flat_hash_map<Key, Plan> plans_;
};

}  // namespace pinboard::engine
