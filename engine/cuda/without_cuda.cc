// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a build without CUDA has in place of the device's forward pass.
#include "engine/cuda/cuda_forward_pass.h"

namespace pinboard::engine {

absl::StatusOr<std::unique_ptr<ForwardPass>> LoadCudaForwardPass(const ForwardPassOptions&,
                                                                 const Checkpoint*,
                                                                 transport::Communicator*) {
  return absl::UnimplementedError("this build has no CUDA: build with preset cuda-release");
}

}  // namespace pinboard::engine
