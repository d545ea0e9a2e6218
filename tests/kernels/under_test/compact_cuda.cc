// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "kernels/compact/compact_cuda.cuh"
#include "kernels/compact/movers.cuh"
#include "tests/kernels/cache_on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status Compact(const CompactArgs& args) {
  if (args.source_rows.empty()) return absl::OkStatus();
  // Two layers at once: the cache, and a copy of it that must come out the same; and a third copy
  // by the mover that every device has.
  OnDevice device;
  CacheCopies copies(device, args.cache, args.shape,
                     CacheExtent(args.cache, args.shape, args.block_size,
                                 {args.block_table, args.destination_table}),
                     3);
  std::vector<CompactProblem> problems;
  for (int copy = 0; copy < 3; ++copy) {
    CompactProblem& problem = problems.emplace_back();
    problem.cache = copies.view(copy);
    problem.block_table = device.In(args.block_table);
    problem.source_rows = device.In(args.source_rows);
    problem.count = static_cast<std::int32_t>(args.source_rows.size());
    problem.first_row = args.first_row;
    problem.head_rows = args.head_rows;
    if (!args.destination_table.empty()) {
      problem.destination_table = device.In(args.destination_table);
    }
  }
  const CompactBatch batch{device.In(problems), 2, problems[0].count + 7, args.shape,
                           args.block_size};
  auto* workspace = device.Out<std::byte>(CompactWorkspaceBytes(batch.count, batch.longest));
  PB_RETURN_IF_ERROR(device.Finish(LaunchCompact(batch, workspace, nullptr)));
  CompactBatch third = batch;
  third.problems += 2;
  third.count = 1;
  PB_RETURN_IF_ERROR(
      device.Finish(compact::Launch(third, compact::kRegisterMover, workspace, nullptr)));
  return copies.ReadBack();
}

}  // namespace pinboard::kernels::under_test
