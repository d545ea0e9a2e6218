// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One client of a load: what it draws, publishes, fetches and checks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "app/service_load/load_run.h"
#include "app/service_load/page_names.h"
#include "app/service_load/workload.h"
#include "app/service_load/zipf.h"
#include "cache_service/page_store.h"

namespace pinboard::app {

/// What all clients know: the generation of each page that was published last. Thread-safe.
class LoadBoard {
 public:
  /// Both must outlive this.
  LoadBoard(const Workload& workload, const std::atomic<bool>& interrupted)
      : workload(workload),
        interrupted(interrupted),
        names(workload.clients),
        zipf(static_cast<std::uint32_t>(workload.pages), workload.zipf),
        generations_(static_cast<std::size_t>(workload.clients) * workload.pages) {}

  std::atomic<std::uint32_t>& GenerationOf(std::uint64_t client, std::uint32_t page) {
    return generations_[client * workload.pages + page];
  }

  const Workload& workload;
  const std::atomic<bool>& interrupted;
  const PageNames names;
  const Zipf zipf;

 private:
  std::vector<std::atomic<std::uint32_t>> generations_;
};

/// On one thread at a time.
class LoadClient {
 public:
  /// `board` must outlive this.
  LoadClient(LoadBoard& board, int client, std::unique_ptr<cache_service::PageStore> store);

  /// Publishes each of its pages once, uncounted.
  absl::Status PublishAll();
  /// Fetches and publishes as the workload says.
  absl::Status RunUntil(absl::Time end);

  const LoadResult& result() const { return result_; }

 private:
  /// Pages of one size, as a lease is.
  struct Publication {
    std::vector<std::uint32_t> pages;
    std::vector<cache_service::PageRef> refs;
    std::vector<cache_service::PageHeader> headers;
    std::vector<cache_service::PageLease> leases;
  };
  using Replies = std::vector<std::vector<cache_service::FetchResult>>;

  std::uint32_t Pages() const { return static_cast<std::uint32_t>(workload_.pages); }
  std::size_t Batch() const { return static_cast<std::size_t>(workload_.batch); }
  std::size_t BytesOf(std::uint32_t page) const {
    return static_cast<std::size_t>(workload_.page_bytes[page % workload_.page_bytes.size()]);
  }
  std::uint64_t DrawOwner();
  void AppendRun(std::uint32_t first, std::vector<std::uint32_t>* pages) const;
  /// Of one size.
  std::vector<std::uint32_t> DrawOwn();
  /// Names the next generation of each.
  Publication Prepare(std::vector<std::uint32_t> pages);
  /// Leaves it without leases where they are refused, which is counted.
  absl::Status LeaseFor(Publication& publication, absl::Time deadline);
  void CountPut(const Publication& publication);
  absl::Status PutCopied(std::vector<std::uint32_t> pages);
  /// Publishes what was written last, and writes these.
  absl::Status PutInPlace(std::vector<std::uint32_t> pages);
  absl::Status Get();
  Replies FetchAll(absl::Span<const cache_service::PageRef> pages, absl::Time deadline);
  void CopyOut(Replies& replies);
  /// Whether it is there.
  absl::StatusOr<bool> Check(const cache_service::FetchResult& fetched);

  LoadBoard& board_;
  const Workload& workload_;
  const std::uint64_t client_;
  const std::unique_ptr<cache_service::PageStore> store_;
  std::mt19937_64 random_;
  std::uint32_t next_generation_ = 0;
  std::vector<std::byte> pages_;  // a batch, on its way out or in
  Publication written_;           // in place, and not published yet
  LoadResult result_;
};

}  // namespace pinboard::app
