// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's operations that other policies and signals take: median
// time of graph replays against the floor of bytes or float instructions.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "bench/device_report.cuh"
#include "kernels/evicted_attention/evicted_attention_cuda.cuh"
#include "kernels/expected_attention/expected_attention_cuda.cuh"
#include "kernels/key_redundancy/key_redundancy_cuda.cuh"
#include "kernels/projection_sketch/projection_sketch_cuda.cuh"

namespace pinboard::kernels {
namespace {

using bench::Allocate;
using bench::Copy;
using bench::Faults;
using bench::Report;
using bench::UpTo;

constexpr int kBlockSize = 16;
constexpr KvShape kShape{8, 128, 128, false, DType::kBF16};
constexpr int kQueryHeads = 32;

/// A cache of kShape whose keys lie around `along` times a vector of ones.
KvLayerView Cache(int rows, float along) {
  const auto plane = [&](float shift) {
    std::vector<float> values = bench::Normals(static_cast<std::size_t>(rows) * 8 * 128);
    for (float& value : values) value += shift;
    return KvPlane{reinterpret_cast<std::byte*>(bench::Bf16OnDevice(values)), kBlockSize * 2048,
                   2048, 256};
  };
  return {plane(along), plane(0.0F)};
}

void BenchSketch(Report& report) {
  constexpr int kTokens = 32'768;
  constexpr int kDim = 7'168;
  constexpr int kWidth = 64;
  ProjectionSketchBatch batch{
      bench::Bf16OnDevice(bench::Normals(static_cast<std::size_t>(kTokens) * kDim)), DType::kBF16,
      kTokens, kDim, kWidth};
  batch.sketch = Allocate<float>(static_cast<std::size_t>(kTokens) * kWidth);
  batch.faults = Faults();
  report.Add("projection sketch, 32,768 x 7,168 to 64",
             {.bytes = 2.0 * kTokens * kDim, .instructions = 1.0 * kTokens * kDim * kWidth},
             [&](cudaStream_t stream) { return LaunchProjectionSketch(batch, stream); });
}

void BenchRedundancy(Report& report, const char* name, int rows, float along) {
  KeyRedundancyProblem problem{Cache(rows, along), Copy(UpTo(rows / kBlockSize)), Copy(UpTo(rows)),
                               Allocate<std::int32_t>(rows), rows};
  KeyRedundancyBatch batch{Copy(std::vector{problem}), 1, rows, kShape, kBlockSize, 8, Faults()};
  auto* const workspace = Allocate<std::byte>(KeyRedundancyWorkspaceBytes(batch));
  const double pairs = along == 0.0F ? 1.0 * rows * rows : 64.0 * rows;  // the last tile has all
  report.Add(
      name,
      {.bytes = 2048.0 * rows, .instructions = 2.0 * pairs * kShape.kv_heads * kShape.key_dim},
      [&](cudaStream_t stream) { return LaunchKeyRedundancy(batch, workspace, stream); });
}

void BenchExpected(Report& report) {
  constexpr int kRows = 32'768;
  constexpr int kWindow = 64;
  RotaryShape rotary;
  for (int i = 0; i < 64; ++i) rotary.frequencies.push_back(std::pow(500'000.0, -i / 64.0));
  ExpectedAttentionProblem problem{Cache(kRows, 0.0F),
                                   Copy(UpTo(kRows / kBlockSize)),
                                   Copy(UpTo(kRows)),
                                   Copy(bench::Normals(std::size_t{kWindow} * kQueryHeads * 128)),
                                   Copy(UpTo(kWindow)),
                                   Allocate<std::int32_t>(kRows),
                                   kRows,
                                   kWindow};
  ExpectedAttentionBatch batch{Copy(std::vector{problem}),
                               1,
                               kRows,
                               kShape,
                               kBlockSize,
                               kWindow,
                               kQueryHeads,
                               kQueryHeads,
                               0.0884F,
                               Copy(PairsAhead(rotary)),
                               64};
  batch.faults = Faults();
  auto* const workspace = Allocate<std::byte>(ExpectedAttentionWorkspaceBytes(batch));
  report.Add(
      "expected attention, 32/8 x 128, W 64, 32,768 rows",
      {.bytes = 4096.0 * kRows, .instructions = 2.0 * kRows * kWindow * kQueryHeads * 128},
      [&](cudaStream_t stream) { return LaunchExpectedAttention(batch, workspace, stream); });
}

void BenchEvicted(Report& report) {
  constexpr int kLayers = 32;
  constexpr int kRows = 3'280;
  constexpr int kPages = 820;
  std::vector<EvictedAttentionProblem> problems(kLayers);
  std::vector<std::int8_t> steps(std::size_t{kPages} * 8 * kDigestCentres * 128);
  std::iota(steps.begin(), steps.end(), 0);
  for (EvictedAttentionProblem& problem : problems) {
    problem.cache = Cache(kRows, 0.0F);
    problem.block_table = Copy(UpTo(kRows / kBlockSize));
    problem.digests = {Copy(steps), Copy(std::vector<std::uint8_t>(kPages * 16, 8)),
                       Copy(std::vector<float>(kPages * 8, 0.02F))};
    problem.evicted = Copy(UpTo(kPages));
    problem.query = Copy(bench::Normals(std::size_t{kQueryHeads} * 128));
    problem.rows = kRows;
    problem.ring_rows = 512;
    problem.evicted_count = kPages;
  }
  EvictedAttentionBatch batch{Copy(problems), Allocate<EvictedAttentionResult>(kLayers),
                              kLayers,        512,
                              kShape,         kBlockSize,
                              kQueryHeads,    0.0884F,
                              Faults()};
  auto* const workspace = Allocate<std::byte>(EvictedAttentionWorkspaceBytes(batch));
  report.Add("evicted attention, 32 layers, 3,280 rows, 820 pages",
             {.bytes = kLayers * (2048.0 * kRows + static_cast<double>(steps.size()))},
             [&](cudaStream_t stream) { return LaunchEvictedAttention(batch, workspace, stream); });
}

void Run() {
  Report report;
  BenchSketch(report);
  BenchRedundancy(report, "key redundancy, 8 x 128, 32,768 rows, all alike", 32'768, 2.0F);
  BenchRedundancy(report, "key redundancy, 8 x 128, 8,192 rows, none alike", 8'192, 0.0F);
  BenchExpected(report);
  BenchEvicted(report);
}

}  // namespace
}  // namespace pinboard::kernels

int main() { pinboard::kernels::Run(); }
