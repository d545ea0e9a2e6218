// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's operations at the shapes they are meant for: median time of graph replays on random
// data, with a buffer larger than L2 read before each; and the floor, which is the time that
// reading and writing each byte once takes at the copy bandwidth measured beside them, or that the
// products take at a large product's rate, whichever is more.
//
// usage: device_bench [--json FILE] [NAME]    all operations, or those whose names begin with NAME
//        device_bench --once NAME             launches the operation NAME once, for a profiler
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "bench/device_report.cuh"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/compact/compact_cuda.cuh"
#include "kernels/entropy/entropy_cuda.cuh"
#include "kernels/full_entropy/full_entropy_cuda.cuh"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/representation_shift/representation_shift_cuda.cuh"
#include "kernels/select/select_cuda.cuh"

namespace pinboard::kernels {
namespace {

using bench::Allocate;
using bench::Bf16Normals;
using bench::Copy;
using bench::Faults;
using bench::Report;
using bench::Require;
using bench::UpTo;

void BenchSelect(Report& report, int problems, std::int64_t rows) {
  if (!report.Wants("select")) return;
  std::mt19937_64 random(1);
  const auto total = static_cast<std::size_t>(problems * rows);
  std::exponential_distribution<double> heavy(1.0);
  std::vector<std::int64_t> first(problems + 1);
  for (int p = 0; p <= problems; ++p) first[p] = p * rows;
  SelectBatch batch;
  for (const std::int64_t** score : {&batch.keep_score, &batch.band_score}) {
    std::vector<std::int64_t> scores(total);
    for (auto& value : scores) value = static_cast<std::int64_t>(std::ldexp(heavy(random), 30));
    *score = Copy(scores);
  }
  batch.is_protected = Copy(std::vector<std::uint8_t>(total, 0));
  batch.first_row = Copy(first);
  const auto tenth = static_cast<std::int32_t>(rows / 10);
  batch.counts = Copy(std::vector<SelectCounts>(problems, {tenth, 0, 4 * tenth}));
  batch.classes = Allocate<RowClass>(total);
  batch.problems = problems;
  batch.total_rows = static_cast<std::int64_t>(total);
  batch.longest = rows;
  auto* workspace = Allocate<std::byte>(SelectWorkspaceBytes(problems, batch.total_rows));
  const std::string shape = std::to_string(problems) + " x " + std::to_string(rows);
  for (const bool has_far : {false, true}) {
    batch.has_far = has_far;
    report.Add((has_far ? "select and band " : "select ") + shape,
               {.bytes = (has_far ? 18.0 : 10.0) * static_cast<double>(total)},
               [&](cudaStream_t stream) { return LaunchSelect(batch, workspace, stream); });
  }
}

void BenchEntropy(Report& report, int tokens, int vocab) {
  const std::string name =
      "top-256 entropy " + std::to_string(tokens) + " x " + std::to_string(vocab);
  if (!report.Wants(name)) return;
  constexpr int kTopK = 256;
  TopKLogitsBatch top_k{Bf16Normals(static_cast<std::size_t>(tokens) * vocab, 3.0F),
                        DType::kBF16,
                        tokens,
                        vocab,
                        0,
                        kTopK};
  top_k.values = Allocate<float>(static_cast<std::size_t>(tokens) * kTopK);
  top_k.ids = Allocate<std::int32_t>(static_cast<std::size_t>(tokens) * kTopK);
  top_k.faults = Faults();
  MergedEntropyBatch merge{top_k.values, 1, tokens, kTopK};
  merge.entropy = Allocate<float>(tokens);
  merge.faults = top_k.faults;
  report.Add(name, {.bytes = 2.0 * tokens * vocab}, [&](cudaStream_t stream) {
    const absl::Status status = LaunchTopKLogits(top_k, stream);
    return status.ok() ? LaunchMergedEntropy(merge, stream) : status;
  });
}

void BenchFullEntropy(Report& report, int tokens, int vocab) {
  const std::string name = "full entropy " + std::to_string(tokens) + " x " + std::to_string(vocab);
  if (!report.Wants(name)) return;
  const EntropyPartsBatch of_rank{Bf16Normals(static_cast<std::size_t>(tokens) * vocab, 3.0F),
                                  DType::kBF16, tokens, vocab, Allocate<EntropyPart>(tokens)};
  const JoinedEntropyBatch joined{of_rank.parts, 1, tokens, Allocate<float>(tokens), Faults()};
  report.Add(name, {.bytes = 2.0 * tokens * vocab}, [&](cudaStream_t stream) {
    const absl::Status status = LaunchEntropyParts(of_rank, stream);
    return status.ok() ? LaunchJoinedEntropy(joined, stream) : status;
  });
}

void BenchShift(Report& report, int tokens, int dim) {
  if (!report.Wants("shift")) return;
  const auto values = static_cast<std::size_t>(tokens) * dim;
  RepresentationShiftBatch batch{Bf16Normals(values), Bf16Normals(values, 2.0F), DType::kBF16,
                                 tokens, dim};
  batch.shift = Allocate<float>(tokens);
  batch.faults = Faults();
  report.Add("shift " + std::to_string(tokens) + " x " + std::to_string(dim),
             {.bytes = 4.0 * static_cast<double>(values)},
             [&](cudaStream_t stream) { return LaunchRepresentationShift(batch, stream); });
}

std::vector<std::int32_t> Shuffled(int count) {
  std::vector<std::int32_t> order = UpTo(count);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(2));
  return order;
}

template <typename T>
KvPlane Plane(T* base, const KvShape& shape, std::size_t row_bytes, int block_size) {
  const auto row = static_cast<std::int64_t>(row_bytes);
  return {reinterpret_cast<std::byte*>(base), row * block_size, row, row / shape.kv_heads};
}

void BenchCompact(Report& report, int rows) {
  if (!report.Wants("compact")) return;
  constexpr int kBlockSize = 16;
  const KvShape shape{8, 128, 128, false, DType::kBF16};
  const std::size_t values = static_cast<std::size_t>(rows) * 8 * 128;
  CompactProblem problem;
  problem.cache = {Plane(Bf16Normals(values), shape, shape.KeyBytes(), kBlockSize),
                   Plane(Bf16Normals(values), shape, shape.ValueBytes(), kBlockSize)};
  problem.block_table = Copy(Shuffled(rows / kBlockSize));
  std::mt19937_64 random(3);
  std::vector<std::int32_t> sources;
  for (int r = 0; r < rows; ++r) {
    if (random() % 4 == 0) sources.push_back(r);
  }
  problem.source_rows = Copy(sources);
  problem.count = static_cast<std::int32_t>(sources.size());
  CompactBatch batch{Copy(std::vector<CompactProblem>{problem}), 1, problem.count, shape,
                     kBlockSize};
  auto* workspace = Allocate<std::byte>(CompactWorkspaceBytes(1, batch.longest));
  report.Add("compact 25 % of " + std::to_string(rows) + " x 4096 B",
             {.bytes = 2.0 * problem.count * static_cast<double>(shape.RowBytes())},
             [&](cudaStream_t stream) { return LaunchCompact(batch, workspace, stream); });
}

/// Standard normal keys in the format of `shape`: some rows of them repeated, which no operation
/// notices. A latent's scales are 1/64.
std::byte* RandomKeys(const KvShape& shape, int rows) {
  constexpr int kRows = 4099;  // no multiple of a block
  const std::size_t row_bytes = shape.KeyBytes();
  const int width = shape.kv_heads * shape.key_dim;
  const int latent = shape.dtype == DType::kF8DsMla ? shape.value_dim : width;
  const int rotary = latent + latent / kLatentTile * 4;
  std::vector<std::byte> bytes(kRows * row_bytes);
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal;
  for (int r = 0; r < kRows; ++r) {
    std::byte* const row = bytes.data() + r * row_bytes;
    const auto store = [&](int at, auto value) { std::memcpy(row + at, &value, sizeof(value)); };
    for (int at = latent; latent < width && at < rotary; at += 4) store(at, 1.0F / 64);
    for (int d = 0; d < width; ++d) {
      const float value = normal(random);
      if (shape.dtype == DType::kF8E4M3) {
        store(d, FloatToE4M3(value));
      } else if (shape.dtype == DType::kF8DsMla && d < latent) {
        store(d, FloatToE4M3(value * 64));
      } else if (shape.dtype == DType::kF8DsMla) {
        store(rotary + 2 * (d - latent), FloatToBFloat16(value));
      } else {
        store(2 * d, shape.dtype == DType::kF16 ? FloatToFloat16(value) : FloatToBFloat16(value));
      }
    }
  }
  auto* const keys = Allocate<std::byte>(rows * row_bytes);
  for (int first = 0; first < rows; first += kRows) {
    Require(cudaMemcpy(keys + first * row_bytes, bytes.data(),
                       std::min(kRows, rows - first) * row_bytes, cudaMemcpyHostToDevice));
  }
  return keys;
}

void BenchAttention(Report& report, const std::string& kind, const KvShape& shape, int query_heads,
                    int window, int rows) {
  const std::string name =
      "attention " + kind + ", W " + std::to_string(window) + ", " + std::to_string(rows);
  if (!report.Wants(name)) return;
  constexpr int kBlockSize = 16;
  AttentionScoreProblem problem;
  problem.cache.key = Plane(RandomKeys(shape, rows), shape, shape.KeyBytes(), kBlockSize);
  problem.block_table = Copy(Shuffled(rows / kBlockSize));
  problem.row_positions = problem.order = Copy(UpTo(rows));
  problem.queries = reinterpret_cast<std::uint16_t*>(
      RandomKeys({query_heads, shape.key_dim, 1, false, AttentionQueryType(shape.dtype)}, window));
  std::vector<std::int32_t> positions(window);
  std::iota(positions.begin(), positions.end(), rows - window);
  problem.query_positions = Copy(positions);
  problem.log_sum_exp =
      Copy(std::vector<float>(static_cast<std::size_t>(window) * query_heads, 12.0F));
  problem.out = Allocate<std::int32_t>(rows);
  problem.rows = rows;
  AttentionScoreBatch batch;
  batch.problems = Copy(std::vector<AttentionScoreProblem>{problem});
  batch.count = 1;
  batch.most_rows = rows;
  batch.shape = shape;
  batch.block_size = kBlockSize;
  batch.window = window;
  batch.query_heads = batch.total_query_heads = query_heads;
  batch.scale = 1.0F / std::sqrt(static_cast<float>(shape.key_dim));
  batch.pool = 9;
  batch.faults = Faults();
  auto* workspace = Allocate<std::byte>(AttentionScoreWorkspaceBytes(batch));
  for (const bool given : {true, false}) {
    batch.has_log_sum_exp = given;
    const double flops = (given ? 2.0 : 4.0) * window * query_heads * shape.key_dim * rows;
    report.Add(name + (given ? "" : ", own sums"),
               {.bytes = static_cast<double>(rows * shape.KeyBytes()), .matrix_flops = flops},
               [&](cudaStream_t stream) { return LaunchAttentionScore(batch, workspace, stream); });
  }
}

void BenchScorePages(Report& report, int layers, int pages, int tokens) {
  if (!report.Wants("score")) return;
  const KvShape shape{1, 576, 512, true, DType::kBF16};
  constexpr int kQueryHeads = 16;
  std::mt19937_64 random(4);
  std::vector<std::int8_t> centres(static_cast<std::size_t>(pages) * kDigestCentres * 576);
  for (auto& centre : centres) centre = static_cast<std::int8_t>(random() % 255 - 127);
  std::vector<float> queries(static_cast<std::size_t>(tokens) * kQueryHeads * 576);
  for (auto& query : queries) query = static_cast<float>(random() % 1000) / 500.0F - 1.0F;
  std::vector<ScorePagesProblem> problems(layers);
  for (auto& problem : problems) {
    problem.digests = {Copy(centres),
                       Copy(std::vector<std::uint8_t>(static_cast<std::size_t>(pages) * 2, 8)),
                       Copy(std::vector<float>(pages, 0.02F))};
    problem.pages = Copy(UpTo(pages));
    problem.queries = Copy(queries);
    problem.out = Allocate<std::int32_t>(pages);
    problem.count = pages;
  }
  ScorePagesBatch batch{Copy(problems), layers, pages, shape, tokens, kQueryHeads, 128, 0.05F};
  batch.faults = Faults();
  auto* workspace = Allocate<std::byte>(ScorePagesWorkspaceBytes(batch));
  report.Add("score 800 pages of 61 MLA layers, 16 heads",
             {.bytes = static_cast<double>(centres.size()) * layers},
             [&](cudaStream_t stream) { return LaunchScorePages(batch, workspace, stream); });
}

}  // namespace
}  // namespace pinboard::kernels

