// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Addresses on which nobody listens at the moment.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace pinboard {

/// The first of `count` ports in a row, as for ranks that listen at PORT + rank. Until this process
/// ends nobody else gets them, and who allows an address to be used again can listen there. They
/// lie below the ports that Linux gives to connections and to who asks for any port.
inline std::string FreeLoopbackRange(int count) {
  const auto take = [](int port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      close(fd);
      return false;
    }
    const int on = 1;  // from now on: it was bound as the only one
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return true;
  };
  int first = 20000 + getpid() % 8000;
  for (int port = first; port < first + count; ++port) {
    if (!take(port)) first = port + 1;
  }
  return "127.0.0.1:" + std::to_string(first);
}

/// "127.0.0.1:port", one alone of those.
inline std::string FreeLoopbackAddress() { return FreeLoopbackRange(1); }

}  // namespace pinboard
