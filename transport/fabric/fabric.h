// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Point-to-point messages and one-sided memory access between processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/strong_id.h"

namespace pinboard::transport {

/// A connection to another Fabric. Never reused within one Fabric.
using PeerId = StrongId<struct PeerTag, std::uint32_t>;

/// Host memory that peers may be allowed to access: allocated by the fabric (shared memory where
/// the transport can), unmapped when destroyed. Must not outlive its Fabric.
class Segment {
 public:
  virtual ~Segment() = default;
  virtual absl::Span<std::byte> memory() = 0;
  /// Opaque bytes with which a peer maps this segment (Fabric::Map).
  virtual absl::Span<const std::byte> remote_key() const = 0;
};

/// A peer's segment as seen from here. Offsets are relative to the segment's start. Must not
/// outlive its Fabric; after the peer is gone, operations end with Unavailable.
class RemoteSegment {
 public:
  virtual ~RemoteSegment() = default;
  virtual std::size_t size_bytes() const = 0;
  /// The peer's memory mapped into this process, or empty where the transport cannot: then use Put
  /// and Get.
  virtual absl::Span<std::byte> direct() = 0;
};

/// One thread's endpoint set: a single-threaded reactor. Every call but Wake must come from the
/// thread that currently owns it (thread-compatible); completions and handlers run inside Progress
/// or WaitUntil on that thread, each completion exactly once, also on cancel, close and peer death.
/// Handlers may call Send, Put, Get and Close, never Progress.
class Fabric {
 public:
  using Done = std::function<void(absl::Status)>;
  /// `payload` is valid during the call only.
  using MessageHandler = std::function<void(PeerId from, absl::Span<const std::byte> payload)>;
  using PeerHandler = std::function<void(PeerId peer, absl::Status reason)>;
  using Connected = std::function<void(absl::StatusOr<PeerId>)>;

  virtual ~Fabric() = default;

  /// Accepts connections at "host:port" (port 0: the system chooses). Returns the bound address.
  /// AlreadyExists: the port is in use. InvalidArgument: not an address.
  virtual absl::StatusOr<std::string> Listen(const std::string& address) = 0;
  /// Connects; blocks (progressing) until connected or the deadline. Unavailable: nobody listens.
  virtual absl::StatusOr<PeerId> Connect(const std::string& address, absl::Time deadline) = 0;
  /// The same without waiting: `connected` is called once, as completions are, by the deadline.
  virtual void StartConnect(const std::string& address, absl::Time deadline,
                            Connected connected) = 0;

  /// One handler per message type (0..63), set before messages of that type arrive. Messages of one
  /// peer arrive in the order sent. Types without a handler are dropped.
  virtual void OnMessage(std::uint8_t type, MessageHandler handler) = 0;
  virtual void OnAccepted(std::function<void(PeerId)> handler) = 0;
  /// Where the other side of this connection is, for people: "10.0.0.7:51234". Empty: unknown.
  virtual std::string AddressOf(PeerId peer) const = 0;
  /// Called once per peer, when it is closed by either side or found dead.
  virtual void OnClosed(PeerHandler handler) = 0;

  /// Sends a message of any size. `payload` is copied or consumed before return unless it is larger
  /// than 8 KiB: then it must stay valid until `done`.
  virtual void Send(PeerId peer, std::uint8_t type, absl::Span<const std::byte> payload,
                    Done done) = 0;

  /// Allocates `bytes` (rounded up to pages) that peers can map. ResourceExhausted: not enough
  /// memory.
  virtual absl::StatusOr<std::unique_ptr<Segment>> Allocate(std::size_t bytes) = 0;
  /// From now on, and while it is connected, the peer may read and write this segment of ours. Who
  /// has a segment's remote key and was not lent it is refused where the transport has to ask us;
  /// where it maps memory or has RDMA, the key alone is what lets it.
  virtual void Lend(PeerId peer, const Segment& segment) = 0;
  virtual absl::StatusOr<std::unique_ptr<RemoteSegment>> Map(
      PeerId peer, absl::Span<const std::byte> remote_key) = 0;
  /// One-sided; local memory must stay valid until `done`. Put is complete when the peer's memory
  /// holds the bytes.
  virtual void Put(RemoteSegment& segment, std::size_t offset, absl::Span<const std::byte> from,
                   Done done) = 0;
  virtual void Get(RemoteSegment& segment, std::size_t offset, absl::Span<std::byte> to,
                   Done done) = 0;

  virtual void Close(PeerId peer) = 0;

  /// Runs what is ready; true if anything was.
  virtual bool Progress() = 0;
  /// Sleeps until something can progress, Wake is called, or the deadline; then progresses once.
  virtual void WaitUntil(absl::Time deadline) = 0;
  /// Ends a WaitUntil. Thread-safe, async-signal-unsafe.
  virtual void Wake() = 0;
};

}  // namespace pinboard::transport
