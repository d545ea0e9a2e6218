// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Reading and writing a peer's segment by messages, where no transport does so by itself
// (docs/adr/0032). docs/wire_protocol.md shows the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pinboard::transport {

enum class AccessKind : std::uint8_t {
  kPut = 1,  // the payload is to be written
  kPutDone = 2,
  kGet = 3,
  kGot = 4,  // a piece of what was asked for
  kRefused = 5,
};

/// Leads an active message about a segment. The asker names the operation, the answers repeat it.
struct AccessHeader {
  std::uint32_t to_peer = 0;  // the receiver's name for the connection
  std::uint32_t nonce = 0;    // as the receiver said in its Hello
  std::uint64_t operation = 0;
  std::uint64_t segment = 0;  // SharedFile::nonce: who does not have the key cannot name it
  std::uint64_t offset = 0;   // kPut, kGet: in the segment; kGot: in what was asked for
  std::uint64_t bytes = 0;    // asked for, carried or written
  AccessKind kind = AccessKind::kPut;
  std::uint8_t unused[7] = {};
};
static_assert(sizeof(AccessHeader) == 48);

/// A put's or get's payload travels in pieces that UCX carries whole, so that they are copied once,
/// from where they arrive.
inline constexpr std::size_t kAccessPieceBytes = 61440;

}  // namespace pinboard::transport
