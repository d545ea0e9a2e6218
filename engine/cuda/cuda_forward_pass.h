// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The forward pass on the device.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "engine/forward_pass.h"
#include "engine/safetensors.h"
#include "transport/collective/communicator.h"

namespace pinboard::engine {

/// Reads this rank's weights to the current device, or draws them there: then there is no
/// checkpoint. `communicator` outlives the pass. Unimplemented: this build has no CUDA, or a size
/// is one that no kernel has, by name. Unavailable: there is no device. ResourceExhausted: its
/// memory is too small. InvalidArgument: a cache of other values than bf16.
absl::StatusOr<std::unique_ptr<ForwardPass>> LoadCudaForwardPass(
    const ForwardPassOptions& options, const Checkpoint* checkpoint,
    transport::Communicator* communicator);

}  // namespace pinboard::engine
