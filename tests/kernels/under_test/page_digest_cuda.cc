// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/page_digest/page_digest_cuda.cuh"

#include <algorithm>

#include "base/page.h"
#include "tests/kernels/on_device.cuh"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {
namespace {

const auto kNotABatch = absl::InvalidArgumentError("not a batch");  // sizes have no place in one

}  // namespace

absl::Status BuildDigest(const KvShape& shape, absl::Span<const std::byte> page,
                         const float* key_scales, const DigestSlot& digest) {
  const std::size_t heads = static_cast<std::size_t>(std::max(shape.kv_heads, 0));
  if (page.size() != kPageRows * shape.RowBytes() || digest.step.size() != heads ||
      digest.counts.size() != heads * kDigestCentres ||
      digest.centres.size() != digest.counts.size() * static_cast<std::size_t>(shape.key_dim)) {
    return kNotABatch;
  }
  // The page twice, as two blocks of a cache whose table swaps them; the second goes to slot 0.
  OnDevice device;
  std::vector<std::byte> cache(page.begin(), page.end());
  cache.insert(cache.end(), page.begin(), page.end());
  BuildDigestProblem problem;
  const auto row = static_cast<std::int64_t>(shape.RowBytes());
  const auto head = static_cast<std::int64_t>(shape.KeyBytes() / heads);
  problem.cache.key = {device.In(cache), kPageRows * row, row, head};
  if (key_scales != nullptr) {
    problem.cache.key.scales = device.In(absl::MakeConstSpan(key_scales, heads));
  }
  problem.block_table = device.In(std::vector<std::int32_t>{1, 0});
  std::vector<std::int32_t> rows(2 * kPageRows);
  for (int r = 0; r < 2 * kPageRows; ++r) rows[r] = r;
  problem.rows = device.In(rows);
  problem.slots = device.In(std::vector<std::int32_t>{1, 0});
  problem.digests = {device.Out<std::int8_t>(2 * digest.centres.size()),
                     device.Out<std::uint8_t>(2 * digest.counts.size()),
                     device.Out<float>(2 * digest.step.size())};
  problem.count = 2;
  const BuildDigestProblem empty;
  BuildDigestBatch batch;
  batch.problems = device.In(std::vector<BuildDigestProblem>{empty, problem});
  batch.count = 2;
  batch.most_pages = 2;
  batch.shape = shape;
  batch.block_size = kPageRows;
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  PB_RETURN_IF_ERROR(device.Finish(LaunchBuildDigest(batch, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a key is not finite");
  device.Read(problem.digests.centres, digest.centres);
  device.Read(problem.digests.counts, digest.counts);
  device.Read(problem.digests.step, digest.step);
  return absl::OkStatus();
}

absl::Status ScorePages(const PageScoreArgs& args, absl::Span<std::int32_t> out) {
  const auto heads = static_cast<std::size_t>(args.shape.kv_heads);
  const std::size_t slots = args.digests.step.size() / heads;
  const auto exists = [&](std::int32_t page) {
    return page >= 0 && static_cast<std::size_t>(page) < slots;
  };
  if (args.digests.counts.size() != slots * heads * kDigestCentres ||
      args.queries.size() !=
          static_cast<std::size_t>(args.tokens) * args.query_heads * args.shape.key_dim ||
      !std::all_of(args.pages.begin(), args.pages.end(), exists)) {
    return kNotABatch;
  }
  OnDevice device;
  ScorePagesProblem problem;
  problem.digests = {device.In(args.digests.centres), device.In(args.digests.counts),
                     device.In(args.digests.step)};
  problem.pages = device.In(args.pages);
  problem.queries = device.In(args.queries);
  problem.out = device.Out<std::int32_t>(out.size());
  problem.count = static_cast<std::int32_t>(out.size());
  ScorePagesProblem empty = problem;
  empty.count = 0;
  ScorePagesBatch batch;
  batch.problems = device.In(std::vector<ScorePagesProblem>{empty, problem});
  batch.count = 2;
  batch.most_pages = problem.count;
  batch.shape = args.shape;
  batch.tokens = args.tokens;
  batch.query_heads = args.query_heads;
  batch.total_query_heads = args.total_query_heads;
  batch.attention_scale = args.attention_scale;
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  auto* workspace = device.Out<std::byte>(ScorePagesWorkspaceBytes(batch));
  PB_RETURN_IF_ERROR(LaunchScorePages(batch, workspace, nullptr));
  // Its tokens once more, which change nothing.
  batch.joins = true;
  PB_RETURN_IF_ERROR(device.Finish(LaunchScorePages(batch, workspace, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a head is not finite");
  device.Read(problem.out, out);
  return absl::OkStatus();
}

}  // namespace pinboard::kernels::under_test
