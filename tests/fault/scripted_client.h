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
/// Passed by a client that has written half of a page.
inline constexpr char kPageHalfWritten[] = "client.page.half";

/// Leases, fills and publishes a batch, or says why there was no lease. The tag is a rank's,
/// as other members check it.
absl::Status PutPages(cache_service::PageStore& store,
                      const std::vector<cache_service::PageRef>& pages, absl::Time deadline);

enum class Verdict { kIntact, kCorrupted, kWrong };
/// Of a hit. Corrupted: one byte is not what it was, as where a plan damages memory; anything more
/// is wrong.
Verdict Judge(const cache_service::FetchResult& fetched);

/// Client `index` owns the pages of sequence `index` and alone publishes them, each time in a
/// later generation; it fetches anybody's, also what is dropped, replaced, or never published. Its
/// thread does nothing else.
class ScriptedClient {
 public:
  /// Whether the store is over one service alone, which forgets what it was told to. Members do so
  /// as far as they hear of it (ADR 22): there it may be a hit.
  enum class Forgets { kSurely, kMaybe };
  ScriptedClient(cache_service::PageStore& store, Board& board, int index, std::uint32_t seed,
                 Forgets forgets);

  /// Until board.stop.
  void Run();

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

  cache_service::PageStore& store_;
  Board& board_;
  const int index_;
  const Forgets forgets_;
  ClientCounts& counts_;
  SeededRandom random_;
  /// By page, which connection it was published over, as the store counts them; 0: not by this.
  std::array<std::uint64_t, kPagesOfClient> published_over_{};
};

}  // namespace pinboard::testing
