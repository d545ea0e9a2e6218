// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What CudaOperations does in a step.
#include <algorithm>
#include <map>
#include <vector>

#include "kernels/entropy/entropy_cuda.cuh"
#include "kernels/evicted_attention/evicted_attention_cuda.cuh"
#include "kernels/paged_rows.h"
#include "kernels/projection_sketch/projection_sketch_cuda.cuh"
#include "kernels/representation_shift/representation_shift_cuda.cuh"
#include "shard/operations/cuda_operations_impl.cuh"

namespace pinboard {
namespace {

/// Pages are scored for so many tokens at once: the workspace grows with them.
constexpr int kScoredTokens = 32;
/// What one launch that scores pages works in; one sequence's layer may take more.
constexpr std::size_t kPageScoringBytes = std::size_t{256} << 20;

static_assert(kMostParts == kernels::kMaxDeviceParts);

/// Of one launch: by value, so that nothing is uploaded for it.
constexpr int kCopies = 128;
struct CopyBatch {
  struct Copy {
    const float* from;
    float* to;
    std::int64_t count;
  } copies[kCopies];
};

constexpr int kCopyThreads = 256;
constexpr std::int64_t kCopyValues = 1024;  // of a block

__global__ __launch_bounds__(kCopyThreads) void CopyKernel(
    const __grid_constant__ CopyBatch batch) {
  const CopyBatch::Copy& copy = batch.copies[blockIdx.y];
  for (std::int64_t i = blockIdx.x * std::int64_t{kCopyThreads} + threadIdx.x; i < copy.count;
       i += std::int64_t{gridDim.x} * kCopyThreads) {
    copy.to[i] = copy.from[i];
  }
}

}  // namespace

absl::Status CudaOperations::CopyAll(absl::Span<const FloatCopy> copies) {
  for (; !copies.empty(); copies.remove_prefix(std::min<std::size_t>(copies.size(), kCopies))) {
    const auto now = copies.first(std::min<std::size_t>(copies.size(), kCopies));
    CopyBatch batch;
    std::int64_t most = 1;
    for (std::size_t i = 0; i < now.size(); ++i) {
      const auto count = static_cast<std::int64_t>(now[i].from.size());
      batch.copies[i] = {now[i].from.data(), now[i].to, count};
      most = std::max(most, count);
    }
    const dim3 grid(static_cast<unsigned>((most + kCopyValues - 1) / kCopyValues),
                    static_cast<unsigned>(now.size()));
    CopyKernel<<<grid, kCopyThreads, 0, stream()>>>(batch);
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaGetLastError(), "copy within the device"));
  }
  return absl::OkStatus();
}

absl::Status CudaOperations::TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                                        int vocab_begin, int k, absl::Span<float> values,
                                        absl::Span<std::int32_t> ids) {
  return kernels::LaunchTopKLogits({.logits = logits.data(),
                                    .dtype = DType::kF32,
                                    .tokens = tokens,
                                    .vocab_local = vocab_local,
                                    .vocab_begin = vocab_begin,
                                    .k = k,
                                    .values = values.data(),
                                    .ids = ids.data(),
                                    .faults = fault(kLogitsFault)},
                                   stream());
}

absl::Status CudaOperations::MergedEntropy(absl::Span<const float> values, int parts, int tokens,
                                           int k, absl::Span<float> entropy) {
  PB_ASSIGN_OR_RETURN(float* const out, staging_.Result(entropy));
  return kernels::LaunchMergedEntropy({.values = values.data(),
                                       .parts = parts,
                                       .tokens = tokens,
                                       .k = k,
                                       .entropy = out,
                                       .faults = fault(kEntropyFault)},
                                      stream());
}

absl::Status CudaOperations::Read(absl::Span<const std::byte> from, absl::Span<std::byte> to) {
  PB_ASSIGN_OR_RETURN(std::byte* const out, staging_.Result(to));
  return memory_.Copy(out, from.data(), from.size());
}

absl::Status CudaOperations::Write(absl::Span<const std::byte> from, absl::Span<std::byte> to) {
  PB_ASSIGN_OR_RETURN(const std::byte* const in, staging_.Upload(from));
  return Launch([&] { return memory_.Copy(to.data(), in, from.size()); });
}

