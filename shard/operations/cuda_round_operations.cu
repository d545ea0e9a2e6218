// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What CudaOperations does in a round.
#include <cuda_bf16.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernels/compact/compact_cuda.cuh"
#include "kernels/expected_attention/expected_attention_cuda.cuh"
#include "kernels/key_redundancy/key_redundancy_cuda.cuh"
#include "kernels/page_transfer/page_transfer_tuning.h"
#include "kernels/paged_rows.h"
#include "shard/operations/cuda_operations_impl.cuh"

namespace pinboard {
namespace {

__global__ void ToBFloat16(const float* from, __nv_bfloat16* to, std::size_t count) {
  const std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (i < count) to[i] = __float2bfloat16_rn(from[i]);
}

/// Launches trust the tables: what the host's operations check, is checked here.
absl::Status CheckOrdered(const char* operation, const kernels::PageCopyArgs& layer,
                          absl::Span<const std::int32_t> order, absl::Span<std::int32_t> out) {
  if (order.size() != out.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(operation, ": ", order.size(), " rows have ", out.size(), " results"));
  }
  const kernels::PagedLayer keys{layer.cache, layer.shape, layer.block_size, layer.block_table};
  return kernels::CheckKeys(operation, keys, static_cast<std::int64_t>(out.size()));
}

absl::Status CheckPages(const char* operation, const kernels::PageCopyArgs& from,
                        absl::Span<const std::int32_t> rows) {
  const std::int32_t last = rows.empty() ? -1 : *std::max_element(rows.begin(), rows.end());
  return kernels::CheckRows(operation, {from.cache, from.shape, from.block_size, from.block_table},
                            last + 1);
}

}  // namespace

absl::Status CudaOperations::AttentionScore(const kernels::AttentionScoreArgs& args,
                                            absl::Span<std::int32_t> out) {
  PB_RETURN_IF_ERROR(CheckOrdered("AttentionScore",
                                  {args.cache, args.shape, args.block_size, args.block_table},
                                  args.order, out));
  const std::size_t sums = args.query_positions.size() * args.query_heads;
  if (!args.log_sum_exp.empty() && args.log_sum_exp.size() != sums) {
    return absl::InvalidArgumentError(absl::StrCat("AttentionScore: ", args.log_sum_exp.size(),
                                                   " log-sum-exps for ", sums, " queries"));
  }
  kernels::AttentionScoreProblem problem;
  problem.cache = args.cache;
  problem.rows = static_cast<std::int32_t>(out.size());
  PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(args.block_table));
  PB_ASSIGN_OR_RETURN(problem.row_positions, staging_.Upload(args.row_positions));
  PB_ASSIGN_OR_RETURN(problem.order, staging_.Upload(args.order));
  PB_ASSIGN_OR_RETURN(problem.query_positions, staging_.Upload(args.query_positions));
  PB_ASSIGN_OR_RETURN(problem.out, staging_.Result(out));
  PB_ASSIGN_OR_RETURN(std::byte* const queries,
                      staging_.Scratch(args.queries.size() * sizeof(__nv_bfloat16)));
  constexpr unsigned kThreads = 256;
  const auto blocks = static_cast<unsigned>((args.queries.size() + kThreads - 1) / kThreads);
  if (blocks == 0) return absl::InvalidArgumentError("AttentionScore: there are no queries");
  ToBFloat16<<<blocks, kThreads, 0, stream()>>>(
      args.queries.data(), reinterpret_cast<__nv_bfloat16*>(queries), args.queries.size());
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "queries to bf16"));
  problem.queries = reinterpret_cast<const std::uint16_t*>(queries);
  if (!args.log_sum_exp.empty()) problem.log_sum_exp = args.log_sum_exp.data();
  kernels::AttentionScoreBatch batch{.shape = args.shape,
                                     .block_size = args.block_size,
                                     .window = static_cast<int>(args.query_positions.size()),
                                     .query_heads = args.query_heads,
                                     .total_query_heads = args.total_query_heads,
                                     .scale = args.scale,
                                     .pool = args.pool,
                                     .has_log_sum_exp = !args.log_sum_exp.empty(),
                                     .faults = fault(kAttentionFault)};
  // One launch for all layers and sequences; a shard's shapes are the same for all of them.
  const auto same = [&](const Scoring& one) {
    return one.batch.window == batch.window && one.batch.pool == batch.pool &&
           one.batch.has_log_sum_exp == batch.has_log_sum_exp;
  };
  auto group = std::find_if(scoring_.begin(), scoring_.end(), same);
  if (group == scoring_.end()) group = scoring_.insert(scoring_.end(), {batch, {}});
  group->batch.most_rows = std::max(group->batch.most_rows, problem.rows);
  group->problems.push_back(problem);
  return absl::OkStatus();
}

