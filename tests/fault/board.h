// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the processes of a fault run know of each other: shared memory that outlives any of them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace pinboard::testing {

inline constexpr int kMostClients = 64;
inline constexpr int kPagesOfClient = 16;
inline constexpr int kMostTenants = 3;

/// What one client has done so far; what it counted stays when it is killed. Its own thread writes.
struct ClientCounts {
  std::atomic<std::uint64_t> published;
  std::atomic<std::uint64_t> hits;
  std::atomic<std::uint64_t> misses;
  std::atomic<std::uint64_t> unavailable;  // leases and fetches refused or late
  std::atomic<std::uint64_t> corrupted;    // bytes that do not fit their checksum
  std::atomic<std::uint64_t> wrong;        // bytes that fit it and are another page's
  std::atomic<std::uint64_t> had_to_miss;  // misses of what is forgotten, or was never published
  std::atomic<std::uint64_t> stale;        // and hits
  std::atomic<std::uint64_t> protocol_errors;  // as its store counts them
  std::atomic<std::uint64_t> foreign;          // leases of what holds another tenant's page
  std::atomic<std::int64_t> latest_us;         // the longest that a call took beyond its deadline
  std::atomic<bool> connected;                 // once, or was refused
};

struct Board {
  std::atomic<bool> stop;           // the clients are to end
  std::atomic<int> client_count;    // ever started
  std::atomic<std::uint32_t> life;  // of the service: counted up as each is seen to have ended
  std::atomic<int> tenants;         // who share the service; 0: it knows none
  /// How often another key was given to the clients of each tenant.
  std::atomic<std::uint32_t> keys_given[kMostTenants + 1];
  ClientCounts clients[kMostClients];
  /// The last that its client has used: who takes a killed client's place goes on from there.
  std::atomic<std::uint32_t> generation[kMostClients];
  /// The generation that its client published last, 0 for none: what others ask for.
  std::atomic<std::uint32_t> latest[kMostClients][kPagesOfClient];
  /// Life and generation in which its client has read its page back; 0 while the client may be
  /// changing it. As long as the service lives, it is to be there.
  std::atomic<std::uint64_t> confirmed[kMostClients][kPagesOfClient];
  /// The latest generation that its service has said is dropped or replaced, 0 for none: neither it
  /// nor an earlier one is there any more.
  std::atomic<std::uint32_t> forgotten[kMostClients][kPagesOfClient];
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// Clients take turns in being of tenants 1, 2 and so on; each tenant's count their sequences from
/// 0, so that all name the same pages. Where there are none: tenant 0, and sequence = client.
inline int Turns(const Board& board) { return std::max(1, board.tenants.load()); }
inline int TenantOf(const Board& board, int client) {
  return board.tenants.load() == 0 ? 0 : 1 + client % Turns(board);
}
inline std::uint64_t SequenceOf(const Board& board, int client) {
  return static_cast<std::uint64_t>(client / Turns(board));
}
inline int ClientOf(const Board& board, int tenant, std::uint64_t sequence) {
  return static_cast<int>(sequence) * Turns(board) + std::max(0, tenant - 1);
}

inline std::uint64_t Confirmation(std::uint32_t life, std::uint32_t generation) {
  return std::uint64_t{life} << 32 | generation;
}

/// A mapping of the board in `path`, which is made, of zeros, where it is not there. Aborts where
/// that cannot be.
class SharedBoard {
 public:
  explicit SharedBoard(const std::string& path);
  ~SharedBoard();
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  Board* operator->() const { return board_; }
  Board& operator*() const { return *board_; }

 private:
  Board* board_;
};

}  // namespace pinboard::testing