absl::Status CudaOperations::RepresentationShift(absl::Span<const float> hidden,
                                                 absl::Span<const float> final_hidden, int tokens,
                                                 int dim, absl::Span<float> shift) {
  if (tokens == 0) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(float* const out, staging_.Result(shift));
  return kernels::LaunchRepresentationShift({.hidden = hidden.data(),
                                             .final_hidden = final_hidden.data(),
                                             .dtype = DType::kF32,
                                             .tokens = tokens,
                                             .dim = dim,
                                             .shift = out,
                                             .faults = fault(kShiftFault),
                                             .layers = static_cast<int>(shift.size()) / tokens},
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

absl::Status CudaOperations::ScorePages(absl::Span<const PagesToScore> layers) {
  std::map<int, std::vector<const PagesToScore*>> by_tokens;
  for (const PagesToScore& layer : layers) {
    if (!layer.out.empty()) by_tokens[layer.args.tokens].push_back(&layer);
  }
  for (const auto& [tokens, some] : by_tokens) PB_RETURN_IF_ERROR(ScorePagesBy(tokens, some));
  return absl::OkStatus();
}

absl::Status CudaOperations::ScorePagesBy(int tokens,
                                          absl::Span<const PagesToScore* const> layers) {
  const kernels::PageScoreArgs& shape = layers.front()->args;
  kernels::ScorePagesBatch batch{.shape = shape.shape,
                                 .query_heads = shape.query_heads,
                                 .total_query_heads = shape.total_query_heads,
                                 .attention_scale = shape.attention_scale,
                                 .faults = fault(kPageScoreFault)};
  while (!layers.empty()) {
    batch.count = 0;
    batch.most_pages = 0;
    batch.tokens = std::min(kScoredTokens, tokens);
    for (const PagesToScore* layer : layers) {
      kernels::ScorePagesBatch larger = batch;
      ++larger.count;
      larger.most_pages = std::max(batch.most_pages, static_cast<int>(layer->out.size()));
      const bool fits = larger.count <= kernels::kMostScoredTogether &&
                        kernels::ScorePagesWorkspaceBytes(larger) <= kPageScoringBytes;
      if (!fits && batch.count > 0) break;
      batch = larger;
    }
    PB_RETURN_IF_ERROR(ScorePagesTogether(tokens, layers.first(batch.count), batch));
    layers.remove_prefix(batch.count);
  }
  return absl::OkStatus();
}

absl::Status CudaOperations::ScorePagesTogether(int tokens,
                                                absl::Span<const PagesToScore* const> layers,
                                                kernels::ScorePagesBatch batch) {
  std::vector<kernels::ScorePagesProblem> problems;
  for (const PagesToScore* layer : layers) {
    kernels::ScorePagesProblem& problem = problems.emplace_back();
    problem.digests = OnDevice(layer->args.digests);
    problem.queries = layer->args.queries.data();
    problem.count = static_cast<std::int32_t>(layer->out.size());
    PB_ASSIGN_OR_RETURN(problem.pages, staging_.Upload(layer->args.pages));
    problem.out = layer->out.data();
  }
  PB_ASSIGN_OR_RETURN(std::byte* const workspace, PageScoringRoom(batch));
  const std::size_t width = static_cast<std::size_t>(batch.query_heads) * batch.shape.key_dim;
  for (int first = 0; first < tokens; first += kScoredTokens) {
    batch.tokens = std::min(kScoredTokens, tokens - first);
    batch.joins = first > 0;
    PB_ASSIGN_OR_RETURN(batch.problems, staging_.Upload(absl::MakeConstSpan(problems)));
    PB_RETURN_IF_ERROR(
        Launch([&] { return kernels::LaunchScorePages(batch, workspace, stream()); }));
    for (kernels::ScorePagesProblem& problem : problems) problem.queries += kScoredTokens * width;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::byte*> CudaOperations::PageScoringRoom(const kernels::ScorePagesBatch& batch) {
  const std::size_t bytes = kernels::ScorePagesWorkspaceBytes(batch);
  if (bytes > kPageScoringBytes) return staging_.Scratch(bytes);  // rare: not to be kept
  if (page_scoring_bytes_ < bytes) {
    PB_ASSIGN_OR_RETURN(page_scoring_, memory_.Allocate(bytes));
    page_scoring_bytes_ = bytes;
  }
  return page_scoring_.get();
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
  return Launch([&] { return kernels::LaunchEvictedAttention(batch, workspace, stream()); });
}

absl::Status CudaOperations::ScatterPages(absl::Span<const PageIn> pages) {
  if (pages.empty()) return absl::OkStatus();
  TransferLayers layers(&staging_);
  std::vector<kernels::PageToScatter> batch;
  kernels::PageScatterBatch all{.shape = pages.front().to.shape,
                                .block_size = pages.front().to.block_size};
  for (const PageIn& page : pages) {
    const kernels::PagedLayer rows{page.to.cache, page.to.shape, page.to.block_size,
                                   page.to.block_table};
    PB_RETURN_IF_ERROR(
        kernels::CheckRows("PageScatter", rows, std::int64_t{page.first_row} + kPageRows));
    owners_.push_back(page.owner);
    PB_ASSIGN_OR_RETURN(const std::int32_t layer, layers.Add(page.to));
    batch.push_back({page.identity, page.tag, page.bytes.data(), layer, page.first_row});
  }
  auto& host = outcomes_.emplace_back(pages.size(), kernels::ScatterOutcome::kRefused);
  all.count = static_cast<int>(batch.size());
  PB_ASSIGN_OR_RETURN(all.layers, layers.Upload());
  PB_ASSIGN_OR_RETURN(all.pages, staging_.Upload(absl::MakeConstSpan(batch)));
  PB_ASSIGN_OR_RETURN(all.outcomes, staging_.Result(absl::MakeSpan(host)));
  return Launch([&] { return kernels::LaunchPageScatter(all, stream()); });
}

}  // namespace pinboard