absl::Status CudaOperations::ExpectedAttention(const kernels::ExpectedAttentionArgs& args,
                                               absl::Span<std::int32_t> out) {
  PB_RETURN_IF_ERROR(CheckOrdered("ExpectedAttention",
                                  {args.cache, args.shape, args.block_size, args.block_table},
                                  args.order, out));
  const std::vector<kernels::PairAhead> pairs = kernels::PairsAhead(args.rotary);
  kernels::ExpectedAttentionProblem problem{.cache = args.cache,
                                            .queries = args.queries.data(),
                                            .rows = static_cast<std::int32_t>(out.size()),
                                            .next_position = args.next_position};
  PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(args.block_table));
  PB_ASSIGN_OR_RETURN(problem.order, staging_.Upload(args.order));
  PB_ASSIGN_OR_RETURN(problem.query_positions, staging_.Upload(args.query_positions));
  PB_ASSIGN_OR_RETURN(problem.out, staging_.Result(out));
  kernels::ExpectedAttentionBatch batch{.count = 1,
                                        .most_rows = problem.rows,
                                        .shape = args.shape,
                                        .block_size = args.block_size,
                                        .window = static_cast<int>(args.query_positions.size()),
                                        .query_heads = args.query_heads,
                                        .total_query_heads = args.total_query_heads,
                                        .scale = args.scale,
                                        .pair_count = static_cast<int>(pairs.size()),
                                        .rotary_first_dim = args.rotary.first_dim,
                                        .rotary_interleaved = args.rotary.interleaved,
                                        .faults = fault(kExpectedFault)};
  PB_ASSIGN_OR_RETURN(batch.problems, staging_.Upload(absl::MakeConstSpan(&problem, 1)));
  PB_ASSIGN_OR_RETURN(batch.pairs, staging_.Upload(absl::MakeConstSpan(pairs)));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                      staging_.Scratch(kernels::ExpectedAttentionWorkspaceBytes(batch)));
  return kernels::LaunchExpectedAttention(batch, workspace, stream());
}

absl::Status CudaOperations::KeyRedundancy(const kernels::KeyRedundancyArgs& args,
                                           absl::Span<std::int32_t> out) {
  PB_RETURN_IF_ERROR(CheckOrdered("KeyRedundancy",
                                  {args.cache, args.shape, args.block_size, args.block_table},
                                  args.order, out));
  kernels::KeyRedundancyProblem problem{.cache = args.cache,
                                        .rows = static_cast<std::int32_t>(out.size())};
  PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(args.block_table));
  PB_ASSIGN_OR_RETURN(problem.order, staging_.Upload(args.order));
  PB_ASSIGN_OR_RETURN(problem.out, staging_.Result(out));
  kernels::KeyRedundancyBatch batch{.count = 1,
                                    .most_rows = problem.rows,
                                    .shape = args.shape,
                                    .block_size = args.block_size,
                                    .total_kv_heads = args.total_kv_heads,
                                    .faults = fault(kRedundancyFault)};
  PB_ASSIGN_OR_RETURN(batch.problems, staging_.Upload(absl::MakeConstSpan(&problem, 1)));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                      staging_.Scratch(kernels::KeyRedundancyWorkspaceBytes(batch)));
  return kernels::LaunchKeyRedundancy(batch, workspace, stream());
}

