// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/evicted_attention/evicted_attention_cuda.cuh"

#include <cstring>

#include "tests/kernels/cache_on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::StatusOr<EvictedAttentionResult> EvictedAttention(const EvictedAttentionArgs& args) {
  OnDevice device;
  const PagedLayer& layer = args.layer;
  const CacheCopies copies(
      device, layer.cache, layer.shape,
      CacheExtent(layer.cache, layer.shape, layer.block_size, {layer.block_table}), 1);
  EvictedAttentionProblem problem;
  problem.cache = copies.view(0);
  problem.block_table = device.In(layer.block_table);
  problem.digests = {device.In(args.digests.centres), device.In(args.digests.counts),
                     device.In(args.digests.step)};
  problem.evicted = device.In(args.evicted);
  problem.query = device.In(args.query);
  problem.rows = static_cast<std::int32_t>(args.rows);
  problem.ring_rows = static_cast<std::int32_t>(args.ring_rows);
  problem.evicted_count = static_cast<std::int32_t>(args.evicted.size());
  EvictedAttentionProblem no_ring = problem;
  no_ring.ring_rows = 0;
  EvictedAttentionBatch batch;
  batch.problems = device.In(std::vector<EvictedAttentionProblem>{no_ring, problem});
  batch.results = device.Out<EvictedAttentionResult>(2);
  batch.count = 2;
  batch.most_ring_rows = problem.ring_rows + 40;
  batch.shape = layer.shape;
  batch.block_size = layer.block_size;
  batch.query_heads = args.query_heads;
  batch.attention_scale = args.attention_scale;
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  auto* workspace = device.Out<std::byte>(EvictedAttentionWorkspaceBytes(batch));
  PB_RETURN_IF_ERROR(device.Finish(LaunchEvictedAttention(batch, workspace, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a head is not finite");
  std::vector<EvictedAttentionResult> results(2);
  device.Read(batch.results, absl::MakeSpan(results));
  if (results[0].evicted_share != results[1].evicted_share || results[0].attended_ring_rows != 0) {
    return absl::InternalError("a ring changed the share, or had rows where it is empty");
  }
  return results[1];
}

}  // namespace pinboard::kernels::under_test
