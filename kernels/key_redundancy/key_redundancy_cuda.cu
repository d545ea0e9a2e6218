// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/block_sum.cuh"
#include "kernels/key_redundancy/key_redundancy_core.h"
#include "kernels/key_redundancy/key_redundancy_cuda.cuh"
#include "kernels/key_values.h"
#include "kernels/paged_rows.h"
#include "kernels/portable_math.h"
#include "kernels/tile_products.cuh"

namespace pinboard::kernels {
namespace {

constexpr int kThreads = kProductThreads;
constexpr int kWarps = kThreads / 32;
constexpr int kCosineBits = 40;  // of sums of cosines: 2^22 of them fit

/// Arrays of one problem and head.
struct HeadArrays {
  double* scale;          // [rows]: makes a key's length 1; 0 for a key not finite
  std::int64_t* removed;  // [rows]: sum of the cosines with rows whose last similar row this is
  double* exp_mean;       // [rows]
  std::int64_t* total;    // [key_dim]: sum of the unit keys
};

/// All of them, each kind together.
struct Workspace {
  double* scale;
  std::int64_t* removed;
  double* exp_mean;
  std::int64_t* total;
  double* denominator;  // [problems, heads]: sum of exp_mean

  __device__ HeadArrays Of(const KeyRedundancyBatch& batch, int problem, int head) const {
    const std::int64_t index = std::int64_t{problem} * batch.shape.kv_heads + head;
    const std::int64_t rows = index * batch.most_rows;
    return {scale + rows, removed + rows, exp_mean + rows, total + index * batch.shape.key_dim};
  }
};

struct WorkspaceSizes {
  explicit WorkspaceSizes(const KeyRedundancyBatch& batch)
      : heads(std::size_t{1} * batch.count * batch.shape.kv_heads),
        rows(heads * batch.most_rows),
        dims(heads * batch.shape.key_dim) {}
  std::size_t heads;
  std::size_t rows;
  std::size_t dims;
};

Workspace Cut(const KeyRedundancyBatch& batch, void* memory) {
  const WorkspaceSizes sizes(batch);
  auto* const removed = static_cast<std::int64_t*>(memory);  // the sums first: they begin at 0
  auto* const total = removed + sizes.rows;
  auto* const scale = reinterpret_cast<double*>(total + sizes.dims);
  return {scale, removed, scale + sizes.rows, total, scale + 2 * sizes.rows};
}

__device__ void AddFixed(std::int64_t* sum, std::int64_t value) {
  atomicAdd(reinterpret_cast<unsigned long long*>(sum), static_cast<unsigned long long>(value));
}

__device__ double SumOverWarp(double sum) {
  for (int apart = 16; apart > 0; apart /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, apart);
  return sum;
}

/// Where the keys of a tile lie, and what makes their length 1: in shared memory.
struct TileKeys {
  const std::byte* key[kProductTile];
  double scale[kProductTile];  // 0 beyond the rows

  template <DType dtype>
  __device__ float Unit(int i, int d, HeadFormat format) const {
    if (scale[i] == 0.0) return 0.0F;
    return static_cast<float>(ReadValue<dtype>(key[i], d, format) * scale[i]);
  }
};

/// The keys of the problem and head that a block of grid [.., heads, problems] works on.
template <DType dtype>
class Keys {
 public:
  __device__ Keys(const KeyRedundancyBatch& batch, const Workspace& workspace)
      : batch_(batch),
        problem_(batch.problems[blockIdx.z]),
        format_(FormatOf(batch.shape, problem_.cache.key, static_cast<int>(blockIdx.y))),
        arrays_(workspace.Of(batch, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y))) {}

  __device__ HeadFormat format() const { return format_; }
  __device__ std::int32_t rows() const { return problem_.rows; }
  __device__ int dim() const { return batch_.shape.key_dim; }
  __device__ const HeadArrays& arrays() const { return arrays_; }

  __device__ const std::byte* Key(std::int32_t i) const {
    return RowAddress(problem_.cache.key, problem_.block_table, batch_.block_size,
                      problem_.order[i], static_cast<int>(blockIdx.y));
  }
  __device__ float Value(std::int32_t i, int d) const {
    return ReadValue<dtype>(Key(i), d, format_);
  }
  /// The same of the key at length 1.
  __device__ float Unit(std::int32_t i, int d) const {
    const double scale = arrays_.scale[i];
    return scale == 0.0 ? 0.0F : static_cast<float>(Value(i, d) * scale);
  }

  /// Rows first ... first + kProductTile - 1, a thread each.
  __device__ void Locate(std::int32_t first, TileKeys& tile) const {
    const auto thread = static_cast<std::int32_t>(threadIdx.x);
    if (thread >= kProductTile) return;
    const bool exists = first + thread < rows();
    tile.key[thread] = exists ? Key(first + thread) : nullptr;
    tile.scale[thread] = exists ? arrays_.scale[first + thread] : 0.0;
  }

