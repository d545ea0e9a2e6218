// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/entropy/entropy_cuda.cuh"

#include "tests/kernels/bfloat16s.h"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {
absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                        int vocab_begin, int k, absl::Span<float> values,
                        absl::Span<std::int32_t> ids) {
  if (logits.size() != static_cast<std::size_t>(tokens) * vocab_local ||
      values.size() != static_cast<std::size_t>(tokens) * k || ids.size() != values.size()) {
    return absl::InvalidArgumentError("not a batch");  // sizes have no place in one
  }
  OnDevice device;
  TopKLogitsBatch batch{device.In(logits), DType::kF32, tokens, vocab_local, vocab_begin, k};
  if (AreBFloat16s(logits)) {  // both element types have their turn
    batch.logits = device.In(ToBFloat16s(logits));
    batch.dtype = DType::kBF16;
  }
  batch.values = device.Out<float>(values.size());
  batch.ids = device.Out<std::int32_t>(ids.size());
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  PB_RETURN_IF_ERROR(device.Finish(LaunchTopKLogits(batch, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a logit is NaN");
  device.Read(batch.values, values);
  device.Read(batch.ids, ids);
  return absl::OkStatus();
}

absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                           EntropyUnit unit, absl::Span<float> entropy) {
  if (values.size() != static_cast<std::size_t>(parts) * tokens * k ||
      entropy.size() != static_cast<std::size_t>(tokens)) {
    return absl::InvalidArgumentError("not a batch");
  }
  OnDevice device;
  MergedEntropyBatch batch{device.In(values), parts, tokens, k, unit};
  batch.entropy = device.Out<float>(entropy.size());
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  PB_RETURN_IF_ERROR(device.Finish(LaunchMergedEntropy(batch, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a token is refused");
  device.Read(batch.entropy, entropy);
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
