// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/cuda/staging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace pinboard::cuda {
namespace {

TEST(StagingTest, HoldsAFewTimesWhatAStepNeedsHoweverMuchEachOneNeedsMore) {
  StreamMemory memory(nullptr);
  Staging staging(&memory);
  std::size_t needed = 0;
  for (std::size_t count = 1 << 20; count < 3 << 20; count += 50'000) {
    const std::vector<std::uint32_t> sent(count, static_cast<std::uint32_t>(count));
    std::vector<std::uint32_t> received(count);
    const auto from = staging.Upload(absl::MakeConstSpan(sent));
    ASSERT_EQ(from.status(), absl::OkStatus());
    const auto to = staging.Result(absl::MakeSpan(received));
    ASSERT_EQ(to.status(), absl::OkStatus());
    ASSERT_EQ(staging.Flush(), absl::OkStatus());
    ASSERT_EQ(cudaMemcpyAsync(*to, *from, count * sizeof(std::uint32_t), cudaMemcpyDeviceToDevice,
                              memory.stream()),
              cudaSuccess);
    ASSERT_EQ(staging.Finish(), absl::OkStatus());
    ASSERT_EQ(received, sent);
    needed = 2 * count * sizeof(std::uint32_t);
    EXPECT_LE(staging.bytes(), 4 * needed) << count;
  }
}

}  // namespace
}  // namespace pinboard::cuda
