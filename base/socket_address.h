// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Addresses to listen on, as people write them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace pinboard {

/// An IP literal and a TCP port.
struct SocketAddress {
  std::string host;  // without brackets
  std::uint16_t port = 0;

  /// "127.0.0.1:9464", "[::1]:9464".
  std::string ToString() const;
  /// 127.0.0.0/8 or ::1.
  bool is_loopback() const;
  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};

/// Reads HOST:PORT, [IPV6]:PORT, :PORT or PORT; the last two and "localhost" mean 127.0.0.1. Names
/// are not resolved. Errors: InvalidArgument.
absl::StatusOr<SocketAddress> ParseSocketAddress(absl::string_view text);

/// Whether a TCP socket could listen there now (it is closed again at once). Errors: AlreadyExists
/// for a port in use, PermissionDenied, InvalidArgument for an address that is not this machine's,
/// Unavailable for anything else.
absl::Status CheckCanListen(const SocketAddress& address);

}  // namespace pinboard
