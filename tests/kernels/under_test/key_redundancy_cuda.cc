// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/key_redundancy/key_redundancy_cuda.cuh"

#include "tests/kernels/cache_on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status KeyRedundancy(const KeyRedundancyArgs& args, absl::Span<std::int32_t> out) {
  // The problem between an empty one and one of its first row alone.
  OnDevice device;
  const CacheCopies copies(device, args.cache, args.shape,
                           CacheExtent(args.cache, args.shape, args.block_size, {args.block_table}),
                           1);
  KeyRedundancyProblem problem;
  problem.cache = copies.view(0);
  problem.block_table = device.In(args.block_table);
  problem.order = device.In(args.order);
  problem.out = device.Out<std::int32_t>(out.size());
  problem.rows = static_cast<std::int32_t>(out.size());
  KeyRedundancyProblem empty = problem;
  empty.rows = 0;
  KeyRedundancyProblem first = problem;
  first.rows = 1;
  first.out = device.Out<std::int32_t>(1);
  KeyRedundancyBatch batch;
  batch.problems = device.In(std::vector<KeyRedundancyProblem>{empty, problem, first});
  batch.count = 3;
  batch.most_rows = problem.rows + 3;
  batch.shape = args.shape;
  batch.block_size = args.block_size;
  batch.total_kv_heads = args.total_kv_heads;
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  auto* workspace = device.Out<std::byte>(KeyRedundancyWorkspaceBytes(batch));
  PB_RETURN_IF_ERROR(device.Finish(LaunchKeyRedundancy(batch, workspace, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a key is not finite");
  device.Read(problem.out, out);
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
