// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Operations under way: each one's callback runs exactly once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "transport/fabric/fabric.h"
#include "transport/fabric/ucx/buffer_pool.h"
#include "transport/fabric/ucx/shared_mapping.h"

namespace pinboard::transport {

/// Leads every UCX active message.
struct MessageHeader {
  std::uint32_t to_peer = 0;  // the receiver's name for the connection
  std::uint32_t nonce = 0;    // as the receiver said in its Hello
  std::uint64_t sequence = 0;
  std::uint8_t type = 0;
  std::uint8_t unused[7] = {};
};
static_assert(sizeof(MessageHeader) == 24);

class OperationTable;

/// What UCX holds a pointer to while it works. Outlives its callback: UCX may still read `header`
/// and `staged` of an operation whose caller has been told that the peer is gone.
struct Operation {
  OperationTable* table = nullptr;
  PeerId peer;
  bool pending = false;   // the callback has not become due
  bool waiting = false;   // counted in WaitingBytes
  std::size_t bytes = 0;  // of a message
  Fabric::Done done;
  MessageHeader header;
  Buffer staged;
  std::shared_ptr<const SharedMapping> reads;  // a segment that UCX reads from
  int parts = 0;  // what has to end yet: UCX requests, a peer's answer; 0: idle
  absl::Status status;
};

/// Callbacks whose time has come.
struct Completion {
  Fabric::Done done;
  absl::Status status;
};

/// Owns operations and keeps the finished for reuse. Thread-compatible.
class OperationTable {
 public:
  explicit OperationTable(BufferPool* pool) : pool_(pool) {}

  /// An operation of that many parts; the address is stable until the last has ended.
  Operation* Start(PeerId peer, int parts, Fabric::Done done);
  /// One of the operation's parts ended. The callback becomes due when all have.
  void EndPart(Operation* operation, const absl::Status& status);
  /// The same of a part that was UCX's: where it failed the peer is broken.
  void EndUcxPart(Operation* operation, const absl::Status& status);
  /// UCX keeps it, and its bytes, until it can be sent.
  void Wait(Operation* operation);
  /// The peer is gone: its callbacks are due now. The operations stay until UCX lets go of them.
  void Abandon(PeerId peer, const absl::Status& status);
  void AbandonAll(const absl::Status& status);
  /// An operation that never reaches UCX.
  void EndAtOnce(Fabric::Done done, const absl::Status& status);

  /// Operations of the peer whose callback has not become due.
  int Outstanding(PeerId peer) const;
  /// Of the peer's messages that UCX keeps, with what each costs besides.
  std::size_t WaitingBytes(PeerId peer) const;
  /// Peers whose messages UCX has failed to send, since it was last asked.
  std::vector<PeerId> TakeBroken() { return std::exchange(broken_, {}); }
  /// Whether UCX has not let go of one of the peer's.
  bool HasOpenParts(PeerId peer) const;
  /// Runs what is due; callbacks may start operations. True if there was any.
  bool RunDue();

 private:
  void MakeDue(Operation& operation, const absl::Status& status);

  BufferPool* pool_;
  std::vector<std::unique_ptr<Operation>> all_;
  std::vector<Operation*> idle_;
  absl::flat_hash_map<PeerId, std::size_t> waiting_bytes_;
  std::vector<PeerId> broken_;
  std::vector<Completion> due_;
  std::vector<Completion> running_;
};

}  // namespace pinboard::transport
