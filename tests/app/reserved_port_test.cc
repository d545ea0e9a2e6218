// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/reserved_port.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/socket_address.h"

namespace pinboard::app {
namespace {

/// 0, or why a socket cannot listen at this port of 127.0.0.1.
int ListenError(std::uint16_t port, bool reuse) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = reuse ? 1 : 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool listens =
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(fd, 1) == 0;
  const int error = listens ? 0 : errno;
  close(fd);
  return error;
}

TEST(ReservedPort, IsForAListenerThatKnowsOfItAndNobodyElse) {
  auto reserved = ReservedPort::Reserve();
  ASSERT_TRUE(reserved.ok()) << reserved.status();
  const auto address = ParseSocketAddress(reserved->address());
  ASSERT_TRUE(address.ok()) << address.status();
  const ReservedPort moved(*std::move(reserved));
  EXPECT_EQ(ListenError(address->port, false), EADDRINUSE);
  EXPECT_EQ(ListenError(address->port, true), 0);
}

}  // namespace
}  // namespace pinboard::app
