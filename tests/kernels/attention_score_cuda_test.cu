// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's window attention against the formula in double, on queries and keys that bf16 holds,
// and against the CPU in what it refuses.
#include "kernels/attention_score/attention_score_cuda.cuh"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/attention_score/key_passes.cuh"
#include "tests/kernels/bfloat16s.h"
#include "tests/kernels/checks/attention_score_checks.h"
#include "tests/kernels/on_device.cuh"

namespace pinboard::kernels {
namespace {

using attention_score::KeyPasses;
using checks::AttentionInput;

/// One kind of tensor core instruction.
struct Instruction {
  std::string name;
  const KeyPasses* passes;
  int least_major;  // of the compute capability
  int most_major;

  friend std::ostream& operator<<(std::ostream& out, const Instruction& i) { return out << i.name; }
};
std::vector<Instruction> Instructions() {
  return {{"Mma", &attention_score::kMmaPasses, 8, 99},
          {"Wgmma", &attention_score::kWgmmaPasses, 9, 9}};
}

std::vector<CacheCase> DeviceCases() {
  return {{"Gqa32Nhd", {2, 32, 32, false, DType::kBF16}, 16, CacheLayout::kNhd},
          {"Mqa64Hnd", {1, 64, 64, false, DType::kBF16}, 64, CacheLayout::kHndInterleaved},
          {"Gqa128Nhd", {2, 128, 128, false, DType::kBF16}, 32, CacheLayout::kNhd},
          {"Mha128Hnd", {8, 128, 128, false, DType::kBF16}, 16, CacheLayout::kHndInterleaved},
          {"Mla576", {1, 576, 512, true, DType::kBF16}, 16, CacheLayout::kNhd}};
}

AttentionInput RandomInput(const CacheCase& c, SeededRandom& random) {
  AttentionInput in = checks::RandomAttentionInput(c, random);
  for (float& value : in.queries) value = BFloat16ToFloat(FloatToBFloat16(value));
  return in;
}

/// As two layers at once, which must agree.
absl::Status ScoreOnDevice(const KeyPasses& passes, const AttentionScoreArgs& args,
                           const AttentionInput& in, absl::Span<std::int32_t> out) {
  OnDevice device;
  const std::vector<std::byte>& bytes = in.cache.bytes();
  AttentionScoreProblem problem;
  problem.cache.key = args.cache.key;
  problem.cache.key.base = device.In(bytes) + (args.cache.key.base - bytes.data());
  problem.block_table = device.In(args.block_table);
  problem.row_positions = device.In(args.row_positions);
  problem.order = device.In(args.order);
  problem.queries = device.In(ToBFloat16s(args.queries));
  problem.query_positions = device.In(args.query_positions);
  const bool is_given = !args.log_sum_exp.empty();
  if (is_given) problem.log_sum_exp = device.In(args.log_sum_exp);
  problem.rows = static_cast<std::int32_t>(out.size());
  problem.out = device.Out<std::int32_t>(out.size());
  AttentionScoreProblem second = problem;
  second.out = device.Out<std::int32_t>(out.size());

  AttentionScoreBatch batch;
  batch.problems = device.In(std::vector<AttentionScoreProblem>{problem, second});
  batch.count = 2;
  batch.most_rows = problem.rows + 300;
  batch.shape = args.shape;
  batch.block_size = args.block_size;
  batch.window = static_cast<int>(args.query_positions.size());
  batch.query_heads = args.query_heads;
  batch.total_query_heads = args.total_query_heads;
  batch.scale = args.scale;
  batch.pool = args.pool;
  batch.has_log_sum_exp = is_given;
  batch.faults = device.In(std::vector<std::uint32_t>{0});
  auto* workspace = device.Out<std::byte>(attention_score::WorkspaceBytes(batch, passes));
  PB_RETURN_IF_ERROR(device.Finish(attention_score::Launch(batch, passes, workspace, nullptr)));
  if (device.Value(batch.faults) > 0) return absl::InvalidArgumentError("a share is not finite");
  device.Read(problem.out, out);
  std::vector<std::int32_t> again(out.size());
  device.Read(second.out, absl::MakeSpan(again));
  EXPECT_EQ(std::vector<std::int32_t>(out.begin(), out.end()), again) << "two layers, two results";
  return absl::OkStatus();
}

void ExpectExactShares(const KeyPasses& passes, const AttentionInput& in, int tp) {
  const checks::ExactAttention exact = checks::NaiveAttention(in);
  // Tensor cores cut where float rounds: twice the error of a float logit.
  const double relative = std::expm1(4 * exact.logit_error) + 0x1p-14;
  std::vector<std::int64_t> merged(exact.share.size(), 0);
  for (int rank = 0; rank < tp; ++rank) {
    checks::RankTensors tensors;
    const AttentionScoreArgs args = in.Rank(rank, tp, tensors);
    std::vector<std::int32_t> share(merged.size());
    const absl::Status status = ScoreOnDevice(passes, args, in, absl::MakeSpan(share));
    ASSERT_TRUE(status.ok()) << status;
    for (std::size_t r = 0; r < merged.size(); ++r) merged[r] += share[r];
  }
  for (std::size_t r = 0; r < merged.size(); ++r) {
    const double steps = std::ldexp(exact.share[r], kAttentionFractionBits);
    ASSERT_LE(std::abs(static_cast<double>(merged[r]) - steps), tp + steps * relative)
        << tp << " ranks, row " << r;
  }
}

class AttentionScoreOnDevice : public testing::TestWithParam<std::tuple<CacheCase, Instruction>> {
 protected:
  void SetUp() override {
    const Instruction& instruction = std::get<1>(GetParam());
    int major = 0;
    ASSERT_EQ(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), cudaSuccess);
    if (major < instruction.least_major || major > instruction.most_major) {
      GTEST_SKIP() << "this device has no " << instruction.name;
    }
  }
  static const CacheCase& cache() { return std::get<0>(GetParam()); }
  static const KeyPasses& passes() { return *std::get<1>(GetParam()).passes; }
};

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionScoreOnDevice,
                         testing::Combine(testing::ValuesIn(DeviceCases()),
                                          testing::ValuesIn(Instructions())),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + std::get<1>(info.param).name;
                         });

