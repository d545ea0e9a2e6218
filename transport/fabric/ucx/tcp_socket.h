// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// "host:port" and TCP sockets that never block.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "transport/fabric/ucx/unique_fd.h"

namespace pinboard::transport {

struct AddressedSocket {
  UniqueFd fd;
  std::string address;
};

/// A listening socket and the address it is bound to (port 0 replaced by the chosen one).
/// AlreadyExists: the port is in use. InvalidArgument: not "host:port", or an unknown host.
absl::StatusOr<AddressedSocket> ListenTcp(const std::string& address);

/// A socket whose connection is under way: writable when it is decided (see ConnectOutcome).
/// Unavailable: refused at once. InvalidArgument: as above.
absl::StatusOr<UniqueFd> StartConnectTcp(const std::string& address);

/// How the connection under way ended; `address` is for the message.
absl::Status ConnectOutcome(int fd, const std::string& address);

/// The next waiting connection, ready for use, and where it comes from; an invalid one if there is
/// none.
AddressedSocket AcceptTcp(int listening_fd);

}  // namespace pinboard::transport
