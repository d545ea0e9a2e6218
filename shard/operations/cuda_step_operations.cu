// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What CudaOperations does in a step.
#include <algorithm>

#include "kernels/entropy/entropy_cuda.cuh"
#include "kernels/evicted_attention/evicted_attention_cuda.cuh"
#include "kernels/page_transfer/page_transfer_tuning.h"
#include "kernels/paged_rows.h"
#include "kernels/projection_sketch/projection_sketch_cuda.cuh"
#include "kernels/representation_shift/representation_shift_cuda.cuh"
#include "shard/operations/cuda_operations_impl.cuh"

namespace pinboard {
namespace {

/// Pages are scored for so many tokens at once: the workspace grows with them.
constexpr int kScoredTokens = 32;

}  // namespace

absl::Status CudaOperations::TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                                        int vocab_begin, int k, absl::Span<float> values,
                                        absl::Span<std::int32_t> ids) {
  PB_ASSIGN_OR_RETURN(float* const device_values, staging_.Result(values));
  PB_ASSIGN_OR_RETURN(std::int32_t* const device_ids, staging_.Result(ids));
  return kernels::LaunchTopKLogits({.logits = logits.data(),
                                    .dtype = DType::kF32,
                                    .tokens = tokens,
                                    .vocab_local = vocab_local,
                                    .vocab_begin = vocab_begin,
                                    .k = k,
                                    .values = device_values,
                                    .ids = device_ids,
                                    .faults = fault(kLogitsFault)},
                                   stream());
}

absl::Status CudaOperations::RepresentationShift(absl::Span<const float> hidden,
                                                 absl::Span<const float> final_hidden, int tokens,
                                                 int dim, absl::Span<float> shift) {
  PB_ASSIGN_OR_RETURN(float* const out, staging_.Result(shift));
  return kernels::LaunchRepresentationShift({.hidden = hidden.data(),
                                             .final_hidden = final_hidden.data(),
                                             .dtype = DType::kF32,
                                             .tokens = tokens,
                                             .dim = dim,
                                             .shift = out,
                                             .faults = fault(kShiftFault)},
                                            stream());
}

absl::Status CudaOperations::ProjectionSketch(absl::Span<const float> hidden, int tokens, int dim,
                                              int width, absl::Span<float> sketch) {
  return kernels::LaunchProjectionSketch({.hidden = hidden.data(),
                                          .dtype = DType::kF32,
                                          .tokens = tokens,
                                          .dim = dim,
                                          .width = width,
                                          .sketch = sketch.data(),
                                          .faults = fault(kSketchFault)},
                                         stream());
}

absl::Status CudaOperations::ScorePages(const kernels::PageScoreArgs& args,
                                        absl::Span<std::int32_t> out) {
  if (out.empty()) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(const std::int32_t* const pages, staging_.Upload(args.pages));
  // In steps of tokens; a page's score is the highest of them.
  page_scores_.push_back({out, {}});
  const std::size_t width = static_cast<std::size_t>(args.query_heads) * args.shape.key_dim;
  for (int first = 0; first < args.tokens; first += kScoredTokens) {
    const int tokens = std::min(kScoredTokens, args.tokens - first);
    auto& part = page_scores_.back().parts.emplace_back(out.size());
    PB_ASSIGN_OR_RETURN(std::int32_t* const scores, staging_.Result(absl::MakeSpan(part)));
    const kernels::ScorePagesProblem problem{OnDevice(args.digests), pages,
                                             args.queries.data() + first * width, scores,
                                             static_cast<std::int32_t>(out.size())};
    PB_ASSIGN_OR_RETURN(const auto* const problems,
                        staging_.Upload(absl::MakeConstSpan(&problem, 1)));
    kernels::ScorePagesBatch batch{.problems = problems,
                                   .count = 1,
                                   .most_pages = problem.count,
                                   .shape = args.shape,
                                   .tokens = tokens,
                                   .query_heads = args.query_heads,
                                   .total_query_heads = args.total_query_heads,
                                   .attention_scale = args.attention_scale,
                                   .faults = fault(kPageScoreFault)};
    PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                        staging_.Scratch(kernels::ScorePagesWorkspaceBytes(batch)));
    PB_RETURN_IF_ERROR(kernels::LaunchScorePages(batch, workspace, stream()));
  }
  return absl::OkStatus();
}

absl::Status CudaOperations::EvictedAttention(const kernels::EvictedAttentionArgs& args,
                                              kernels::EvictedAttentionResult* out) {
  kernels::EvictedAttentionProblem problem{
      .cache = args.layer.cache,
      .digests = OnDevice(args.digests),
      .query = args.query.data(),
      .rows = static_cast<std::int32_t>(args.rows),
      .ring_rows = static_cast<std::int32_t>(args.ring_rows),
      .evicted_count = static_cast<std::int32_t>(args.evicted.size())};
  PB_ASSIGN_OR_RETURN(problem.block_table, staging_.Upload(args.layer.block_table));
  PB_ASSIGN_OR_RETURN(problem.evicted, staging_.Upload(args.evicted));
  kernels::EvictedAttentionBatch batch{.count = 1,
                                       .most_ring_rows = problem.ring_rows,
                                       .shape = args.layer.shape,
                                       .block_size = args.layer.block_size,
                                       .query_heads = args.query_heads,
                                       .attention_scale = args.attention_scale,
                                       .faults = fault(kEvictedFault)};
  PB_ASSIGN_OR_RETURN(batch.problems, staging_.Upload(absl::MakeConstSpan(&problem, 1)));
  PB_ASSIGN_OR_RETURN(batch.results, staging_.Result(absl::MakeSpan(out, 1)));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace,
                      staging_.Scratch(kernels::EvictedAttentionWorkspaceBytes(batch)));
  return kernels::LaunchEvictedAttention(batch, workspace, stream());
}

absl::Status CudaOperations::ScatterPage(const kernels::PageCopyArgs& to, const PageIn& page) {
  const kernels::PagedLayer rows{to.cache, to.shape, to.block_size, to.block_table};
  PB_RETURN_IF_ERROR(
      kernels::CheckRows("PageScatter", rows, std::int64_t{page.first_row} + kPageRows));
  const std::byte* bytes = page.bytes.data();
  if (!cuda::IsReachable(bytes)) {
    PB_ASSIGN_OR_RETURN(bytes, staging_.Pinned(page.bytes));
  }
  if (page.owner != nullptr) owners_.push_back(page.owner);
  PB_ASSIGN_OR_RETURN(const auto* const layer, UploadLayer(to));
  const kernels::PageToScatter one{page.identity, page.tag, bytes, 0, page.first_row};
  PB_ASSIGN_OR_RETURN(const auto* const pages, staging_.Upload(absl::MakeConstSpan(&one, 1)));
  kernels::ScatterOutcome& host = outcomes_.emplace_back(kernels::ScatterOutcome::kRefused);
  PB_ASSIGN_OR_RETURN(kernels::ScatterOutcome* const outcome,
                      staging_.Result(absl::MakeSpan(&host, 1)));
  return kernels::LaunchPageScatter({.layers = layer,
                                     .pages = pages,
                                     .outcomes = outcome,
                                     .count = 1,
                                     .shape = to.shape,
                                     .block_size = to.block_size,
                                     .max_blocks = kernels::kBlocksFromHost},
                                    stream());
}

}  // namespace pinboard
