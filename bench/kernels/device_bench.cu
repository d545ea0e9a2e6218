// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's operations at the shapes they are meant for: median time of graph replays, the time
// that reading and writing each byte once would take at the copy bandwidth measured beside them,
// and the ratio. Random data; every buffer is larger than L2 or written anew by each replay.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/cuda/cuda_status.h"
#include "base/cuda/device_buffer.h"
#include "base/dtype.h"
#include "kernels/attention_score/attention_score_cuda.cuh"
#include "kernels/compact/compact_cuda.cuh"
#include "kernels/entropy/entropy_cuda.cuh"
#include "kernels/page_digest/page_digest_cuda.cuh"
#include "kernels/representation_shift/representation_shift_cuda.cuh"
#include "kernels/select/select_cuda.cuh"

namespace pinboard::kernels {
namespace {

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "device_bench: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}
void Require(cudaError_t error) { Require(cuda::ToStatus(error, "device_bench")); }

/// Device memory that lives until the program ends.
template <typename T>
T* Allocate(std::size_t count) {
  void* data = nullptr;
  Require(cudaMalloc(&data, count * sizeof(T)));
  return static_cast<T*>(data);
}
template <typename T>
T* Copy(const std::vector<T>& host) {
  T* device = Allocate<T>(host.size());
  Require(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  return device;
}

/// bf16 of standard normal values: a block of them repeated, which no operation notices.
std::uint16_t* Normals(std::size_t count, float deviation = 1.0F) {
  constexpr std::size_t kBlock = (std::size_t{1} << 24) + 8;  // no multiple of a row
  static const std::vector<float> block = [] {
    std::mt19937_64 random(20261128);
    std::normal_distribution<float> normal;
    std::vector<float> values(kBlock);
    for (float& value : values) value = normal(random);
    return values;
  }();
  std::vector<std::uint16_t> bits(std::min(count, kBlock));
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = FloatToBFloat16(block[i] * deviation);
  auto* device = Allocate<std::uint16_t>(count);
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::size_t some = std::min(kBlock, count - at);
    Require(cudaMemcpy(device + at, bits.data(), some * 2, cudaMemcpyHostToDevice));
  }
  return device;
}

using Launch = std::function<absl::Status(cudaStream_t)>;

double MedianMs(const Launch& launch) {
  cudaStream_t stream;
  Require(cudaStreamCreate(&stream));
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  Require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  Require(launch(stream));
  Require(cudaStreamEndCapture(stream, &graph));
  Require(cudaGraphInstantiate(&replay, graph, 0));
  cudaEvent_t begin;
  cudaEvent_t end;
  Require(cudaEventCreate(&begin));
  Require(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 55; ++i) {
    Require(cudaEventRecord(begin, stream));
    Require(cudaGraphLaunch(replay, stream));
    Require(cudaEventRecord(end, stream));
    Require(cudaStreamSynchronize(stream));
    float ms = 0.0F;
    Require(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 5) times.push_back(ms);
  }
  std::nth_element(times.begin(), times.begin() + 25, times.end());
  return times[25];
}

double copy_bytes_per_ms = 0.0;

void Report(const char* name, double bytes, const Launch& launch) {
  const double ms = MedianMs(launch);
  const double floor_ms = bytes / copy_bytes_per_ms;
  std::printf("%-46s %9.4f ms  floor %7.4f ms  %5.1fx  %6.0f GB/s\n", name, ms, floor_ms,
              ms / floor_ms, bytes / ms * 1e-6);
}

void MeasureCopy() {
  constexpr std::size_t kBytes = std::size_t{2} << 30;
  auto* from = Normals(kBytes / 2);
  auto* to = Allocate<std::uint16_t>(kBytes / 2);
  const double ms = MedianMs([&](cudaStream_t stream) {
    return cuda::ToStatus(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, stream),
                          "copy");
  });
  copy_bytes_per_ms = 2.0 * kBytes / ms;
  std::printf("%-46s %9.4f ms  %.0f GB/s read and written\n", "device copy, 2 GiB", ms,
              copy_bytes_per_ms * 1e-6);
  Require(cudaFree(from));
  Require(cudaFree(to));
}

void BenchSelect(int problems, std::int64_t rows) {
  std::mt19937_64 random(1);
  const auto total = static_cast<std::size_t>(problems * rows);
  std::vector<std::int64_t> scores(total);
  std::exponential_distribution<double> heavy(1.0);
  for (auto& score : scores) score = static_cast<std::int64_t>(std::ldexp(heavy(random), 30));
  std::vector<std::int64_t> first(problems + 1);
  for (int p = 0; p <= problems; ++p) first[p] = p * rows;
  SelectBatch batch;
  batch.keep_score = batch.band_score = Copy(scores);
  batch.is_protected = Copy(std::vector<std::uint8_t>(total, 0));
  batch.first_row = Copy(first);
  const auto tenth = static_cast<std::int32_t>(rows / 10);
  batch.counts = Copy(std::vector<SelectCounts>(problems, {tenth, 0, 4 * tenth}));
  batch.classes = Allocate<RowClass>(total);
  batch.problems = problems;
  batch.total_rows = static_cast<std::int64_t>(total);
  batch.longest = rows;
  auto* workspace = Allocate<std::byte>(SelectWorkspaceBytes(problems, batch.total_rows));
  char name[64];
  for (const bool has_far : {false, true}) {
    batch.has_far = has_far;
    std::snprintf(name, sizeof(name), "select 10 %%%s, %d x %ld", has_far ? " and a band" : "",
                  problems, static_cast<long>(rows));
    Report(name, 10.0 * static_cast<double>(total),
           [&](cudaStream_t stream) { return LaunchSelect(batch, workspace, stream); });
  }
}

void BenchEntropy(int tokens, int vocab) {
  constexpr int kTopK = 256;
  TopKLogitsBatch top_k{Normals(static_cast<std::size_t>(tokens) * vocab, 3.0F),
                        DType::kBF16,
                        tokens,
                        vocab,
                        0,
                        kTopK};
  top_k.values = Allocate<float>(static_cast<std::size_t>(tokens) * kTopK);
  top_k.ids = Allocate<std::int32_t>(static_cast<std::size_t>(tokens) * kTopK);
  top_k.faults = Copy(std::vector<std::uint32_t>{0});
  char name[64];
  std::snprintf(name, sizeof(name), "top-256 logits, %d x %d", tokens, vocab);
  Report(name, 2.0 * tokens * vocab,
         [&](cudaStream_t stream) { return LaunchTopKLogits(top_k, stream); });
  MergedEntropyBatch merge{top_k.values, 1, tokens, kTopK};
  merge.entropy = Allocate<float>(tokens);
  merge.faults = top_k.faults;
  Report("  its entropy, one part", 4.0 * tokens * kTopK,
         [&](cudaStream_t stream) { return LaunchMergedEntropy(merge, stream); });
}

void BenchShift(int tokens, int dim) {
  const auto values = static_cast<std::size_t>(tokens) * dim;
  RepresentationShiftBatch batch{Normals(values), Normals(values, 2.0F), DType::kBF16, tokens, dim};
  batch.shift = Allocate<float>(tokens);
  batch.faults = Copy(std::vector<std::uint32_t>{0});
  Report("representation shift, 32,768 x 7,168", 4.0 * static_cast<double>(values),
         [&](cudaStream_t stream) { return LaunchRepresentationShift(batch, stream); });
}

std::vector<std::int32_t> Shuffled(int count) {
  std::vector<std::int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(2));
  return order;
}

