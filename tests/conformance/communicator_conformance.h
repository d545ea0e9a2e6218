// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every Communicator promises. Instantiate with a type that has
//   std::unique_ptr<Communicator> Make(int rank, int size);   called on each rank's own thread;
//                                                             returns when the group is complete
//   static constexpr std::array kSizes                        group sizes it can make
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
#include <thread>
#include <vector>

#include "absl/synchronization/barrier.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/collective/communicator.h"

namespace pinboard::transport {

/// A deadline that only a hanging test reaches.
inline absl::Time Patience() { return absl::Now() + absl::Seconds(60); }

template <typename Environment>
class CommunicatorConformance : public ::testing::Test {
 protected:
  using Body = std::function<void(Communicator&)>;

  /// Runs `body` on every rank of a fresh group, each on a thread of its own; leaves together.
  static void RunRanks(int size, const Body& body) {
    Environment environment;
    auto* leave = new absl::Barrier(size);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&environment, &body, leave, rank, size] {
        auto communicator = environment.Make(rank, size);
        ASSERT_NE(communicator, nullptr);
        EXPECT_EQ(communicator->rank(), rank);
        EXPECT_EQ(communicator->size(), size);
        body(*communicator);
        if (leave->Block()) delete leave;
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  static void ForEverySize(const Body& body) {
    for (const int size : Environment::kSizes) {
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
  this->ForEverySize([](Communicator& communicator) {
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
  this->ForEverySize([](Communicator& communicator) {
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
  this->ForEverySize([](Communicator& communicator) {
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
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  this->ForEverySize([seed](Communicator& communicator) {
    std::minstd_rand plan(seed);
    std::minstd_rand delays(seed + 1 + communicator.rank());
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
    EXPECT_EQ(communicator.issued(), 200U);
  });
}

TYPED_TEST_P(CommunicatorConformance, AGroupOfOneMovesNothing) {
  this->RunRanks(1, [](Communicator& communicator) {
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
  absl::Barrier* missed = new absl::Barrier(3);
  this->RunRanks(3, [missed](Communicator& communicator) {
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
    if (missed->Block()) delete missed;
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
  this->RunRanks(3, [](Communicator& communicator) {
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
  std::vector<std::thread> threads;
  TypeParam environment;
  absl::Barrier* survivors = new absl::Barrier(2);
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&environment, survivors, rank] {
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
      if (survivors->Block()) delete survivors;
    });
  }
  for (std::thread& thread : threads) thread.join();
}

REGISTER_TYPED_TEST_SUITE_P(CommunicatorConformance, IntegerSumsAreExactAndWrap,
                            FloatSumsAreAddedInRankOrderOnEveryRank,
                            AllGatherPutsContributionsInRankOrder,
                            ManyMixedCollectivesStayInStepHoweverRanksAreDelayed,
                            AGroupOfOneMovesNothing, ALateRankIsNamedAndTheGroupGoesOn,
                            ADisagreementOnSizeOrKindIsSeenByAllAndSurvived,
                            ALostRankIsUnavailableForEveryoneFromThenOn);

}  // namespace pinboard::transport