absl::Status CudaOperations::GatherPages(const kernels::PageCopyArgs& from,
                                         absl::Span<const PageOut> pages) {
  if (pages.empty()) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(const auto* const layer, UploadLayer(from));
  std::vector<kernels::PageToGather> batch(pages.size());
  Tags& tags = tags_.emplace_back(Tags{std::vector<std::uint64_t>(pages.size()), {}});
  for (std::size_t i = 0; i < pages.size(); ++i) {
    PB_RETURN_IF_ERROR(CheckPages("PageGather", from, pages[i].rows));
    batch[i].identity = pages[i].identity;
    batch[i].bytes = pages[i].bytes.data();
    if (!cuda::IsReachable(batch[i].bytes)) {
      PB_ASSIGN_OR_RETURN(batch[i].bytes, staging_.PinnedResult(pages[i].bytes));
    }
    std::copy(pages[i].rows.begin(), pages[i].rows.end(), batch[i].rows);
    tags.to.push_back(pages[i].tag);
  }
  PB_ASSIGN_OR_RETURN(const auto* const uploaded, staging_.Upload(absl::MakeConstSpan(batch)));
  PB_ASSIGN_OR_RETURN(std::uint64_t* const out, staging_.Result(absl::MakeSpan(tags.values)));
  return kernels::LaunchPageGather(
      {.layers = layer,
       .pages = uploaded,
       .tags = out,
       .count = static_cast<int>(pages.size()),
       .shape = from.shape,
       .block_size = from.block_size,
       .max_blocks = kernels::BlocksToHost(kernels::PageBytes(from.shape))},
      stream());
}

absl::Status CudaOperations::BuildDigests(const kernels::PageCopyArgs& from,
                                          absl::Span<const std::int32_t> rows,
                                          absl::Span<const std::int32_t> slots,
                                          const DigestArrays& digests) {
  PB_RETURN_IF_ERROR(CheckPages("BuildDigest", from, rows));
  kernels::BuildDigestBatch batch{
      .cache = from.cache,
      .shape = from.shape,
      .block_size = from.block_size,
      .digests = {digests.centres.data(), digests.counts.data(), digests.step.data()},
      .count = static_cast<int>(slots.size()),
      .faults = fault(kDigestFault)};
  PB_ASSIGN_OR_RETURN(batch.block_table, staging_.Upload(from.block_table));
  PB_ASSIGN_OR_RETURN(batch.rows, staging_.Upload(rows));
  PB_ASSIGN_OR_RETURN(batch.slots, staging_.Upload(slots));
  return kernels::LaunchBuildDigest(batch, stream());
}

absl::Status CudaOperations::Compact(const kernels::CompactArgs& args) {
  PB_RETURN_IF_ERROR(kernels::CheckCompact(args));
  kernels::CompactProblem problem{.cache = args.cache,
                                  .count = static_cast<std::int32_t>(args.source_rows.size()),
                                  .first_row = args.first_row,
                                  .head_rows = args.head_rows};
  PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(args.block_table));
  PB_ASSIGN_OR_RETURN(problem.source_rows, staging_.Upload(args.source_rows));
  if (!args.destination_table.empty() && args.destination_table != args.block_table) {
    PB_ASSIGN_OR_RETURN(problem.destination_table, staging_.Upload(args.destination_table));
  }
  PB_ASSIGN_OR_RETURN(const auto* const problems,
                      staging_.Upload(absl::MakeConstSpan(&problem, 1)));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                      staging_.Scratch(kernels::CompactWorkspaceBytes(1, problem.count)));
  return kernels::LaunchCompact({.problems = problems,
                                 .count = 1,
                                 .longest = problem.count,
                                 .shape = args.shape,
                                 .block_size = args.block_size},
                                workspace, stream());
}

absl::Status CudaOperations::ReadRows(const kernels::PageCopyArgs& from,
                                      absl::Span<const std::int32_t> rows,
                                      absl::Span<std::byte> bytes) {
  std::byte* to = bytes.data();
  const auto read = [&](const KvPlane& plane, std::int32_t row, std::size_t row_bytes) {
    absl::Status read;
    const std::size_t head_bytes = row_bytes / from.shape.kv_heads;
    for (int head = 0; head < from.shape.kv_heads; ++head, to += head_bytes) {
      read.Update(cuda::ToStatus(
          cudaMemcpyAsync(
              to, kernels::RowAddress(plane, from.block_table.data(), from.block_size, row, head),
              head_bytes, cudaMemcpyDeviceToHost, stream()),
          "read a row"));
    }
    return read;
  };
  for (const std::int32_t row : rows) {
    PB_RETURN_IF_ERROR(read(from.cache.key, row, from.shape.KeyBytes()));
    if (from.shape.value_in_key) continue;
    PB_RETURN_IF_ERROR(read(from.cache.value, row, from.shape.ValueBytes()));
  }
  return absl::OkStatus();
}

}  // namespace pinboard
