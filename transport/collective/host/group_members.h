// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The other ranks of a group, as a fabric knows them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "transport/fabric/fabric.h"

namespace pinboard::transport {

/// Peers by rank, and what became of them. A rank is dead when its connection ended, or when
/// another rank said so while leaving; a leaving rank stops because of a dead one and is not to
/// blame. Neither comes back. Thread-compatible.
class GroupMembers {
 public:
  GroupMembers(int rank, int size) : rank_(rank), members_(size) {}

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(members_.size()); }

  void Add(int rank, PeerId peer);
  bool Known(int rank) const { return rank == rank_ || members_[rank].peer.has_value(); }
  /// Whether every rank is known.
  bool Complete() const;
  /// Requires Known(rank) of another rank.
  PeerId peer(int rank) const { return *members_[rank].peer; }
  std::optional<int> RankOf(PeerId peer) const;

  void MarkDead(int rank, std::string reason);
  void MarkLeaving(int rank) { members_[rank].leaving = true; }
  /// Why it is dead, if it is.
  const std::optional<std::string>& dead(int rank) const { return members_[rank].dead; }
  bool leaving(int rank) const { return members_[rank].leaving; }
  /// Whether nothing more can be expected of it.
  bool Lost(int rank) const { return dead(rank).has_value() || leaving(rank); }

 private:
  struct Member {
    std::optional<PeerId> peer;
    std::optional<std::string> dead;
    bool leaving = false;
  };

  int rank_;
  std::vector<Member> members_;
  absl::flat_hash_map<PeerId, int> ranks_;
};

}  // namespace pinboard::transport
