// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/projection_sketch/projection_sketch_cuda.cuh"

#include "tests/kernels/bfloat16s.h"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status ProjectionSketch(absl::Span<const float> hidden, absl::Span<const float> matrix,
                              int tokens, int dim, int width, absl::Span<float> sketch) {
  if (hidden.size() != static_cast<std::size_t>(tokens) * dim ||
      sketch.size() != static_cast<std::size_t>(tokens) * width ||
      matrix != absl::MakeConstSpan(SketchMatrix(dim, width))) {
    return absl::InvalidArgumentError(
        "not a batch");  // neither sizes nor matrix have a place in one
  }
  OnDevice device;
  ProjectionSketchBatch batch{device.In(hidden), DType::kF32, tokens, dim, width};
  if (AreBFloat16s(hidden)) {  // both element types have their turn
    batch.hidden = device.In(ToBFloat16s(hidden));
    batch.dtype = DType::kBF16;
  }
  batch.sketch = device.Out<float>(sketch.size());
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  PB_RETURN_IF_ERROR(device.Finish(LaunchProjectionSketch(batch, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a state is not finite");
  device.Read(batch.sketch, sketch);
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
