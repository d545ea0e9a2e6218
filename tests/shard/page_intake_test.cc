// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages on their way in: copied once, checked, and nobody else's from then on.
#include "shard/operations/page_intake.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "shard/operations/operations.h"
#include "tests/shard/toy_memory.h"
#include "tests/shard/toy_operations.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {
namespace {

constexpr std::size_t kPageBytes = kPageRows * 48;

class PageIntakeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    operations_ = MakeToyOperations();
    ASSERT_NE(operations_, nullptr);
    intake_ = operations_->MakePageIntake(kPageBytes);
  }

  kernels::PageIdentity Identity(std::uint32_t page) const {
    return {{.sequence = 7, .page = page}, 3};
  }

  /// Of `bytes`, whose pin counts its end.
  PageIntake::Arrival Arrival(std::uint32_t page, absl::Span<const std::byte> bytes) {
    return {Identity(page), kernels::PageTag(bytes, Identity(page)),
            cache_service::PagePin(bytes, [this, page] { ++released_[page]; })};
  }

  std::vector<std::byte> Read(const PageIntake::Copy& copy) {
    std::vector<std::byte> bytes(kPageBytes);
    EXPECT_TRUE(operations_->memory()->Copy(bytes.data(), copy.bytes.get(), kPageBytes).ok());
    EXPECT_TRUE(operations_->Finish().ok());
    AwaitToyBackend();
    return bytes;
  }

  SeededRandom random_;
  std::unique_ptr<Operations> operations_;
  std::unique_ptr<PageIntake> intake_;
  std::map<std::uint32_t, int> released_;
};

TEST_F(PageIntakeTest, CopiesWhatMatchesItsTagAndNothingElse) {
  // Every other one where a device reaches it.
  std::vector<ToyVector<std::byte>> reachable(3, ToyVector<std::byte>(kPageBytes));
  std::vector<std::vector<std::byte>> other(3, std::vector<std::byte>(kPageBytes));
  std::vector<absl::Span<std::byte>> pages;
  for (int i = 0; i < 3; ++i) {
    pages.push_back(absl::MakeSpan(reachable[i].data(), kPageBytes));
    pages.push_back(absl::MakeSpan(other[i]));
  }
  std::vector<PageIntake::Arrival> arrivals;
  std::vector<std::vector<std::byte>> expected;
  for (std::uint32_t i = 0; i < pages.size(); ++i) {
    for (std::byte& byte : pages[i]) byte = static_cast<std::byte>(random_.Int(0, 255));
    expected.emplace_back(pages[i].begin(), pages[i].end());
    arrivals.push_back(Arrival(i, pages[i]));
  }
  const std::uint32_t corrupted = random_.Int(0, 5);
  pages[corrupted][random_.Int(0, kPageBytes - 1)] ^= std::byte{1};
  const std::uint32_t stale = (corrupted + 1) % 6;
  ++arrivals[stale].identity.generation;
  arrivals.push_back(Arrival(6, pages[0].first(kPageBytes / 2)));

  ASSERT_TRUE(intake_->Start(std::move(arrivals)).ok());
  auto copies = intake_->Wait();
  ASSERT_TRUE(copies.ok()) << copies.status();
  ASSERT_EQ(copies->size(), 7);
  for (auto& page : pages) std::fill(page.begin(), page.end(), std::byte{0});
  intake_.reset();
  for (const PageIntake::Copy& copy : *copies) {
    const std::uint32_t page = copy.identity.key.page;
    EXPECT_EQ(released_[page], 1) << page;
    if (page == corrupted || page == stale || page == 6) {
      EXPECT_EQ(copy.bytes, nullptr) << page;
    } else {
      ASSERT_NE(copy.bytes, nullptr) << page;
      EXPECT_EQ(Read(copy), expected[page]) << page;
    }
  }
}

TEST_F(PageIntakeTest, HandsEachCopyOutOnce) {
  ToyVector<std::byte> page(kPageBytes);
  std::map<std::uint32_t, int> seen;
  const auto count = [&](const absl::StatusOr<std::vector<PageIntake::Copy>>& copies) {
    ASSERT_TRUE(copies.ok()) << copies.status();
    for (const auto& copy : *copies) ++seen[copy.identity.key.page];
  };
  for (std::uint32_t i = 0; i < 40; ++i) {
    std::vector<PageIntake::Arrival> arrivals;
    arrivals.push_back(Arrival(i, {page.data(), kPageBytes}));
    ASSERT_TRUE(intake_->Start(std::move(arrivals)).ok());
    count(intake_->Poll());
  }
  count(intake_->Wait());
  count(intake_->Poll());
  EXPECT_EQ(seen.size(), 40);
  for (const auto& [number, times] : seen) EXPECT_EQ(times, 1) << number;
}

}  // namespace
}  // namespace pinboard::testing
