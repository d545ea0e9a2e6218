// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What CudaOperations does in a round.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "kernels/compact/compact_cuda.cuh"
#include "kernels/expected_attention/expected_attention_cuda.cuh"
#include "kernels/key_redundancy/key_redundancy_cuda.cuh"
#include "kernels/page_transfer/page_transfer_tuning.h"
#include "kernels/paged_rows.h"
#include "shard/operations/cuda_operations_impl.cuh"

namespace pinboard {
namespace {

/// Attention's workspace and its queries in 16 bits take no more than this at once, but for one
/// layer.
constexpr std::size_t kScoringBytes = std::size_t{256} << 20;

/// to[i, j] = from[i][j] for j < count, in f16 or bf16, which the keys' format decides; a row of
/// the grid each.
__global__ void NarrowQueries(const float* const* from, std::uint16_t* to, std::size_t count,
                              bool to_f16) {
  const std::size_t j = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (j >= count) return;
  const float value = from[blockIdx.y][j];
  to[blockIdx.y * count + j] = to_f16 ? FloatToFloat16(value) : FloatToBFloat16(value);
}

/// Whether one launch takes both.
bool GoTogether(const kernels::AttentionScoreArgs& a, const kernels::AttentionScoreArgs& b) {
  return a.query_positions.size() == b.query_positions.size() && a.pool == b.pool &&
         a.query_heads == b.query_heads && a.total_query_heads == b.total_query_heads &&
         a.log_sum_exp.empty() == b.log_sum_exp.empty();
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

absl::Status CudaOperations::AttentionScore(absl::Span<const RowsToScore> layers) {
  std::vector<std::vector<const RowsToScore*>> groups;
  for (const RowsToScore& layer : layers) {
    const auto fits = [&](const auto& group) {
      return GoTogether(group.front()->args, layer.args);
    };
    auto group = std::find_if(groups.begin(), groups.end(), fits);
    if (group == groups.end()) group = groups.emplace(groups.end());
    group->push_back(&layer);
  }
  for (const auto& group : groups) PB_RETURN_IF_ERROR(ScoreRows(group));
  return absl::OkStatus();
}

absl::StatusOr<kernels::AttentionScoreProblem> CudaOperations::UploadRows(
    const RowsToScore& layer) {
  const kernels::AttentionScoreArgs& args = layer.args;
  PB_RETURN_IF_ERROR(CheckOrdered("AttentionScore",
                                  {args.cache, args.shape, args.block_size, args.block_table},
                                  args.order, layer.out));
  const std::size_t queries = args.query_positions.size() * args.query_heads;
  if (queries == 0 || args.queries.size() != queries * args.shape.key_dim ||
      (!args.log_sum_exp.empty() && args.log_sum_exp.size() != queries)) {
    return absl::InvalidArgumentError(absl::StrCat("AttentionScore: ", args.queries.size(),
                                                   " query values and ", args.log_sum_exp.size(),
                                                   " log-sum-exps for ", queries, " queries"));
  }
  kernels::AttentionScoreProblem problem{.cache = args.cache,
                                         .rows = static_cast<std::int32_t>(layer.out.size())};
  PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(args.block_table));
  PB_ASSIGN_OR_RETURN(problem.row_positions, staging_.Upload(args.row_positions));
  PB_ASSIGN_OR_RETURN(problem.order, staging_.Upload(args.order));
  PB_ASSIGN_OR_RETURN(problem.query_positions, staging_.Upload(args.query_positions));
  problem.out = layer.out.data();
  if (!args.log_sum_exp.empty()) problem.log_sum_exp = args.log_sum_exp.data();
  return problem;
}

absl::Status CudaOperations::ScoreRows(absl::Span<const RowsToScore* const> layers) {
  const kernels::AttentionScoreArgs& args = layers.front()->args;
  kernels::AttentionScoreBatch batch{.count = 1,
                                     .shape = args.shape,
                                     .block_size = args.block_size,
                                     .window = static_cast<int>(args.query_positions.size()),
                                     .query_heads = args.query_heads,
                                     .total_query_heads = args.total_query_heads,
                                     .scale = args.scale,
                                     .pool = args.pool,
                                     .has_log_sum_exp = !args.log_sum_exp.empty(),
                                     .faults = fault(kAttentionFault)};
  std::vector<kernels::AttentionScoreProblem> problems;
  std::vector<const float*> queries;
  for (const RowsToScore* layer : layers) {
    PB_ASSIGN_OR_RETURN(problems.emplace_back(), UploadRows(*layer));
    queries.push_back(layer->args.queries.data());
    batch.most_rows = std::max(batch.most_rows, problems.back().rows);
  }
  const std::size_t values = args.queries.size();
  const std::size_t bytes_each =
      kernels::AttentionScoreWorkspaceBytes(batch) + values * sizeof(std::uint16_t);
  const std::size_t most = std::max<std::size_t>(1, kScoringBytes / bytes_each);
  batch.count = static_cast<int>(std::min(most, problems.size()));
  PB_ASSIGN_OR_RETURN(std::byte* const narrow_bytes,
                      staging_.Scratch(batch.count * values * sizeof(std::uint16_t)));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                      staging_.Scratch(kernels::AttentionScoreWorkspaceBytes(batch)));
  PB_ASSIGN_OR_RETURN(const float* const* from, staging_.Upload(absl::MakeConstSpan(queries)));
  auto* const narrow = reinterpret_cast<std::uint16_t*>(narrow_bytes);
  for (std::size_t i = 0; i < problems.size(); ++i) {
    problems[i].queries = narrow + i % most * values;
  }
  PB_ASSIGN_OR_RETURN(batch.problems, staging_.Upload(absl::MakeConstSpan(problems)));
  PB_RETURN_IF_ERROR(staging_.Flush());
  constexpr unsigned kThreads = 256;
  for (std::size_t first = 0; first < problems.size(); first += most) {
    batch.count = static_cast<int>(std::min(most, problems.size() - first));
    const dim3 grid(static_cast<unsigned>((values + kThreads - 1) / kThreads),
                    static_cast<unsigned>(batch.count));
    NarrowQueries<<<grid, kThreads, 0, stream()>>>(
        from + first, narrow, values, kernels::AttentionQueryType(args.shape.dtype) == DType::kF16);
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "queries to 16 bits"));
    PB_RETURN_IF_ERROR(kernels::LaunchAttentionScore(batch, workspace, stream()));
    batch.problems += batch.count;
  }
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
                                            .out = out.data(),
                                            .rows = static_cast<std::int32_t>(out.size()),
                                            .next_position = args.next_position};
  PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(args.block_table));
  PB_ASSIGN_OR_RETURN(problem.order, staging_.Upload(args.order));
  PB_ASSIGN_OR_RETURN(problem.query_positions, staging_.Upload(args.query_positions));
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
  return Launch([&] { return kernels::LaunchExpectedAttention(batch, workspace, stream()); });
}

