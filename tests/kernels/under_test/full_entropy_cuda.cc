// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/full_entropy/full_entropy_cuda.cuh"

#include "tests/kernels/bfloat16s.h"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status EntropyParts(absl::Span<const float> logits, int tokens, int vocab_local,
                          absl::Span<EntropyPart> parts) {
  if (logits.size() != static_cast<std::size_t>(tokens) * vocab_local ||
      parts.size() != static_cast<std::size_t>(tokens)) {
    return absl::InvalidArgumentError("not a batch");  // sizes have no place in one
  }
  OnDevice device;
  EntropyPartsBatch batch{device.In(logits), DType::kF32, tokens, vocab_local};
  if (AreBFloat16s(logits)) {  // both element types have their turn
    batch.logits = device.In(ToBFloat16s(logits));
    batch.dtype = DType::kBF16;
  }
  batch.parts = device.Out<EntropyPart>(parts.size());
  PB_RETURN_IF_ERROR(device.Finish(LaunchEntropyParts(batch, nullptr)));
  device.Read(batch.parts, parts);
  return absl::OkStatus();
}

absl::Status JoinedEntropy(absl::Span<const EntropyPart> parts, int ranks, int tokens,
                           absl::Span<float> entropy) {
  if (parts.size() != static_cast<std::size_t>(ranks) * tokens ||
      entropy.size() != static_cast<std::size_t>(tokens)) {
    return absl::InvalidArgumentError("not a batch");
  }
  OnDevice device;
  JoinedEntropyBatch batch{device.In(parts), ranks, tokens};
  batch.entropy = device.Out<float>(entropy.size());
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  PB_RETURN_IF_ERROR(device.Finish(LaunchJoinedEntropy(batch, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a token is refused");
  device.Read(batch.entropy, entropy);
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
