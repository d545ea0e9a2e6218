// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/expected_attention/expected_attention_cuda.cuh"

#include "tests/kernels/cache_on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status ExpectedAttention(const ExpectedAttentionArgs& args, absl::Span<std::int32_t> out) {
  // The problem behind one without rows.
  OnDevice device;
  const CacheCopies copies(device, args.cache, args.shape,
                           CacheExtent(args.cache, args.shape, args.block_size, {args.block_table}),
                           1);
  ExpectedAttentionProblem problem;
  problem.cache = copies.view(0);
  problem.block_table = device.In(args.block_table);
  problem.order = device.In(args.order);
  problem.queries = device.In(args.queries);
  problem.query_positions = device.In(args.query_positions);
  problem.out = device.Out<std::int32_t>(out.size());
  problem.rows = static_cast<std::int32_t>(out.size());
  problem.next_position = args.next_position;
  ExpectedAttentionProblem empty = problem;
  empty.rows = 0;
  ExpectedAttentionBatch batch;
  batch.problems = device.In(std::vector<ExpectedAttentionProblem>{empty, problem});
  batch.count = 2;
  batch.most_rows = problem.rows + 3;
  batch.shape = args.shape;
  batch.block_size = args.block_size;
  batch.window = static_cast<int>(args.query_positions.size());
  batch.query_heads = args.query_heads;
  batch.total_query_heads = args.total_query_heads;
  batch.scale = args.scale;
  batch.pairs = device.In(PairsAhead(args.rotary));
  batch.pair_count = static_cast<int>(args.rotary.frequencies.size());
  batch.rotary_first_dim = args.rotary.first_dim;
  batch.rotary_interleaved = args.rotary.interleaved;
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  auto* workspace = device.Out<std::byte>(ExpectedAttentionWorkspaceBytes(batch));
  PB_RETURN_IF_ERROR(device.Finish(LaunchExpectedAttention(batch, workspace, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a head is not finite");
  device.Read(problem.out, out);
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