absl::Status CudaOperations::KeyRedundancy(const kernels::KeyRedundancyArgs& args,
                                           absl::Span<std::int32_t> out) {
  PB_RETURN_IF_ERROR(CheckOrdered("KeyRedundancy",
                                  {args.cache, args.shape, args.block_size, args.block_table},
                                  args.order, out));
  kernels::KeyRedundancyProblem problem{
      .cache = args.cache, .out = out.data(), .rows = static_cast<std::int32_t>(out.size())};
  PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(args.block_table));
  PB_ASSIGN_OR_RETURN(problem.order, staging_.Upload(args.order));
  kernels::KeyRedundancyBatch batch{.count = 1,
                                    .most_rows = problem.rows,
                                    .shape = args.shape,
                                    .block_size = args.block_size,
                                    .total_kv_heads = args.total_kv_heads,
                                    .faults = fault(kRedundancyFault)};
  PB_ASSIGN_OR_RETURN(batch.problems, staging_.Upload(absl::MakeConstSpan(&problem, 1)));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                      staging_.Scratch(kernels::KeyRedundancyWorkspaceBytes(batch)));
  return Launch([&] { return kernels::LaunchKeyRedundancy(batch, workspace, stream()); });
}

absl::Status CudaOperations::GatherPages(absl::Span<const PageOut> pages) {
  if (pages.empty()) return absl::OkStatus();
  TransferLayers layers(&staging_);
  std::vector<kernels::PageToGather> batch(pages.size());
  Tags& tags = tags_.emplace_back(Tags{std::vector<std::uint64_t>(pages.size()), {}});
  for (std::size_t i = 0; i < pages.size(); ++i) {
    PB_RETURN_IF_ERROR(CheckPages("PageGather", pages[i].from, pages[i].rows));
    batch[i].identity = pages[i].identity;
    batch[i].bytes = pages[i].bytes.data();
    if (!cuda::IsReachable(batch[i].bytes)) {
      PB_ASSIGN_OR_RETURN(batch[i].bytes, staging_.PinnedResult(pages[i].bytes));
    }
    PB_ASSIGN_OR_RETURN(batch[i].layer, layers.Add(pages[i].from));
    std::copy(pages[i].rows.begin(), pages[i].rows.end(), batch[i].rows);
    tags.to.push_back(pages[i].tag);
  }
  const KvShape& shape = pages.front().from.shape;
  kernels::PageGatherBatch all{.count = static_cast<int>(pages.size()),
                               .shape = shape,
                               .block_size = pages.front().from.block_size,
                               .max_blocks = kernels::BlocksToHost(kernels::PageBytes(shape))};
  PB_ASSIGN_OR_RETURN(all.layers, layers.Upload());
  PB_ASSIGN_OR_RETURN(all.pages, staging_.Upload(absl::MakeConstSpan(batch)));
  PB_ASSIGN_OR_RETURN(all.tags, staging_.Result(absl::MakeSpan(tags.values)));
  return Launch([&] { return kernels::LaunchPageGather(all, stream()); });
}