KvPlane Plane(std::uint16_t* base, const KvShape& shape, std::size_t row_bytes, int block_size) {
  const auto row = static_cast<std::int64_t>(row_bytes);
  return {reinterpret_cast<std::byte*>(base), row * block_size, row, row / shape.kv_heads};
}

void BenchCompact(int rows) {
  constexpr int kBlockSize = 16;
  const KvShape shape{8, 128, 128, false, DType::kBF16};
  const std::size_t values = static_cast<std::size_t>(rows) * 8 * 128;
  CompactProblem problem;
  problem.cache = {Plane(Normals(values), shape, shape.KeyBytes(), kBlockSize),
                   Plane(Normals(values), shape, shape.ValueBytes(), kBlockSize)};
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
  Report("compact 25 % of 131,072 rows of 4 KiB",
         2.0 * problem.count * static_cast<double>(shape.RowBytes()),
         [&](cudaStream_t stream) { return LaunchCompact(batch, workspace, stream); });
}

void BenchAttention(const char* name, const KvShape& shape, int query_heads, int window, int rows) {
  constexpr int kBlockSize = 16;
  AttentionScoreProblem problem;
  const std::size_t keys = static_cast<std::size_t>(rows) * shape.kv_heads * shape.key_dim;
  problem.cache.key = Plane(Normals(keys), shape, shape.KeyBytes(), kBlockSize);
  problem.block_table = Copy(Shuffled(rows / kBlockSize));
  std::vector<std::int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  problem.row_positions = problem.order = Copy(order);
  problem.queries = Normals(static_cast<std::size_t>(window) * query_heads * shape.key_dim);
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
  batch.faults = Copy(std::vector<std::uint32_t>{0});
  auto* workspace = Allocate<std::byte>(AttentionScoreWorkspaceBytes(batch));
  for (const bool given : {true, false}) {
    batch.has_log_sum_exp = given;
    const double flops = (given ? 2.0 : 4.0) * window * query_heads * shape.key_dim * rows;
    char line[96];
    std::snprintf(line, sizeof(line), "%s%s", name, given ? "" : ", own sums");
    Report(line, 2.0 * static_cast<double>(keys),
           [&](cudaStream_t stream) { return LaunchAttentionScore(batch, workspace, stream); });
    std::printf("%-46s %9.3f TFLOP\n", "", flops * 1e-12);
  }
}

