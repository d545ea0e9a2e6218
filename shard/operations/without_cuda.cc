// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/operations/cuda_operations.h"

namespace pinboard {

absl::StatusOr<std::unique_ptr<Operations>> MakeCudaOperations(void* /*stream*/) {
  return absl::UnimplementedError("this build has no CUDA: build it with preset cuda-release");
}

}  // namespace pinboard
