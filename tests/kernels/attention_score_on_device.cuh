// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Inputs of the window attention's checks as problems and batches on the device.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/dtype.h"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/attention_score/key_passes.cuh"
#include "tests/kernels/checks/attention_score_checks.h"
#include "tests/kernels/on_device.cuh"

namespace pinboard::kernels {

/// The bits in which a query of this value is multiplied with keys of this dtype.
inline std::uint16_t QueryBits(DType keys, float value) {
  return AttentionQueryType(keys) == DType::kF16 ? FloatToFloat16(value) : FloatToBFloat16(value);
}
/// Makes queries such as their bits hold exactly.
inline void RoundQueries(checks::AttentionInput& in) {
  const DType keys = in.cache.shape().dtype;
  const bool is_f16 = AttentionQueryType(keys) == DType::kF16;
  for (float& value : in.queries) {
    const std::uint16_t bits = QueryBits(keys, value);
    value = is_f16 ? Float16ToFloat(bits) : BFloat16ToFloat(bits);
  }
}

/// One problem with its inputs on the device.
inline AttentionScoreProblem ProblemOf(OnDevice& device, const AttentionScoreArgs& args,
                                       const checks::AttentionInput& in) {
  const std::vector<std::byte>& bytes = in.cache.bytes();
  AttentionScoreProblem problem;
  problem.cache.key = args.cache.key;
  problem.cache.key.base = device.In(bytes) + (args.cache.key.base - bytes.data());
  if (args.cache.key.scales != nullptr) {
    problem.cache.key.scales =
        device.In(absl::MakeConstSpan(args.cache.key.scales, args.shape.kv_heads));
  }
  problem.block_table = device.In(args.block_table);
  problem.row_positions = device.In(args.row_positions);
  problem.order = device.In(args.order);
  std::vector<std::uint16_t> queries;
  for (const float value : args.queries) queries.push_back(QueryBits(args.shape.dtype, value));
  problem.queries = device.In(queries);
  problem.query_positions = device.In(args.query_positions);
  if (!args.log_sum_exp.empty()) problem.log_sum_exp = device.In(args.log_sum_exp);
  problem.rows = static_cast<std::int32_t>(args.order.size());
  problem.out = device.Out<std::int32_t>(args.order.size());
  return problem;
}

inline AttentionScoreBatch BatchOf(OnDevice& device, const AttentionScoreArgs& args,
                                   const std::vector<AttentionScoreProblem>& problems) {
  AttentionScoreBatch batch;
  batch.problems = device.In(problems);
  batch.count = static_cast<int>(problems.size());
  for (const AttentionScoreProblem& problem : problems) {
    batch.most_rows = std::max(batch.most_rows, problem.rows);
  }
  batch.shape = args.shape;
  batch.block_size = args.block_size;
  batch.window = static_cast<int>(args.query_positions.size());
  batch.query_heads = args.query_heads;
  batch.total_query_heads = args.total_query_heads;
  batch.scale = args.scale;
  batch.pool = args.pool;
  batch.has_log_sum_exp = problems.front().log_sum_exp != nullptr;
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  return batch;
}

inline std::vector<std::int32_t> SharesOf(OnDevice& device, const AttentionScoreProblem& problem) {
  std::vector<std::int32_t> shares(problem.rows);
  device.Read(problem.out, absl::MakeSpan(shares));
  return shares;
}

/// As two layers at once, which must agree.
inline absl::Status ScoreOnDevice(const attention_score::KeyPasses& passes,
                                  const AttentionScoreArgs& args, const checks::AttentionInput& in,
                                  absl::Span<std::int32_t> out) {
  OnDevice device;
  const AttentionScoreProblem problem = ProblemOf(device, args, in);
  AttentionScoreProblem second = problem;
  second.out = device.Out<std::int32_t>(out.size());
  AttentionScoreBatch batch = BatchOf(device, args, {problem, second});
  batch.most_rows += 300;
  auto* workspace = device.Out<std::byte>(attention_score::WorkspaceBytes(batch, passes));
  PB_RETURN_IF_ERROR(device.Finish(attention_score::Launch(batch, passes, workspace, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a share is not finite");
  const std::vector<std::int32_t> shares = SharesOf(device, problem);
  EXPECT_EQ(shares, SharesOf(device, second)) << "two layers, two results";
  std::copy(shares.begin(), shares.end(), out.begin());
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
