// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every Communicator promises. Instantiate with a type that has
//   std::unique_ptr<Communicator> Make(int rank, int size);   called by each rank of a fresh group;
//                                                             returns when the group is complete
//   void Run(int size, body); void Meet(int parties);         as RankThreads has them; a test of
//                                                             processes runs this process's rank
//   static std::vector<int> Sizes()                           group sizes to test
#pragma once

#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/seeded_random.h"
#include "transport/collective/communicator.h"

namespace pinboard::transport {

/// A deadline that only a hanging test reaches.
inline absl::Time Patience() { return absl::Now() + absl::Seconds(60); }

template <typename Environment>
class CommunicatorConformance : public ::testing::Test {
 protected:
  using Body = std::function<void(Communicator&, Environment&)>;

  /// Runs `body` on every rank of a fresh group; leaves together.
  static void RunRanks(int size, const Body& body) {
    Environment environment;
    environment.Run(size, [&](int rank) {
      auto communicator = environment.Make(rank, size);
      ASSERT_NE(communicator, nullptr);
      EXPECT_EQ(communicator->rank(), rank);
      EXPECT_EQ(communicator->size(), size);
      body(*communicator, environment);
      environment.Meet(size);
    });
  }

  static void ForEverySize(const Body& body) {
    for (const int size : Environment::Sizes()) {
      SCOPED_TRACE(size);
      RunRanks(size, body);
    }
  }
};

TYPED_TEST_SUITE_P(CommunicatorConformance);

// Lengths around the thresholds between algorithms.
inline constexpr std::array<std::size_t, 8> kConformanceLengths = {
    0, 1, 7, 2048, 16'384, 16'385, 262'145, 500'003};

TYPED_TEST_P(CommunicatorConformance, IntegerSumsAreExactAndWrap) {
  this->ForEverySize([](Communicator& communicator, auto&) {
    for (const std::size_t length : kConformanceLengths) {
      std::vector<std::int32_t> data(length);
      for (std::size_t i = 0; i < length; ++i) {
        data[i] = static_cast<std::int32_t>((communicator.rank() + 1) * (i % 1000));
      }
      if (length > 0) data[0] = std::numeric_limits<std::int32_t>::max();
      ASSERT_TRUE(communicator.SumInt32(absl::MakeSpan(data), Patience()).ok());
      const int size = communicator.size();
      const auto ranks = static_cast<std::int32_t>(size * (size + 1) / 2);
      for (std::size_t i = 1; i < length; ++i) {
        ASSERT_EQ(data[i], ranks * static_cast<std::int32_t>(i % 1000)) << i;
      }
      const auto wrapped = static_cast<std::uint32_t>(size) * 0x7fffffffU;
      if (length > 0) {
        EXPECT_EQ(data[0], static_cast<std::int32_t>(wrapped));
      }
    }
  });
}

TYPED_TEST_P(CommunicatorConformance, FloatSumsAreAddedInRankOrderOnEveryRank) {
  this->ForEverySize([](Communicator& communicator, auto&) {
    const auto contribution = [](int rank, std::size_t i) {
      std::minstd_rand random(static_cast<unsigned>(rank * 1'000'003 + i % 8191 + 1));
      random.discard(2);
      return std::ldexp(static_cast<float>(random()) - 1e9F, static_cast<int>(random() % 60) - 30);
    };
    for (const std::size_t length : kConformanceLengths) {
      std::vector<float> data(length);
      for (std::size_t i = 0; i < length; ++i) data[i] = contribution(communicator.rank(), i);
      ASSERT_TRUE(communicator.SumFloat(absl::MakeSpan(data), Patience()).ok());
      for (std::size_t i = 0; i < length; i += 1 + length / 5000) {
        float expected = contribution(0, i);
        for (int rank = 1; rank < communicator.size(); ++rank) expected += contribution(rank, i);
        ASSERT_EQ(std::memcmp(&data[i], &expected, sizeof(float)), 0) << length << " " << i;
      }
    }
  });
}

TYPED_TEST_P(CommunicatorConformance, AllGatherPutsContributionsInRankOrder) {
  this->ForEverySize([](Communicator& communicator, auto&) {
    for (const std::size_t length : kConformanceLengths) {
      const std::vector<std::byte> send(length, static_cast<std::byte>(communicator.rank() + 1));
      std::vector<std::byte> received(length * communicator.size());
      ASSERT_TRUE(communicator.AllGather(send, absl::MakeSpan(received), Patience()).ok());
      for (std::size_t i = 0; i < received.size(); ++i) {
        ASSERT_EQ(received[i], static_cast<std::byte>(i / length + 1));
      }
    }
  });
}

TYPED_TEST_P(CommunicatorConformance, ManyMixedCollectivesStayInStepHoweverRanksAreDelayed) {
  this->ForEverySize([](Communicator& communicator, auto&) {
    // Ranks may be processes: rank 0 draws the seed for all.
    std::vector<std::int32_t> seed(1);
    if (communicator.rank() == 0) seed[0] = static_cast<std::int32_t>(TestSeed());
    ASSERT_TRUE(communicator.SumInt32(absl::MakeSpan(seed), Patience()).ok());
    SCOPED_TRACE(seed[0]);
    std::minstd_rand plan(seed[0]);
    std::minstd_rand delays(seed[0] + 1U + communicator.rank());
    for (int step = 0; step < 200; ++step) {
      const std::size_t length = plan() % 50 == 0 ? 70'000 : plan() % 300;
      if (delays() % 10 == 0) absl::SleepFor(absl::Microseconds(delays() % 500));
      if (plan() % 3 == 0) {
        std::vector<float> data(length, static_cast<float>(step));
        ASSERT_TRUE(communicator.SumFloat(absl::MakeSpan(data), Patience()).ok());
        EXPECT_THAT(data, ::testing::Each(static_cast<float>(step) * communicator.size()));
      } else {
        std::vector<std::int32_t> data(length, step);
        ASSERT_TRUE(communicator.SumInt32(absl::MakeSpan(data), Patience()).ok());
        EXPECT_THAT(data, ::testing::Each(step * communicator.size()));
      }
    }
    EXPECT_EQ(communicator.issued(), 201U);
  });
}

TYPED_TEST_P(CommunicatorConformance, AGroupOfOneMovesNothing) {
  this->RunRanks(1, [](Communicator& communicator, auto&) {
    std::vector<float> data = {1, 2};
    EXPECT_TRUE(communicator.SumFloat(absl::MakeSpan(data), absl::InfinitePast()).ok());
    EXPECT_THAT(data, ::testing::ElementsAre(1, 2));
    const std::vector<std::byte> send = {std::byte{7}};
    std::vector<std::byte> received(1);
    EXPECT_TRUE(communicator.AllGather(send, absl::MakeSpan(received), absl::InfinitePast()).ok());
    EXPECT_EQ(received, send);
    EXPECT_EQ(communicator.issued(), 2U);
  });
}

TYPED_TEST_P(CommunicatorConformance, ALateRankIsNamedAndTheGroupGoesOn) {
  this->RunRanks(3, [](Communicator& communicator, auto& environment) {
    std::vector<std::int32_t> data = {1};
    const auto miss = [&](int number) {
      const absl::Status status =
          communicator.SumInt32(absl::MakeSpan(data), absl::Now() + absl::Milliseconds(50));
      EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
      EXPECT_THAT(std::string(status.message()),
                  ::testing::AllOf(::testing::StartsWith("rank 1 has"),
                                   ::testing::HasSubstr("collective " + std::to_string(number))));
    };
    if (communicator.rank() != 1) {
      miss(0);
      miss(1);
    }
    environment.Meet(3);
    // The late rank issues what the others have abandoned: whatever the outcome, it catches up.
    if (communicator.rank() == 1) {
      for (int i = 0; i < 2; ++i) {
        static_cast<void>(
            communicator.SumInt32(absl::MakeSpan(data), absl::Now() + absl::Milliseconds(20)));
      }
    }
    for (int i = 0; i < 10; ++i) {
      data = {communicator.rank() + i};
      ASSERT_TRUE(communicator.SumInt32(absl::MakeSpan(data), Patience()).ok());
      EXPECT_EQ(data[0], 3 + 3 * i);
    }
    EXPECT_EQ(communicator.issued(), 12U);
  });
}

TYPED_TEST_P(CommunicatorConformance, ADisagreementOnSizeOrKindIsSeenByAllAndSurvived) {
  this->RunRanks(3, [](Communicator& communicator, auto&) {
    const bool odd = communicator.rank() == 2;
    std::vector<float> floats(odd ? 100 : 101);
    EXPECT_EQ(communicator.SumFloat(absl::MakeSpan(floats), Patience()).code(),
              absl::StatusCode::kFailedPrecondition);
    std::vector<float> large(odd ? 100'000 : 10);
    EXPECT_EQ(communicator.SumFloat(absl::MakeSpan(large), Patience()).code(),
              absl::StatusCode::kFailedPrecondition);
    std::vector<std::int32_t> integers(10);
    std::vector<float> others(10);
    const absl::Status kinds = odd ? communicator.SumInt32(absl::MakeSpan(integers), Patience())
                                   : communicator.SumFloat(absl::MakeSpan(others), Patience());
    EXPECT_EQ(kinds.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(kinds.message()), ::testing::HasSubstr("rank 2"));
    std::vector<std::int32_t> data = {1};
    ASSERT_TRUE(communicator.SumInt32(absl::MakeSpan(data), Patience()).ok());
    EXPECT_EQ(data[0], 3);
  });
}

TYPED_TEST_P(CommunicatorConformance, ALostRankIsUnavailableForEveryoneFromThenOn) {
  TypeParam environment;
  environment.Run(3, [&environment](int rank) {
    auto communicator = environment.Make(rank, 3);
    ASSERT_NE(communicator, nullptr);
    std::vector<std::int32_t> data = {1};
    ASSERT_TRUE(communicator->SumInt32(absl::MakeSpan(data), Patience()).ok());
    if (rank == 2) return;
    for (int i = 0; i < 3; ++i) {
      const absl::Status lost = communicator->SumInt32(absl::MakeSpan(data), Patience());
      EXPECT_EQ(lost.code(), absl::StatusCode::kUnavailable) << lost;
      EXPECT_THAT(std::string(lost.message()), ::testing::StartsWith("rank 2 is lost"));
    }
    environment.Meet(2);
  });
}

REGISTER_TYPED_TEST_SUITE_P(CommunicatorConformance, IntegerSumsAreExactAndWrap,
                            FloatSumsAreAddedInRankOrderOnEveryRank,
                            AllGatherPutsContributionsInRankOrder,
                            ManyMixedCollectivesStayInStepHoweverRanksAreDelayed,
                            AGroupOfOneMovesNothing, ALateRankIsNamedAndTheGroupGoesOn,
                            ADisagreementOnSizeOrKindIsSeenByAllAndSurvived,
                            ALostRankIsUnavailableForEveryoneFromThenOn);

}  // namespace pinboard::transport
