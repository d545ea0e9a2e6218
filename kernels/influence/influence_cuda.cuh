// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Information, its totals and Fuse (influence.h) on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/influence/influence.h"

namespace pinboard::kernels {

/// All pointers of these batches: device memory. All launches: the integers of the CPU bit for bit;
/// stream-ordered, allocate nothing, never synchronise, can be captured in a graph.
struct InformationBatch {
  const float* shift = nullptr;    // [layers, tokens]
  const float* entropy = nullptr;  // [tokens], of all layers
  double tau = 1.0;
  std::int32_t* out = nullptr;      // [layers, tokens]
  std::uint32_t* faults = nullptr;  // [1], grows by one for each value that Information refuses
  std::int64_t tokens = 0;
  int layers = 1;
};
/// InvalidArgument: impossible sizes.
absl::Status LaunchInformation(const InformationBatch& batch, cudaStream_t stream);

/// Adds to totals[p] the values of problem p (a layer of a sequence), as InformationTotals::Add
/// does: information[first[p]] ... information[first[p + 1] - 1].
struct AddInformationBatch {
  const std::int32_t* information = nullptr;
  const std::int64_t* first = nullptr;  // [problems + 1]
  InformationTotals* totals = nullptr;  // [problems], added to
  int problems = 0;
  std::int64_t longest = 0;  // values of the longest problem
};
/// InvalidArgument: impossible sizes.
absl::Status LaunchAddInformation(const AddInformationBatch& batch, cudaStream_t stream);

/// Problem p (a layer of a sequence) owns rows first_row[p] ... first_row[p + 1] - 1 of the arrays
/// over rows. What a rule does not read may be null.
struct FuseBatch {
  ScoreRule rule = ScoreRule::kPublished;
  double alpha = 0.9;
  std::uint64_t seed = 0;                     // kRandom
  const std::int32_t* layers = nullptr;       // [problems], kRandom
  const std::int32_t* attention = nullptr;    // [total rows], merged over ranks
  const std::int32_t* information = nullptr;  // [total rows], likewise
  const std::int32_t* redundancy = nullptr;   // [total rows], likewise
  const std::int32_t* positions = nullptr;    // [total rows]
  const InformationTotals* totals = nullptr;  // [problems]
  const std::int64_t* first_row = nullptr;    // [problems + 1]
  std::int64_t* score = nullptr;              // [total rows], out
  std::int32_t* max_attention = nullptr;      // [problems], workspace, kMaxNormalised
  int problems = 0;
  std::int64_t longest = 0;  // rows of the longest problem
};

/// FailedPrecondition: the rule needs a signal whose pointer is null. InvalidArgument: alpha lies
/// outside [0, 1], or impossible sizes.
absl::Status LaunchFuse(const FuseBatch& batch, cudaStream_t stream);

}  // namespace pinboard::kernels
