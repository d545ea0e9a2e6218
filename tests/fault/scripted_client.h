// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A client that does what a rank does, at random, and checks every byte that comes back.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cache_service/page_store.h"
#include "tests/fault/board.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {

inline constexpr std::uint64_t kFaultGroup = 77;
inline constexpr std::size_t kFaultPageBytes = 4096;
/// Of who has a tenant: its pages take more than one of the service's segments, which then go from
/// tenant to tenant.
inline constexpr std::size_t kTenantPageBytes = std::size_t{128} << 10;
/// Passed by a client that has written half of a page.
inline constexpr char kPageHalfWritten[] = "client.page.half";

/// Leases, fills and publishes a batch, or says why there was no lease. Each tenant's pages hold
/// bytes of their own; 0: there are none. The tag is a rank's, as other members check it. Adds to
/// `foreign` each lease of what holds a page of another tenant; it must have none in this process,
/// whose memory a lease is where pages are copied.
absl::Status PutPages(cache_service::PageStore& store,
                      const std::vector<cache_service::PageRef>& pages, absl::Time deadline,
                      int tenant = 0, std::uint64_t* foreign = nullptr);

enum class Verdict { kIntact, kCorrupted, kWrong };
/// Of a hit of the tenant's. Corrupted: one byte is not what it was, as where a plan damages
/// memory; anything more is wrong.
Verdict Judge(const cache_service::FetchResult& fetched, int tenant = 0);

/// Client `index` owns the pages of its sequence (board.h) and alone publishes them, each time in a
/// later generation; it fetches those of anybody of its tenant, also what is dropped, replaced, or
/// never published. Its thread does nothing else.
class ScriptedClient {
 public:
  /// Whether the store is over one service alone, which forgets what it was told to. Members do so
  /// as far as they hear of it (ADR 22): there it may be a hit.
  enum class Forgets { kSurely, kMaybe };
  ScriptedClient(cache_service::PageStore& store, Board& board, int index, std::uint32_t seed,
                 Forgets forgets);

  /// Until board.stop, or until its tenant's clients have been given keys more often than that.
  void Run(std::uint32_t keys_given);

 private:
  using Taken = std::function<void(const cache_service::FetchResult&)>;

  void Put();
  void Get();
  void Drop();
  void GetForgotten();
  void GetUnpublished();
  /// `taken` is called for each page.
  void Fetch(const std::vector<cache_service::PageRef>& pages, absl::Duration patience,
             const Taken& taken);
  void Take(const cache_service::FetchResult& fetched, std::uint32_t life);
  void TakeForgotten(const cache_service::FetchResult& fetched);
  void Forget(const cache_service::PageRef& page);
  void NoteReturn(absl::Time deadline);
  std::vector<std::uint32_t> SomePages();
  int SomeOwner();
  int OwnerOf(const cache_service::PageRef& page) const {
    return ClientOf(board_, tenant_, page.key.sequence);
  }
  cache_service::PageRef NameOf(int owner, std::uint32_t page, std::uint32_t generation) const {
    return {{.sequence = SequenceOf(board_, owner), .page = page}, generation};
  }

  cache_service::PageStore& store_;
  Board& board_;
  const int index_;
  const int tenant_;
  const Forgets forgets_;
  ClientCounts& counts_;
  SeededRandom random_;
  /// By page, which connection it was published over, as the store counts them; 0: not by this.
  std::array<std::uint64_t, kPagesOfClient> published_over_{};
};

}  // namespace pinboard::testing