absl::Status CudaOperations::BuildDigests(absl::Span<const DigestsToBuild> layers) {
  if (layers.empty()) return absl::OkStatus();
  std::vector<kernels::BuildDigestProblem> problems;
  kernels::BuildDigestBatch batch{.count = static_cast<int>(layers.size()),
                                  .shape = layers.front().from.shape,
                                  .block_size = layers.front().from.block_size,
                                  .faults = fault(kDigestFault)};
  for (const DigestsToBuild& layer : layers) {
    PB_RETURN_IF_ERROR(CheckPages("BuildDigest", layer.from, layer.rows));
    kernels::BuildDigestProblem& problem = problems.emplace_back();
    problem.cache = layer.from.cache;
    problem.digests = {layer.digests.centres.data(), layer.digests.counts.data(),
                       layer.digests.step.data()};
    problem.count = static_cast<std::int32_t>(layer.slots.size());
    PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(layer.from.block_table));
    PB_ASSIGN_OR_RETURN(problem.rows, staging_.Upload(layer.rows));
    PB_ASSIGN_OR_RETURN(problem.slots, staging_.Upload(layer.slots));
    batch.most_pages = std::max(batch.most_pages, problem.count);
  }
  PB_ASSIGN_OR_RETURN(batch.problems, staging_.Upload(absl::MakeConstSpan(problems)));
  return Launch([&] { return kernels::LaunchBuildDigest(batch, stream()); });
}

absl::Status CudaOperations::CheckRows(const KvShape& shape, int block_size, bool has_pages) {
  // Launches of nothing check what they would work on.
  absl::Status fits =
      kernels::LaunchCompact({.shape = shape, .block_size = block_size}, nullptr, stream());
  if (fits.ok() && has_pages) {
    fits = kernels::LaunchPageScatter({.shape = shape, .block_size = block_size}, stream());
  }
  if (!absl::IsUnimplemented(fits)) return fits;
  return absl::UnimplementedError(
      absl::StrCat(std::string(fits.message()), "; use more ranks, which share out the KV heads"));
}

absl::Status CudaOperations::Compact(absl::Span<const kernels::CompactArgs> layers) {
  if (layers.empty()) return absl::OkStatus();
  std::vector<kernels::CompactProblem> problems;
  kernels::CompactBatch batch{.count = static_cast<int>(layers.size()),
                              .shape = layers.front().shape,
                              .block_size = layers.front().block_size};
  for (const kernels::CompactArgs& layer : layers) {
    PB_RETURN_IF_ERROR(kernels::CheckCompact(layer));
    kernels::CompactProblem& problem = problems.emplace_back();
    problem.cache = layer.cache;
    problem.count = static_cast<std::int32_t>(layer.source_rows.size());
    problem.first_row = layer.first_row;
    problem.head_rows = layer.head_rows;
    PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(layer.block_table));
    PB_ASSIGN_OR_RETURN(problem.source_rows, staging_.Upload(layer.source_rows));
    if (!layer.destination_table.empty() && layer.destination_table != layer.block_table) {
      PB_ASSIGN_OR_RETURN(problem.destination_table, staging_.Upload(layer.destination_table));
    }
    batch.longest = std::max(batch.longest, problem.count);
  }
  PB_ASSIGN_OR_RETURN(batch.problems, staging_.Upload(absl::MakeConstSpan(problems)));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                      staging_.Scratch(kernels::CompactWorkspaceBytes(batch.count, batch.longest)));
  return Launch([&] { return kernels::LaunchCompact(batch, workspace, stream()); });
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