int main(int argc, char** argv) {
  using namespace pinboard;
  using namespace pinboard::kernels;
  const bench::Options options = bench::ParseOptions(argc, argv);
  bench::Report report(options.only, options.once);
  BenchSelect(report, 61, 131'072);
  BenchSelect(report, 1, 1'048'576);
  BenchEntropy(report, 4096, 128'256);
  BenchEntropy(report, 4096, 16'032);
  BenchFullEntropy(report, 4096, 128'256);
  BenchFullEntropy(report, 4096, 16'032);
  BenchShift(report, 32'768, 7'168);
  BenchCompact(report, 131'072);
  const KvShape gqa{8, 128, 128, false, DType::kBF16};
  const KvShape mla{1, 576, 512, true, DType::kBF16};
  BenchAttention(report, "GQA 32/8 x 128", gqa, 32, 64, 131'072);
  BenchAttention(report, "GQA 32/8 x 128", gqa, 32, 64, 32'768);
  BenchAttention(report, "GQA 32/8 x 128", gqa, 32, 32, 131'072);
  BenchAttention(report, "MLA 16 x 576", mla, 16, 32, 131'072);
  const auto in = [](KvShape shape, DType dtype) {
    shape.dtype = dtype;
    return shape;
  };
  BenchAttention(report, "GQA 32/8 x 128 fp16", in(gqa, DType::kF16), 32, 64, 131'072);
  BenchAttention(report, "GQA 32/8 x 128 fp8", in(gqa, DType::kF8E4M3), 32, 64, 131'072);
  BenchAttention(report, "GQA 32/8 x 128 fp8", in(gqa, DType::kF8E4M3), 32, 64, 32'768);
  BenchAttention(report, "GQA 32/8 x 128 fp8", in(gqa, DType::kF8E4M3), 32, 32, 131'072);
  BenchAttention(report, "MLA 16 x 576 fp8", in(mla, DType::kF8E4M3), 16, 32, 131'072);
  BenchAttention(report, "MLA 16 x 576 fp8_ds_mla", in(mla, DType::kF8DsMla), 16, 32, 131'072);
  BenchScorePages(report, 61, 800, 1);
  if (!options.json.empty()) report.WriteJson(options.json);
}
