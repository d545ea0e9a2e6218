// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How rows move: each mover launches one kernel, once the marks are made.
#pragma once

#include <cuda_runtime_api.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "kernels/compact/compact_cuda.cuh"

namespace pinboard::kernels {
struct RowWords;  // row_words.cuh
}

namespace pinboard::kernels::compact {

struct Chunks;  // tickets.cuh
struct Workspace;

inline constexpr int kMostRowBytes = 32 << 10;

struct Mover {
  int (*ticket_rows)(int row_bytes);  // of a ticket, where a row has row_bytes <= kMostRowBytes
  absl::Status (*launch)(const CompactBatch&, const RowWords&, const Workspace&, const Chunks&,
                         cudaStream_t);
};

/// A block takes a ticket and holds its rows in registers. On any device.
extern const Mover kRegisterMover;
/// A warp takes a ticket; bulk copies bring its rows into shared memory and back. From sm_90.
extern const Mover kBulkMover;

/// An attribute of the device at hand.
inline absl::StatusOr<int> OfDevice(cudaDeviceAttr attribute) {
  int device = 0;
  int value = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDevice(&device), "compact"));
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaDeviceGetAttribute(&value, attribute, device), "compact"));
  return value;
}

/// LaunchCompact by the given mover.
absl::Status Launch(const CompactBatch& batch, const Mover& mover, void* workspace,
                    cudaStream_t stream);

}  // namespace pinboard::kernels::compact
