// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The socket beside every UCX connection: exchanges worker addresses, says goodbye, and its end is
// the peer's end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "transport/fabric/ucx/unique_fd.h"

namespace pinboard::transport {

/// First frame of each side: the connecting side speaks first.
struct Hello {
  std::uint32_t peer_id = 0;      // how the sender of this frame names the connection
  std::uint32_t nonce = 0;        // repeated in every message to it
  std::array<char, 64> host{};    // the sender's host and IPC namespace
  std::vector<std::byte> worker;  // UCX worker address
};

/// Last frame of each side: so many messages were sent in all.
struct Goodbye {
  std::uint64_t messages_sent = 0;
};

/// Frames over one TCP socket. A frame is magic, version, kind, length and the body's FNV-1a
/// (little endian, 24 bytes in all), then its body. Anything else is an error, found before it is
/// believed (UCX trusts the worker address it is given): nothing is kept for a length over
/// kMaxBodyBytes. Thread-compatible.
class ControlLink {
 public:
  static constexpr std::size_t kMaxBodyBytes = 16384;

  explicit ControlLink(UniqueFd fd) : fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }

  /// At most two small frames are ever written to a socket, so a socket that does not take them
  /// whole is broken: Unavailable.
  absl::Status SendHello(const Hello& hello);
  absl::Status SendGoodbye(const Goodbye& goodbye);

  /// Takes what has arrived. Unavailable: the other end is gone. InvalidArgument: not our protocol.
  absl::Status Receive();
  /// Frames received and not taken yet.
  std::optional<Hello> TakeHello();
  std::optional<Goodbye> TakeGoodbye();

 private:
  absl::Status Write(std::uint16_t kind, absl::Span<const std::byte> body) const;
  absl::Status Parse();
  absl::Status ParseBody(std::uint16_t kind, absl::Span<const std::byte> body);

  UniqueFd fd_;
  std::vector<std::byte> received_;
  std::optional<Hello> hello_;
  std::optional<Goodbye> goodbye_;
};

/// Equal on two sides that may meet in shared memory: boot id, IPC and PID namespaces, and whether
/// UCX is allowed to.
std::array<char, 64> HostIdentity();

}  // namespace pinboard::transport
