// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The device's paged attention against the host's, over shapes and mixtures of sequences.
#include "engine/cuda/paged_attention.cuh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/paged_attention.h"
#include "tests/engine/device_step.cuh"

namespace pinboard::engine {
namespace {

using testing::DeviceStep;
using ::testing::HasSubstr;
using testing::SequenceRows;

/// Of a token's context over all heads: weights and results are rounded to bf16, up to 2^-8 each.
/// (One head of 12 values may nearly cancel out, and its rounding then be more than this share of
/// it.)
constexpr double kTolerance = 6e-3;

struct Case {
  const char* name;
  KvShape kv;
  int query_heads;
  int block_size;
};

class PagedAttentionCudaTest : public ::testing::TestWithParam<Case> {
 protected:
  static void ExpectAsOnTheHost(const std::vector<SequenceRows>& sequences,
                                int multiprocessors = 132) {
    const Case& c = GetParam();
    SeededRandom random;
    const int group = c.query_heads / c.kv.kv_heads;
    DeviceStep step(c.kv, c.block_size, group, sequences, random);
    const PagedAttentionShape shape{c.kv, c.block_size, c.query_heads,
                                    1.0F / std::sqrt(static_cast<float>(c.kv.key_dim))};
    const std::size_t heads = static_cast<std::size_t>(step.batch().size()) * c.query_heads;
    const std::vector<float> queries = testing::BFloat16Normals(heads * c.kv.key_dim, random);
    std::vector<float> expected(heads * c.kv.value_dim), expected_sums(heads);
    PagedAttention(c.query_heads, shape.scale)
        .Run(step.cache(), 0, step.batch(), queries, absl::MakeSpan(expected),
             absl::MakeSpan(expected_sums));

    const TileList &small = step.on_device().small_tiles(), &large = step.on_device().large_tiles();
    kernels::OnDevice& memory = step.memory();
    PagedAttentionArrays arrays{.cache = step.device_view(),
                                .batch = step.on_device().layer(0),
                                .queries = memory.In(queries),
                                .context = memory.Out<std::uint16_t>(expected.size()),
                                .log_sum_exp = memory.Out<float>(heads)};
    auto* const workspace =
        memory.Out<std::byte>(PagedAttentionWorkspaceBytes(shape, small, large, multiprocessors));
    const absl::Status status = memory.Finish(LaunchPagedAttention(
        shape, arrays, small, large, multiprocessors, workspace, step.stream()));
    ASSERT_TRUE(status.ok()) << status;
    std::vector<std::uint16_t> context(expected.size());
    memory.Read(arrays.context, absl::MakeSpan(context));
    EXPECT_LT(
        testing::WorstRow(testing::ToFloats(context), expected, c.query_heads * c.kv.value_dim),
        kTolerance);
    std::vector<float> sums(heads);
    memory.Read(arrays.log_sum_exp, absl::MakeSpan(sums));
    for (std::size_t i = 0; i < heads; ++i) ASSERT_NEAR(sums[i], expected_sums[i], 1e-4) << i;
  }
};

TEST_P(PagedAttentionCudaTest, APromptSeesItselfCausally) { ExpectAsOnTheHost({{0, 77}}); }

TEST_P(PagedAttentionCudaTest, OneTokenSeesAllResidentRows) {
  ExpectAsOnTheHost({{0, 1}, {15, 1}, {16, 1}, {200, 1}});
}

TEST_P(PagedAttentionCudaTest, RowsAreSplitOverBlocksAndMerged) {
  ExpectAsOnTheHost({{2000, 1}, {30, 1}});
}

TEST_P(PagedAttentionCudaTest, OneBlockReadsAllRowsOfManySequences) {
  ExpectAsOnTheHost({{600, 1}, {90, 1}, {300, 1}}, /*multiprocessors=*/1);
}

TEST_P(PagedAttentionCudaTest, PromptsChunksAndTokensAreMixed) {
  ExpectAsOnTheHost({{100, 1}, {0, 33}, {700, 40}, {0, 1}, {63, 2}});
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PagedAttentionCudaTest,
    ::testing::Values(Case{"Gqa12", {2, 12, 12, false, DType::kBF16}, 8, 16},
                      Case{"Gqa32", {4, 32, 32, false, DType::kBF16}, 16, 16},
                      Case{"Mha64", {3, 64, 64, false, DType::kBF16}, 3, 32},
                      Case{"Gqa96", {2, 96, 96, false, DType::kBF16}, 6, 32},
                      Case{"Gqa128", {2, 128, 128, false, DType::kBF16}, 8, 64},
                      Case{"Mqa128", {1, 128, 128, false, DType::kBF16}, 32, 16},
                      Case{"Mla32", {1, 32, 24, true, DType::kBF16}, 8, 16},
                      Case{"Mla128", {1, 128, 96, true, DType::kBF16}, 16, 16},
                      Case{"Mla576", {1, 576, 512, true, DType::kBF16}, 16, 64},
                      Case{"Mla576OfManyHeads", {1, 576, 512, true, DType::kBF16}, 128, 64}),
    [](const auto& info) { return info.param.name; });

TEST(PagedAttentionShapeTest, ASizeWithoutAKernelIsNamed) {
  const auto message = [](const KvShape& kv) {
    return std::string(CheckPagedAttention({kv, 16, 8, 1.0F}).message());
  };
  EXPECT_THAT(message({2, 256, 256, false, DType::kBF16}), HasSubstr("keys of 256"));
  EXPECT_THAT(message({1, 640, 512, true, DType::kBF16}), HasSubstr("keys of 640"));
  EXPECT_THAT(message({2, 64, 64, false, DType::kF32}), HasSubstr("bf16"));
  EXPECT_EQ(message({2, 64, 64, false, DType::kBF16}), "");
}

TEST(AttentionSplitTest, ASplitHasRowsEnoughAndTogetherTheyHaveAll) {
  for (const int blocks : {1, 8, 100, 1000}) {
    for (const int rows : {1, 64, 255, 256, 5000, 131072}) {
      const AttentionSplit split = SplitRows(blocks, rows, 132);
      EXPECT_EQ(split.split_rows % 64, 0);
      EXPECT_GE(split.splits * split.split_rows, rows);
      EXPECT_LT((split.splits - 1) * split.split_rows, rows);
      if (split.splits > 1) {
        EXPECT_GE(split.split_rows, 256);
        EXPECT_LE((split.splits - 1) * blocks, 4 * 132);
      }
    }
  }
}

TEST(AttentionSplitTest, RowsAreDividedForAMultipleOf64ThatIsAnEighthMoreAtMost) {
  for (int rows = 1; rows < 20000; rows += 7) {
    const int rounded = RoundUpRows(rows);
    EXPECT_EQ(rounded % 64, 0);
    EXPECT_GE(rounded, rows);
    EXPECT_LT(rounded, rows + std::max(64, rows / 8 + 1));
  }
}

}  // namespace
}  // namespace pinboard::engine
