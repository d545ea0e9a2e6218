// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A client that asks a real pinboardd for its counts.
#include "cache_service/client/stats_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/cache_service/daemon.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/free_port.h"
#include "tests/support/listening_socket.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::unique_ptr<StatsClient>> Connect(const std::string& address,
                                                     absl::Time deadline = Soon()) {
  return StatsClient::Connect(*transport::MakeUcxFabric(), address, "test", std::nullopt, deadline);
}

class StatsClientTest : public ::testing::Test {
 protected:
  /// By the name without its prefix.
  static std::map<std::string, std::uint64_t> Ask(StatsClient& client) {
    std::map<std::string, std::uint64_t> counts;
    const auto entries = client.Ask(Soon());
    EXPECT_TRUE(entries.ok()) << entries.status();
    for (const StatsEntry& entry : entries.value_or(std::vector<StatsEntry>())) {
      counts[entry.name.substr(std::string("pinboard_service_").size())] = entry.value;
    }
    return counts;
  }

  Daemon daemon_{64 * kTestPageBytes};
};

TEST_F(StatsClientTest, TellsWhatOthersDidAndDoesNothingItself) {
  const auto store = *ConnectOverUcx(daemon_.address());
  for (std::uint32_t i = 0; i < 3; ++i) {
    ASSERT_EQ(PublishTestPage(*store, TestPage(i)), absl::OkStatus());
  }
  ASSERT_EQ(FetchTestPage(*store, TestPage(2)).pin.status(), absl::OkStatus());
  const auto client = Connect(daemon_.address());
  ASSERT_TRUE(client.ok()) << client.status();
  const auto counts = Ask(**client);
  EXPECT_EQ(counts.at("pages"), 3);
  EXPECT_EQ(counts.at("pages_published_total"), 3);
  EXPECT_EQ(counts.at("pages_fetched_total"), 1);
  EXPECT_EQ(counts.at("fetched_bytes_total"), kTestPageBytes);
  EXPECT_EQ(counts.at("clients"), 2) << "the store and the one who asks";
  EXPECT_EQ(counts.at("arena_used_bytes"), 3 * kTestPageBytes);
  EXPECT_EQ(counts.at("slabs{state=\"leased\"}"), 0);
  EXPECT_EQ(Ask(**client).at("pages_fetched_total"), 1);
}

TEST_F(StatsClientTest, AServiceThatStopsIsADeadlineAndMayAnswerLater) {
  const auto client = *Connect(daemon_.address());
  daemon_.process().Signal(SIGSTOP);
  EXPECT_EQ(client->Ask(absl::Now() + absl::Milliseconds(20)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  daemon_.process().Signal(SIGCONT);
  // The late reply is not taken for the answer to this one: a store connects in between.
  const auto store = *ConnectOverUcx(daemon_.address());
  EXPECT_EQ(Ask(*client).at("clients"), 2);
}

TEST_F(StatsClientTest, AServiceThatDiesIsUnavailable) {
  const auto client = *Connect(daemon_.address());
  daemon_.process().Signal(SIGKILL);
  const absl::Status status = client->Ask(Soon()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(daemon_.address() + " is gone"));
  EXPECT_EQ(client->Ask(Soon()).status(), status) << "at once, from now on";
  client->Close(Soon());
}

TEST(StatsClientConnect, SaysWhatToDoWhereNobodyListens) {
  const absl::Status status = Connect(FreeLoopbackAddress()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(": start pinboardd there first"));
}

TEST(StatsClientConnect, WhoDoesNotAnswerIsADeadline) {
  const ListeningSocket silent;
  const absl::Status status =
      Connect("127.0.0.1:" + std::to_string(silent.port()), absl::Now() + absl::Milliseconds(50))
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
}

}  // namespace
}  // namespace pinboard::cache_service