void BenchScorePages(int layers, int pages, int tokens) {
  const KvShape shape{1, 576, 512, true, DType::kBF16};
  constexpr int kQueryHeads = 16;
  std::mt19937_64 random(4);
  std::vector<std::int8_t> centres(static_cast<std::size_t>(pages) * kDigestCentres * 576);
  for (auto& centre : centres) centre = static_cast<std::int8_t>(random() % 255 - 127);
  std::vector<float> queries(static_cast<std::size_t>(tokens) * kQueryHeads * 576);
  for (auto& query : queries) query = static_cast<float>(random() % 1000) / 500.0F - 1.0F;
  std::vector<std::int32_t> live(pages);
  std::iota(live.begin(), live.end(), 0);
  std::vector<ScorePagesProblem> problems(layers);
  for (auto& problem : problems) {
    problem.digests = {Copy(centres),
                       Copy(std::vector<std::uint8_t>(static_cast<std::size_t>(pages) * 2, 8)),
                       Copy(std::vector<float>(pages, 0.02F))};
    problem.pages = Copy(live);
    problem.queries = Copy(queries);
    problem.out = Allocate<std::int32_t>(pages);
    problem.count = pages;
  }
  ScorePagesBatch batch{Copy(problems), layers, pages, shape, tokens, kQueryHeads, 128, 0.05F};
  batch.faults = Copy(std::vector<std::uint32_t>{0});
  auto* workspace = Allocate<std::byte>(ScorePagesWorkspaceBytes(batch));
  Report("score 800 pages of 61 MLA layers, 16 heads", static_cast<double>(centres.size()) * layers,
         [&](cudaStream_t stream) { return LaunchScorePages(batch, workspace, stream); });
}

}  // namespace
}  // namespace pinboard::kernels

int main() {
  using namespace pinboard;
  using namespace pinboard::kernels;
  MeasureCopy();
  BenchSelect(61, 131'072);
  BenchSelect(1, 1'048'576);
  BenchEntropy(4096, 128'256);
  BenchEntropy(4096, 16'032);
  BenchShift(32'768, 7'168);
  BenchCompact(131'072);
  const KvShape gqa{8, 128, 128, false, DType::kBF16};
  const KvShape mla{1, 576, 512, true, DType::kBF16};
  BenchAttention("attention GQA 32/8 x 128, W 64, 131,072", gqa, 32, 64, 131'072);
  BenchAttention("attention GQA 32/8 x 128, W 64, 32,768", gqa, 32, 64, 32'768);
  BenchAttention("attention GQA 32/8 x 128, W 32, 131,072", gqa, 32, 32, 131'072);
  BenchAttention("attention MLA 16 x 576, W 32, 131,072", mla, 16, 32, 131'072);
  BenchScorePages(61, 800, 1);
}
