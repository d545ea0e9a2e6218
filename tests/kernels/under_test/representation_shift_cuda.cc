// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/representation_shift/representation_shift_cuda.cuh"

#include "tests/kernels/bfloat16s.h"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status RepresentationShift(absl::Span<const float> hidden,
                                 absl::Span<const float> final_hidden, int tokens, int dim,
                                 absl::Span<float> shift) {
  const std::size_t values = static_cast<std::size_t>(tokens) * dim;
  const int layers = tokens == 0 ? 0 : static_cast<int>(shift.size()) / tokens;
  if (hidden.size() != layers * values || final_hidden.size() != values ||
      shift.size() != static_cast<std::size_t>(layers) * tokens) {
    return absl::InvalidArgumentError("not a batch");  // sizes have no place in one
  }
  OnDevice device;
  RepresentationShiftBatch batch{device.In(hidden), device.In(final_hidden), DType::kF32, tokens,
                                 dim};
  if (AreBFloat16s(hidden) && AreBFloat16s(final_hidden)) {  // both element types have their turn
    batch.hidden = device.In(ToBFloat16s(hidden));
    batch.final_hidden = device.In(ToBFloat16s(final_hidden));
    batch.dtype = DType::kBF16;
  }
  batch.shift = device.Out<float>(shift.size());
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  batch.layers = layers;
  PB_RETURN_IF_ERROR(device.Finish(LaunchRepresentationShift(batch, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a state is not finite");
  device.Read(batch.shift, shift);
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