  /// In all lanes of a warp.
  __device__ double Cosine(std::int32_t i, std::int32_t j) const {
    double sum = 0.0;
    for (int d = static_cast<int>(threadIdx.x % 32); d < dim(); d += 32) {
      sum += static_cast<double>(Unit(i, d)) * Unit(j, d);
    }
    return SumOverWarp(sum);
  }

 private:
  const KeyRedundancyBatch& batch_;
  const KeyRedundancyProblem& problem_;
  const HeadFormat format_;
  const HeadArrays arrays_;
};

/// Calls visit(i) with the rows of this block's tile, a warp each.
template <typename Visit>
__device__ void ForEachRowOfTile(std::int32_t rows, Visit visit) {
  const auto first = static_cast<std::int32_t>(blockIdx.x) * kProductTile;
  for (int i = static_cast<int>(threadIdx.x / 32); i < kProductTile; i += kWarps) {
    if (first + i < rows) visit(first + i);
  }
}

/// scale and total.
template <DType dtype>
__global__ __launch_bounds__(kThreads) void ScaleKernel(KeyRedundancyBatch batch,
                                                        Workspace workspace) {
  const Keys<dtype> keys(batch, workspace);
  const HeadArrays& arrays = keys.arrays();
  ForEachRowOfTile(keys.rows(), [&](std::int32_t i) {
    double squared = 0.0;
    for (int d = static_cast<int>(threadIdx.x % 32); d < keys.dim(); d += 32) {
      squared += static_cast<double>(keys.Value(i, d)) * keys.Value(i, d);
    }
    squared = SumOverWarp(squared);
    if (threadIdx.x % 32 != 0) return;
    const bool is_finite = isfinite(squared);
    arrays.scale[i] = is_finite ? InverseLength(squared) : 0.0;
    if (!is_finite) atomicAdd(batch.faults, 1U);
  });
  __syncthreads();
  const auto first = static_cast<std::int32_t>(blockIdx.x) * kProductTile;
  const std::int32_t end = min(first + kProductTile, keys.rows());
  for (int d = static_cast<int>(threadIdx.x); d < keys.dim() && first < end; d += kThreads) {
    std::int64_t sum = 0;
    for (std::int32_t i = first; i < end; ++i) sum += ToFixed64(keys.Unit(i, d), kCosineBits);
    AddFixed(arrays.total + d, sum);
  }
}

/// For each row of a tile its last similar row, tiles searched from the last one backwards;
/// removed.
template <DType dtype>
__global__ __launch_bounds__(kThreads) void LastSimilarKernel(KeyRedundancyBatch batch,
                                                              Workspace workspace) {
  __shared__ ProductTile tile;
  __shared__ TileKeys own;
  __shared__ TileKeys others;
  __shared__ std::int32_t last[kProductTile];
  const Keys<dtype> keys(batch, workspace);
  const auto first = static_cast<std::int32_t>(blockIdx.x) * kProductTile;
  const auto thread = static_cast<int>(threadIdx.x);
  if (first >= keys.rows()) return;
  if (thread < kProductTile) last[thread] = -1;
  keys.Locate(first, own);
  std::int32_t other = (keys.rows() - 1) / kProductTile * kProductTile;
  bool is_missing = true;
  for (; other >= 0 && is_missing; other -= kProductTile) {
    keys.Locate(other, others);
    float cosines[kProductsAcross][kProductsAcross];
    TileProducts(
        keys.dim(), [&](int i, int d) { return own.Unit<dtype>(i, d, keys.format()); },
        [&](int j, int d) { return others.Unit<dtype>(j, d, keys.format()); }, tile, cosines);
#pragma unroll
    for (int i = 0; i < kProductsAcross; ++i) {
      std::int32_t similar = -1;
#pragma unroll
      for (int j = 0; j < kProductsAcross; ++j) {
        const std::int32_t row = other + FirstRight() + j;
        if (row != first + FirstLeft() + i && cosines[i][j] > kSimilarCosine) similar = row;
      }
      // Later tiles hold earlier rows, which never win over what was found.
      if (similar >= 0) atomicMax(&last[FirstLeft() + i], similar);
    }
    __syncthreads();
    is_missing = __syncthreads_or(thread < kProductTile && first + thread < keys.rows() &&
                                  last[thread] < 0) != 0;
  }
  ForEachRowOfTile(keys.rows(), [&](std::int32_t i) {
    const std::int32_t similar = last[i - first];
    if (similar < 0) return;
    const double cosine = keys.Cosine(i, similar);
    if (threadIdx.x % 32 == 0) {
      AddFixed(keys.arrays().removed + similar, ToFixed64(cosine, kCosineBits));
    }
  });
}

/// exp_mean.
template <DType dtype>
__global__ __launch_bounds__(kThreads) void MeanKernel(KeyRedundancyBatch batch,
                                                       Workspace workspace) {
  const Keys<dtype> keys(batch, workspace);
  const HeadArrays& arrays = keys.arrays();
  ForEachRowOfTile(keys.rows(), [&](std::int32_t i) {
    double sum = 0.0;
    for (int d = static_cast<int>(threadIdx.x % 32); d < keys.dim(); d += 32) {
      const double value = keys.Unit(i, d);
      sum += value * (FromFixed(arrays.total[d], kCosineBits) - value);
    }
    sum = SumOverWarp(sum);
    if (threadIdx.x % 32 != 0) return;
    arrays.exp_mean[i] = Exp((sum - FromFixed(arrays.removed[i], kCosineBits)) / keys.rows());
  });
}

/// denominator, a block a problem and head.
__global__ __launch_bounds__(kThreads) void DenominatorKernel(KeyRedundancyBatch batch,
                                                              Workspace workspace) {
  const HeadArrays arrays =
      workspace.Of(batch, static_cast<int>(blockIdx.z), static_cast<int>(blockIdx.y));
  double sum = 0.0;
  for (std::int32_t i = static_cast<std::int32_t>(threadIdx.x); i < batch.problems[blockIdx.z].rows;
       i += kThreads) {
    sum += arrays.exp_mean[i];
  }
  sum = SumOverBlock<kThreads>(sum);
  if (threadIdx.x == 0) workspace.denominator[blockIdx.z * batch.shape.kv_heads + blockIdx.y] = sum;
}

/// out, a thread a row.
__global__ __launch_bounds__(kThreads) void ShareKernel(KeyRedundancyBatch batch,
                                                        Workspace workspace) {
  const KeyRedundancyProblem& problem = batch.problems[blockIdx.z];
  const auto i = static_cast<std::int32_t>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= problem.rows) return;
  double softmax = 0.0;
  for (int head = 0; head < batch.shape.kv_heads; ++head) {
    const HeadArrays arrays = workspace.Of(batch, static_cast<int>(blockIdx.z), head);
    softmax += arrays.exp_mean[i] / workspace.denominator[blockIdx.z * batch.shape.kv_heads + head];
  }
  problem.out[i] = RedundancyShare(softmax, batch.total_kv_heads);
}

