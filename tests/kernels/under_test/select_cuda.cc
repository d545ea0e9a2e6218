// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/select/select_cuda.cuh"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status Select(const SelectArgs& args, absl::Span<RowClass> classes) {
  const std::size_t rows = classes.size();
  if (args.keep_score.size() != rows || args.band_score.size() != rows ||
      args.is_protected.size() != rows || args.keep < 0 || args.near < 0 || args.far < 0) {
    return absl::InvalidArgumentError("not a batch");  // sizes have no place in one
  }
  // Between two other problems, whose rows must not mix with these.
  const auto n = static_cast<std::int64_t>(rows);
  constexpr std::int64_t kBefore = 3;
  constexpr std::int64_t kBehind = 5;
  const auto embed = [&]<typename T>(absl::Span<const T> values) {
    std::vector<T> all(kBefore, T{1});
    all.insert(all.end(), values.begin(), values.end());
    all.insert(all.end(), kBehind, T{1});
    return all;
  };
  OnDevice device;
  SelectBatch batch;
  batch.keep_score = device.In(embed(args.keep_score));
  batch.band_score = device.In(embed(args.band_score));
  batch.is_protected = device.In(embed(args.is_protected));
  batch.first_row = device.In(
      std::vector<std::int64_t>{0, kBefore, kBefore + n, kBefore + n, kBefore + n + kBehind});
  batch.counts = device.In(
      std::vector<SelectCounts>{{1, 1, 1}, {args.keep, args.near, args.far}, {7, 7, 7}, {2, 0, 9}});
  batch.problems = 4;
  batch.total_rows = kBefore + n + kBehind;
  batch.longest = std::max(n, kBehind);
  batch.has_far = args.far > 0;
  batch.classes = device.Out<RowClass>(batch.total_rows);
  auto* workspace = device.Out<std::byte>(SelectWorkspaceBytes(batch.problems, batch.total_rows));
  PB_RETURN_IF_ERROR(device.Finish(LaunchSelect(batch, workspace, nullptr)));
  device.Read(batch.classes + kBefore, classes);
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
