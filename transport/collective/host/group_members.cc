// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/host/group_members.h"

namespace pinboard::transport {

void GroupMembers::Add(int rank, PeerId peer) {
  members_[rank].peer = peer;
  ranks_[peer] = rank;
}

bool GroupMembers::Complete() const {
  for (int rank = 0; rank < size(); ++rank) {
    if (!Known(rank)) return false;
  }
  return true;
}

std::optional<int> GroupMembers::RankOf(PeerId peer) const {
  const auto found = ranks_.find(peer);
  return found == ranks_.end() ? std::nullopt : std::optional<int>(found->second);
}

void GroupMembers::MarkDead(int rank, std::string reason) {
  if (rank != rank_ && !Lost(rank)) members_[rank].dead = std::move(reason);
}

}  // namespace pinboard::transport