absl::Status CheckBatch(const KeyRedundancyBatch& batch) {
  PB_RETURN_IF_ERROR(CheckShape("KeyRedundancy", batch.shape));
  constexpr std::int32_t kMostRows = 1 << 22;
  if (batch.count < 0 || batch.count > 65535 || batch.block_size <= 0 || batch.most_rows < 0 ||
      batch.most_rows > kMostRows || batch.total_kv_heads < batch.shape.kv_heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "KeyRedundancy: ", batch.count, " problems (at most 65,535) of up to ", batch.most_rows,
        " rows (at most ", kMostRows, ") in blocks of ", batch.block_size, ", ",
        batch.shape.kv_heads, " of ", batch.total_kv_heads, " KV heads"));
  }
  return absl::OkStatus();
}

template <DType dtype>
absl::Status Launch(const KeyRedundancyBatch& batch, const Workspace& workspace,
                    cudaStream_t stream) {
  const auto heads = static_cast<unsigned>(batch.shape.kv_heads);
  const auto problems = static_cast<unsigned>(batch.count);
  const auto blocks = [&](int rows) {
    return static_cast<unsigned>((batch.most_rows + rows - 1) / rows);
  };
  const dim3 tiles(blocks(kProductTile), heads, problems);
  ScaleKernel<dtype><<<tiles, kThreads, 0, stream>>>(batch, workspace);
  LastSimilarKernel<dtype><<<tiles, kThreads, 0, stream>>>(batch, workspace);
  MeanKernel<dtype><<<tiles, kThreads, 0, stream>>>(batch, workspace);
  DenominatorKernel<<<dim3(1, heads, problems), kThreads, 0, stream>>>(batch, workspace);
  ShareKernel<<<dim3(blocks(kThreads), 1, problems), kThreads, 0, stream>>>(batch, workspace);
  return cuda::ToStatus(cudaGetLastError(), "key redundancy");
}

}  // namespace

std::size_t KeyRedundancyWorkspaceBytes(const KeyRedundancyBatch& batch) {
  const WorkspaceSizes sizes(batch);
  return 8 * (3 * sizes.rows + sizes.dims + sizes.heads);
}

absl::Status LaunchKeyRedundancy(const KeyRedundancyBatch& batch, void* workspace,
                                 cudaStream_t stream) {
  PB_RETURN_IF_ERROR(CheckBatch(batch));
  if (batch.count == 0 || batch.most_rows == 0) return absl::OkStatus();
  const WorkspaceSizes sizes(batch);
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaMemsetAsync(workspace, 0, 8 * (sizes.rows + sizes.dims), stream),
                     "key redundancy: clear the sums"));
  const Workspace arrays = Cut(batch, workspace);
  return WithDType(batch.shape.dtype,
                   [&](auto dtype) { return Launch<dtype>(batch, arrays, stream); });
}

}  // namespace pinboard::kernels