TEST_P(AttentionScoreOnDevice, EqualsTheFormulaWithItsOwnLogSumExps) {
  SeededRandom random;
  for (int trial = 0; trial < 6; ++trial) {
    ExpectExactShares(passes(), RandomInput(cache(), random), random.Pick<int>({1, 2}));
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionScoreOnDevice, EqualsTheFormulaWithGivenLogSumExps) {
  SeededRandom random;
  for (int trial = 0; trial < 6; ++trial) {
    AttentionInput in = RandomInput(cache(), random);
    in.log_sum_exp = checks::LogSumExps(in);
    ExpectExactShares(passes(), in, random.Pick<int>({1, 2}));
    const auto score = [&](const AttentionScoreArgs& args, absl::Span<std::int32_t> out) {
      return ScoreOnDevice(passes(), args, in, out);
    };
    checks::ExpectGivenSumsToCountRowsThatAreGone(score, in);
    if (HasFatalFailure()) return;
  }
}

/// Rows of several splits, and queries of which some see all of them.
AttentionInput LongInput(const CacheCase& c, SeededRandom& random) {
  const int rows = random.Int(2000, 4500);
  const int window = random.Pick<int>({8, 40});
  AttentionInput in(c, rows, random);
  for (int r = 0; r < rows; ++r) in.row_positions.push_back(r);
  in.SortRows();
  for (int w = 0; w < window; ++w) in.query_positions.push_back(rows - window / 2 + w);
  in.query_heads = 8;
  in.scale = 1.0F / std::sqrt(static_cast<float>(c.shape.key_dim));
  in.pool = 9;
  in.queries = random.Normals(static_cast<std::size_t>(window * in.query_heads * c.shape.key_dim),
                              random.Pick<float>({0.3F, 3.0F}));
  for (float& value : in.queries) value = BFloat16ToFloat(FloatToBFloat16(value));
  return in;
}

TEST_P(AttentionScoreOnDevice, EqualsTheFormulaOverManyRows) {
  SeededRandom random;
  for (const bool with_log_sum_exp : {false, true}) {
    AttentionInput in = LongInput(cache(), random);
    if (with_log_sum_exp) in.log_sum_exp = checks::LogSumExps(in);
    ExpectExactShares(passes(), in, 1);
    if (HasFatalFailure()) return;
  }
}

// A sum taken against an early logit overflows where one 2^100 times as large follows.
TEST_P(AttentionScoreOnDevice, EqualsTheFormulaWhereTheLargestLogitsComeLast) {
  SeededRandom random;
  AttentionInput in = LongInput(cache(), random);
  for (float& value : in.queries) value = std::abs(value);
  for (int row = 0; row < in.rows(); ++row) {
    for (int head = 0; head < in.cache.shape().kv_heads; ++head) {
      in.cache.SetKey(row, head, 0, row < in.rows() - 100 ? -100.0F : 300.0F);
    }
  }
  ExpectExactShares(passes(), in, 1);
}

/// What the CPU and the device say of the input.
struct Verdicts {
  absl::StatusCode cpu;
  absl::StatusCode device;
};
Verdicts Judge(const KeyPasses& passes, const AttentionInput& in) {
  checks::RankTensors tensors;
  const AttentionScoreArgs args = in.Rank(0, 1, tensors);
  std::vector<std::int32_t> out(in.order.size());
  const absl::StatusCode cpu = AttentionScore(args, absl::MakeSpan(out)).code();
  return {cpu, ScoreOnDevice(passes, args, in, absl::MakeSpan(out)).code()};
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_P(AttentionScoreOnDevice, RefusesWhatTheCpuRefuses) {
  SeededRandom random;
  for (int trial = 0; trial < 4; ++trial) {
    AttentionInput in = RandomInput(cache(), random);
    const int row = random.Int(0, in.rows() - 1);
    in.cache.SetKey(row, 0, 3, random.Pick<float>({kNaN, kInfinity, -kInfinity}));
    const Verdicts verdicts = Judge(passes(), in);
    EXPECT_EQ(verdicts.device, verdicts.cpu) << "row " << row << " of " << in.rows();
  }
}

TEST_P(AttentionScoreOnDevice, RefusesLogSumExpsThatCannotBe) {
  SeededRandom random;
  const auto status_of = [&](const AttentionInput& in) {
    checks::RankTensors tensors;
    std::vector<std::int32_t> out(in.order.size());
    return ScoreOnDevice(passes(), in.Rank(0, 1, tensors), in, absl::MakeSpan(out));
  };
  checks::ExpectRefusedLogSumExps(status_of, RandomInput(cache(), random));
}

TEST_P(AttentionScoreOnDevice, CountsAKeyThatIsNotFiniteWhereAQuerySeesIt) {
  SeededRandom random;
  AttentionInput in = RandomInput(cache(), random);
  in.cache.SetKey(0, 0, 3, kNaN);
  in.query_positions.back() = in.row_positions[0];
  EXPECT_EQ(Judge(passes(), in).device, absl::StatusCode::kInvalidArgument);
  in.query_positions.assign(in.query_positions.size(), in.row_positions[0] - 1);
  EXPECT_EQ(Judge(passes(), in).device, absl::StatusCode::kOk);
}

TEST_P(AttentionScoreOnDevice, CountsALogitOfMinusInfinityWhereNoOtherIsSeen) {
  SeededRandom random;
  AttentionInput in = RandomInput(cache(), random);
  in.queries.assign(in.queries.size(), 1.0F);
  in.query_positions.assign(in.query_positions.size(), in.row_positions[in.order[0]]);
  for (int row = 0; row < in.rows(); ++row) {
    for (int head = 0; head < in.cache.shape().kv_heads; ++head) {
      in.cache.SetKey(row, head, 0, -kInfinity);
    }
  }
  EXPECT_EQ(Judge(passes(), in).device, absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
