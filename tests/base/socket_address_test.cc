// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/socket_address.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/support/listening_socket.h"

namespace pinboard {
namespace {

TEST(SocketAddressTest, APortAloneMeansLoopback) {
  for (const char* text : {"9464", ":9464", "localhost:9464", "127.0.0.1:9464"}) {
    const auto address = ParseSocketAddress(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->ToString(), "127.0.0.1:9464");
  }
}

TEST(SocketAddressTest, Ipv6IsWrittenInBrackets) {
  const auto address = ParseSocketAddress("[::1]:80");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(*address, (SocketAddress{.host = "::1", .port = 80}));
  EXPECT_EQ(address->ToString(), "[::1]:80");
}

TEST(SocketAddressTest, RefusesWhatIsNoAddressAndQuotesIt) {
  for (const char* text :
       {"", ":", "host", "example.org:80", "127.0.0.1", "1.2.3:80", "::1:80", "[127.0.0.1]:80",
        "[::1:80", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x"}) {
    const auto address = ParseSocketAddress(text);
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_TRUE(absl::StrContains(address.status().message(), text));
  }
}

TEST(SocketAddressTest, AFreePortCanBeListenedOnAndATakenOneSaysSo) {
  EXPECT_TRUE(CheckCanListen({.host = "127.0.0.1", .port = 0}).ok());
  const ListeningSocket taken;
  const absl::Status status = CheckCanListen({.host = "127.0.0.1", .port = taken.port()});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(absl::StrContains(status.message(), "in use"));
}

TEST(SocketAddressTest, AnAddressOfAnotherMachineIsRefused) {
  // 192.0.2.0/24 is reserved for documentation (RFC 5737).
  EXPECT_EQ(CheckCanListen({.host = "192.0.2.1", .port = 0}).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard
