// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Select (select.h) for many layers and sequences at once, on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/select/select.h"

namespace pinboard::kernels {

/// SelectArgs' counts of one problem; none negative.
struct SelectCounts {
  std::int32_t keep = 0;
  std::int32_t near = 0;
  std::int32_t far = 0;
};

/// Problem p owns rows first_row[p] ... first_row[p + 1] - 1 of the arrays over rows, and numbers
/// them from 0. All pointers: device memory.
struct SelectBatch {
  const std::int64_t* keep_score = nullptr;    // [total_rows]
  const std::int64_t* band_score = nullptr;    // [total_rows]
  const std::uint8_t* is_protected = nullptr;  // [total_rows]
  const std::int64_t* first_row = nullptr;     // [problems + 1], ascending from 0 to total_rows
  const SelectCounts* counts = nullptr;        // [problems]
  RowClass* classes = nullptr;                 // [total_rows], out
  int problems = 0;
  std::int64_t total_rows = 0;
  std::int64_t longest = 0;  // rows of the longest problem, at most 2^31 - 1
  bool has_far = true;       // false: every count of far is 0, and its launch is left out
};

/// Bytes of device memory, 16-byte aligned, that LaunchSelect works in.
std::size_t SelectWorkspaceBytes(int problems, std::int64_t total_rows);

/// The classes of Select, bit for bit. Stream-ordered; allocates nothing, never synchronises, can
/// be captured in a graph. Three kernels, two without `far`: the first reads keep_score, leaves
/// each row's ScoreBin in the workspace and finds the bins in which the ranks `keep` and `keep +
/// near` fall; the second gives every row its class but those in these two bins, which the last
/// block of the problem ranks exactly, and bins the dropped ones by band_score; the third classes
/// those likewise. Each score is read once. Rows that tie with a boundary share its bin: many
/// millions of them in one problem are correct, but ranked by a single block. InvalidArgument:
/// impossible sizes.
absl::Status LaunchSelect(const SelectBatch& batch, void* workspace, cudaStream_t stream);

}  // namespace pinboard::kernels
