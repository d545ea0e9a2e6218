// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What copying and moving pages between members comes to, in counts.
#pragma once

#include <array>
#include <cstdint>

#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// How an offer ended: as the other member says, or not even sent.
enum class OfferEnd : std::uint8_t {
  kTaken,
  kHad,
  kNoRoom,
  kCorrupt,
  kFailed,
  kOverflow,  // too many waited for this member
};
inline constexpr int kOfferEnds = kOfferOutcomes + 1;

enum class PullEnd : std::uint8_t {
  kHit,
  kMiss,      // nobody has it
  kNoRoom,    // here
  kCorrupt,   // its bytes did not match its tag
  kTimeout,   // a member did not answer in time, or went
  kOverflow,  // too many under way
};
inline constexpr int kPullEnds = 6;

/// Of one tenant, or of all.
struct ReplicationCounts {
  std::uint64_t peers_up = 0;
  std::uint64_t peers_down = 0;
  std::uint64_t offers_waiting = 0;  // but spills
  std::uint64_t under_replicated_pages = 0;
  std::array<std::array<std::uint64_t, kOfferEnds>, kOfferKinds> offers_total{};  // pages
  std::uint64_t drain_pages_left = 0;  // to be offered yet, or offered and not answered
  std::uint64_t pulls_waiting = 0;
  std::array<std::uint64_t, kPullEnds> pulls_total{};  // pages
  std::uint64_t peer_protocol_errors_total = 0;        // connections ended for what a member said
  std::uint64_t lost_drops_total = 0;                  // pages and sequences (MissedDrops)

  ReplicationCounts& operator+=(const ReplicationCounts& other) {
    peers_up += other.peers_up;
    peers_down += other.peers_down;
    offers_waiting += other.offers_waiting;
    under_replicated_pages += other.under_replicated_pages;
    for (int kind = 0; kind < kOfferKinds; ++kind) {
      for (int end = 0; end < kOfferEnds; ++end) {
        offers_total[kind][end] += other.offers_total[kind][end];
      }
    }
    drain_pages_left += other.drain_pages_left;
    pulls_waiting += other.pulls_waiting;
    for (int end = 0; end < kPullEnds; ++end) pulls_total[end] += other.pulls_total[end];
    peer_protocol_errors_total += other.peer_protocol_errors_total;
    lost_drops_total += other.lost_drops_total;
    return *this;
  }
};

}  // namespace pinboard::cache_service
