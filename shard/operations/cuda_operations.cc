// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/operations/cuda_operations.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "shard/operations/cuda_operations_impl.cuh"

namespace pinboard {

absl::Status CudaOperations::Prepare() {
  PB_ASSIGN_OR_RETURN(faults_, memory_.Allocate(kFaults * sizeof(std::uint32_t)));
  PB_ASSIGN_OR_RETURN(fault_counts_, cuda::PinnedBuffer::Make(kFaults * sizeof(std::uint32_t)));
  return ClearFaults();
}

absl::Status CudaOperations::Finish() {
  absl::Status done = cuda::ToStatus(
      cudaMemcpyAsync(fault_counts_.bytes().data(), faults_.get(), fault_counts_.bytes().size(),
                      cudaMemcpyDeviceToHost, stream()),
      "copy the count of faults");
  done.Update(staging_.Finish());  // whatever failed: launches write what the caller lends
  if (done.ok()) {
    HandOut();
    done = Faults();
  }
  tags_.clear();
  outcomes_.clear();
  owners_.clear();
  return done;
}

void CudaOperations::HandOut() {
  for (const Tags& tags : tags_) {
    for (std::size_t i = 0; i < tags.to.size(); ++i) *tags.to[i] = tags.values[i];
  }
}

absl::Status CudaOperations::ClearFaults() {
  return cuda::ToStatus(
      cudaMemsetAsync(faults_.get(), 0, kFaults * sizeof(std::uint32_t), stream()),
      "clear the count of faults");
}

absl::Status CudaOperations::Faults() {
  constexpr std::array<const char*, kFaults> kNames = {
      "TopKLogits",    "MergedEntropy",    "RepresentationShift", "ProjectionSketch",
      "ScorePages",    "EvictedAttention", "AttentionScore",      "ExpectedAttention",
      "KeyRedundancy", "Information",      "BuildDigest"};
  const auto* const counts = reinterpret_cast<const std::uint32_t*>(fault_counts_.bytes().data());
  absl::Status refused;
  for (int i = 0; i < kFaults; ++i) {
    if (counts[i] == 0) continue;
    refused.Update(absl::InvalidArgumentError(absl::StrCat(
        kNames[i], ": ", counts[i],
        i == kInformationFault ? " values are not below 64" : " inputs are not finite")));
  }
  if (!refused.ok()) refused.Update(ClearFaults());
  std::ptrdiff_t unwritten = 0;
  for (const auto& outcomes : outcomes_) {
    unwritten += std::count(outcomes.begin(), outcomes.end(), kernels::ScatterOutcome::kRefused);
  }
  if (unwritten > 0) {
    refused.Update(absl::DataLossError(
        absl::StrCat("PageScatter: ", unwritten, " pages do not match their tags")));
  }
  return refused;
}

absl::StatusOr<std::unique_ptr<Operations>> MakeCudaOperations(void* stream) {
  int device = 0;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetDevice(&device), "the shard's CUDA device"));
  PB_RETURN_IF_ERROR(cuda::KeepFreedMemory());
  auto operations = std::make_unique<CudaOperations>(static_cast<cudaStream_t>(stream));
  PB_RETURN_IF_ERROR(operations->Prepare());
  return operations;
}

}  // namespace pinboard
