// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the operations of each backend take.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/space_vector.h"
#include "kernels/page_digest/page_digest.h"
#include "shard/digest_table.h"
#include "shard/operations/operations.h"
#include "tests/shard/toy_memory.h"
#include "tests/shard/toy_operations.h"

namespace pinboard::testing {
namespace {

class OperationLimitsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    operations_ = MakeToyOperations();
    ASSERT_NE(operations_, nullptr);
  }
  /// Of rows of so many bytes, half of them keys.
  absl::Status Check(int row_bytes, bool has_pages) {
    const KvShape shape{.kv_heads = row_bytes / 512, .key_dim = 128, .value_dim = 128};
    return operations_->CheckRows(shape, 16, has_pages);
  }

  template <typename T>
  void Fill(absl::Span<T> array, T value) {
    const std::vector<T> host(array.size(), value);
    EXPECT_EQ(operations_->Write(AsBytes(absl::MakeConstSpan(host)), AsBytes(array)),
              absl::OkStatus());
    EXPECT_EQ(operations_->Finish(), absl::OkStatus());
  }

  std::unique_ptr<Operations> operations_;
};

TEST_F(OperationLimitsTest, RowsLargerThanADeviceWorksOnAreRefusedBeforeThereAreAny) {
  const auto refused =
      ToyBackend() == Backend::kCuda ? absl::StatusCode::kUnimplemented : absl::StatusCode::kOk;
  EXPECT_EQ(Check(4096, true), absl::OkStatus()) << "Llama-3.1-8B";
  EXPECT_EQ(Check(16384, false), absl::OkStatus()) << "Llama-2-7B, nothing of which is offloaded";
  EXPECT_EQ(Check(16384, true).code(), refused) << "a page of 256 KiB";
  EXPECT_EQ(Check(65536, false).code(), refused);
}

TEST_F(OperationLimitsTest, PagesOfMoreLayersThanOneLaunchTakesAreScored) {
  constexpr std::size_t kLayers = 66000;
  const KvShape shape{.kv_heads = 1, .key_dim = 16, .value_dim = 16};
  DigestTable digests(operations_->memory(), shape);
  const auto free = digests.Free(1);
  ASSERT_TRUE(free.ok()) << free.status();
  Fill(free->arrays.centres, std::int8_t{1});
  Fill(free->arrays.counts, std::uint8_t{8});
  Fill(free->arrays.step, 1.0F);
  digests.Add(0, free->slots[0]);
  SpaceVector<float> queries(operations_->memory());
  const auto values = queries.Resize(16);
  ASSERT_TRUE(values.ok()) << values.status();
  Fill(*values, 1.0F);
  SpaceVector<std::int32_t> scores(operations_->memory());
  auto out = scores.Resize(kLayers);
  ASSERT_TRUE(out.ok()) << out.status();
  const std::vector<std::int32_t> pages = {0};
  std::vector<PagesToScore> layers;
  for (std::size_t i = 0; i < kLayers; ++i) {
    layers.push_back(
        {{digests.view(), shape, pages, queries.view(), 1, 1, 1, 1.0F}, out->subspan(i, 1)});
  }
  ASSERT_EQ(operations_->ScorePages(layers), absl::OkStatus());
  std::vector<std::int32_t> host(kLayers);
  ASSERT_EQ(operations_->Read(AsBytes(scores.view()), AsBytes(absl::MakeSpan(host))),
            absl::OkStatus());
  ASSERT_EQ(operations_->Finish(), absl::OkStatus());
  for (std::size_t i = 0; i < kLayers; ++i) {
    ASSERT_EQ(host[i], 1 << 30) << i << ": a page that is alone has all of the mass";
  }
}

}  // namespace
}  // namespace pinboard::testing
