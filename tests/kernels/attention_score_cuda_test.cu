// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's window attention against the formula in double, on the queries that it multiplies,
// and against the CPU in what it refuses.
#include "kernels/attention_score/attention_score_cuda.cuh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/attention_score/key_passes.cuh"
#include "tests/kernels/attention_score_on_device.cuh"

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
          {"Mla576", {1, 576, 512, true, DType::kBF16}, 16, CacheLayout::kNhd},
          {"Gqa32F16", {2, 32, 32, false, DType::kF16}, 16, CacheLayout::kHndInterleaved},
          {"Mqa64F16", {1, 64, 64, false, DType::kF16}, 32, CacheLayout::kNhd},
          {"Gqa128F16", {2, 128, 128, false, DType::kF16}, 64, CacheLayout::kNhd},
          {"Mla576F16", {1, 576, 512, true, DType::kF16}, 64, CacheLayout::kNhd},
          {"Gqa32F8", {2, 32, 32, false, DType::kF8E4M3}, 32, CacheLayout::kNhd},
          {"Mha64F8", {8, 64, 64, false, DType::kF8E4M3}, 16, CacheLayout::kHndInterleaved},
          {"Gqa128F8", {2, 128, 128, false, DType::kF8E4M3}, 16, CacheLayout::kHndInterleaved},
          {"Mla576F8", {1, 576, 512, true, DType::kF8E4M3}, 32, CacheLayout::kNhd},
          {"Mla576F8DsMla", {1, 576, 512, true, DType::kF8DsMla}, 64, CacheLayout::kNhd}};
}

AttentionInput RandomInput(const CacheCase& c, SeededRandom& random) {
  AttentionInput in = checks::RandomAttentionInput(c, random);
  RoundQueries(in);
  return in;
}

/// Shares summed over tp ranks.
void ExpectWithin(const checks::ExactAttention& exact, const std::vector<std::int32_t>& merged,
                  int tp) {
  // Tensor cores cut where float rounds: twice the error of a float logit.
  const double relative = std::expm1(4 * exact.logit_error) + 0x1p-14;
  for (std::size_t r = 0; r < merged.size(); ++r) {
    const double steps = std::ldexp(exact.share[r], kAttentionFractionBits);
    ASSERT_LE(std::abs(static_cast<double>(merged[r]) - steps), tp + steps * relative)
        << tp << " ranks, row " << r;
  }
}

void ExpectExactShares(const KeyPasses& passes, const AttentionInput& in, int tp) {
  const checks::ExactAttention exact = checks::NaiveAttention(in);
  std::vector<std::int32_t> merged(exact.share.size(), 0);
  for (int rank = 0; rank < tp; ++rank) {
    checks::RankTensors tensors;
    const AttentionScoreArgs args = in.Rank(rank, tp, tensors);
    std::vector<std::int32_t> share(merged.size());
    const absl::Status status = ScoreOnDevice(passes, args, in, absl::MakeSpan(share));
    ASSERT_TRUE(status.ok()) << status;
    for (std::size_t r = 0; r < merged.size(); ++r) merged[r] += share[r];
  }
  ExpectWithin(exact, merged, tp);
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
  /// The formula over keys of 576 values takes its time.
  static int trials() { return cache().shape.key_dim > 128 ? 3 : 6; }
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
  for (int trial = 0; trial < trials(); ++trial) {
    ExpectExactShares(passes(), RandomInput(cache(), random), random.Pick<int>({1, 2}));
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionScoreOnDevice, EqualsTheFormulaWithGivenLogSumExps) {
  SeededRandom random;
  for (int trial = 0; trial < trials(); ++trial) {
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
  const int window = c.shape.key_dim > 128 ? 8 : random.Pick<int>({8, 40});
  AttentionInput in(c, rows, random);
  for (int r = 0; r < rows; ++r) in.row_positions.push_back(r);
  in.SortRows();
  for (int w = 0; w < window; ++w) in.query_positions.push_back(rows - window / 2 + w);
  in.query_heads = 8;
  in.scale = 1.0F / std::sqrt(static_cast<float>(c.shape.key_dim));
  in.pool = 9;
  in.queries = random.Normals(static_cast<std::size_t>(window * in.query_heads * c.shape.key_dim),
                              random.Pick<float>({0.3F, 3.0F}));
  RoundQueries(in);
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

TEST_P(AttentionScoreOnDevice, GivesEachSequenceOfARaggedBatchItsOwnSharesInOneLaunch) {
  SeededRandom random;
  OnDevice device;
  std::vector<AttentionInput> inputs;
  for (const int rows : {1, 2100, 130, 0, 1025, 77}) {
    AttentionInput in(cache(), std::max(rows, 1), random);
    for (int r = 0; r < rows; ++r) in.row_positions.push_back(r);
    in.SortRows();
    for (int w = 0; w < 20; ++w) in.query_positions.push_back(std::max(0, rows - 20 + w));
    in.query_heads = 8;
    in.scale = 1.0F / std::sqrt(static_cast<float>(cache().shape.key_dim));
    in.pool = 5;
    in.queries = random.Normals(std::size_t{20} * 8 * cache().shape.key_dim);
    RoundQueries(in);
    inputs.push_back(std::move(in));
  }
  std::vector<AttentionScoreProblem> problems;
  checks::RankTensors tensors;
  for (const AttentionInput& in : inputs) {
    problems.push_back(ProblemOf(device, in.Rank(0, 1, tensors), in));
  }
  const AttentionScoreArgs args = inputs[0].Rank(0, 1, tensors);
  const AttentionScoreBatch batch = BatchOf(device, args, problems);
  auto* workspace = device.Out<std::byte>(attention_score::WorkspaceBytes(batch, passes()));
  const absl::Status status =
      device.Finish(attention_score::Launch(batch, passes(), workspace, nullptr));
  ASSERT_TRUE(status.ok()) << status;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const checks::ExactAttention exact = checks::NaiveAttention(inputs[i]);
    ExpectWithin(exact, SharesOf(device, problems[i]), 1);
    if (HasFatalFailure()) FAIL() << "sequence " << i;
  }
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
  if (DTypeBytes(cache().shape.dtype) == 1) GTEST_SKIP() << "e4m3 has no infinities";
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

TEST(AttentionScoreTest, SaysWhichKeysTheDeviceDoesNotTake) {
  AttentionScoreBatch batch;
  batch.count = batch.window = batch.query_heads = batch.total_query_heads = 1;
  batch.block_size = 16;
  const auto refusal = [&](const KvShape& shape) {
    batch.shape = shape;
    const absl::Status status = LaunchAttentionScore(batch, nullptr, nullptr);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal({1, 64, 64, false, DType::kF32}), testing::HasSubstr("64 of 32"));
  EXPECT_THAT(refusal({1, 96, 96, false, DType::kF8E4M3}), testing::HasSubstr("96 of 8"));
  EXPECT_THAT(refusal({1, 576, 384, true, DType::kF8DsMla}), testing::HasSubstr("384 + 192"));
}

}  // namespace
}  // namespace pinboard::kernels
