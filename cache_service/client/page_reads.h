// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A client's fetches and pins, and the way of pages out of the service.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/client/hold_table.h"
#include "cache_service/client/service_connection.h"
#include "cache_service/page_store.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// A page to read. Without a hold nothing is to be given back: `bytes` lie in `copy`.
struct FetchedMemory {
  std::optional<HoldId> hold;
  absl::Span<const std::byte> bytes;
  // Shared: the pin's release function, which must be copyable, keeps the copy.
  std::shared_ptr<std::byte[]> copy;
};

/// Single-threaded. Each page of a fetch is answered exactly once, also when the connection ends,
/// and by its deadline. The memory of a pin stays until Unpin.
class PageReads {
 public:
  using Fetched =
      std::function<void(const PageRef&, const PageHeader&, absl::StatusOr<FetchedMemory>)>;

  /// Pages lie in mapped memory, or in copies.
  PageReads(std::string address, Fetched fetched)
      : address_(std::move(address)), fetched_(std::move(fetched)) {}

  void Connected(ServiceConnectionPtr connection) { connection_ = std::move(connection); }
  /// Fetches under way are answered with `gone`.
  void Lost(const absl::Status& gone);

  /// Makes a request, to be sent with Send, or refused. At most kMaxListElements pages.
  std::uint64_t Add(std::vector<PageRef> pages, absl::Time deadline);
  /// No effect where it has expired meanwhile.
  void Send(std::uint64_t request);
  void Refuse(std::uint64_t request, const absl::Status& status);
  void RefuseAll(const absl::Status& status);

  absl::Status OnFetchReply(const Envelope<FetchReply>& envelope);
  absl::Status OnFetchMisses(const Envelope<FetchMisses>& envelope);

  bool holds_pins() const { return !pins_.empty(); }
  /// Ends pins.
  void Unpin(absl::Span<const HoldId> pins);

  /// Answers what is past its deadline.
  void Expire(absl::Time now);
  absl::Time next_deadline() const;

 private:
  enum class PageState : std::uint8_t { kAsked, kOnItsWay, kAnswered };
  struct PendingFetch {
    std::vector<PageRef> pages;
    std::vector<PageState> states;
    std::size_t left = 0;
    absl::Time deadline;
  };
  struct HeldPin {
    ServiceConnection* connection = nullptr;  // there while it is held
    std::uint64_t slab = 0;
  };

  absl::Status Take(std::uint64_t request, const PageRef& page, const FetchedPage& fetched);
  void StartGet(std::uint64_t request, const FetchedPage& fetched, absl::Span<std::byte> to,
                std::shared_ptr<std::byte[]> copy);
  void Answer(std::uint64_t request, std::uint32_t index, const PageHeader& header,
              absl::StatusOr<FetchedMemory> memory);

  const std::string address_;
  const Fetched fetched_;
  ServiceConnectionPtr connection_;                // null where there is none
  std::map<std::uint64_t, PendingFetch> pending_;  // by request; a few, so found at once
  HoldTable<HeldPin> pins_;
  std::uint64_t next_request_ = 1;
};

}  // namespace pinboard::cache_service
