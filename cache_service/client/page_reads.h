// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A client's fetches and pins, and the way of pages out of the service.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/client/hold_table.h"
#include "cache_service/client/service_connection.h"
#include "cache_service/page_store.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/page_lists.h"

namespace pinboard::cache_service {

/// Answers that belong together, and what is among them.
struct FetchedPages {
  std::vector<FetchResult> results;
  std::uint64_t pages = 0;  // those that are there
  std::uint64_t bytes = 0;  // theirs
};

/// Single-threaded. Each page of a fetch is answered exactly once, also when the connection ends,
/// and by its deadline. The memory of a pin stays until Unpin.
class PageReads {
 public:
  /// Pages lie in mapped memory, and `pins` is told of the end of each pin, or in copies.
  PageReads(std::string address, Releaser& pins) : address_(std::move(address)), owner_(pins) {}

  void Connected(ServiceConnectionPtr connection) { connection_ = std::move(connection); }
  /// Fetches under way are answered with `gone`.
  void Lost(const absl::Status& gone);

  /// Makes a request, to be sent with Send, or refused. At most kMaxListElements pages.
  std::uint64_t Add(std::vector<PageRef> pages, absl::Time deadline);
  /// No effect where it has expired meanwhile.
  void Send(std::uint64_t request);
  void Refuse(std::uint64_t request, const absl::Status& status);
  void RefuseAll(const absl::Status& status);

  absl::Status OnFetchReply(PageListReader<FetchReply>& reply);
  absl::Status OnFetchHits(PageListReader<FetchHits>& hits);
  absl::Status OnFetchMisses(const Envelope<FetchMisses>& envelope);

  /// What was answered since the last call.
  bool has_answers() const { return !answers_.results.empty(); }
  FetchedPages TakeAnswers() { return std::exchange(answers_, {}); }

  bool holds_pins() const { return !pins_.empty(); }
  /// Ends pins: the service is told with the next SendUnpins.
  void Unpin(absl::Span<const HoldId> pins);
  void SendUnpins();

  /// Answers what is past its deadline.
  void Expire(absl::Time now);
  absl::Time next_deadline() const;

 private:
  enum class PageState : std::uint8_t { kAsked, kOnItsWay, kAnswered };
  struct PendingFetch {
    bool IsAsked(std::uint32_t index) const {
      return index < pages.size() && states[index] == PageState::kAsked;
    }

    std::vector<PageRef> pages;
    std::vector<PageState> states;
    std::size_t left = 0;
    absl::Time deadline;
  };
  struct HeldPin {
    ServiceConnection* connection = nullptr;  // there while it is held
    std::uint64_t slab = 0;
  };

  /// Of FetchReply or FetchHits.
  template <typename Message>
  absl::Status TakeAll(PageListReader<Message>& pages);
  template <typename Message>
  void GiveBack(PageListReader<Message>& late);
  absl::Status Take(PendingFetch& pending, std::uint64_t request, const FetchedPage& page);
  absl::Status Take(PendingFetch& pending, std::uint64_t request, const FoundPage& found);
  void StartGet(PendingFetch& pending, std::uint64_t request, const FoundPage& found);
  void OnRead(std::uint64_t request, const FoundPage& found,
              const std::shared_ptr<std::byte[]>& copy, const absl::Status& status);
  /// Require the page not to be answered.
  void AnswerHit(PendingFetch& pending, const FoundPage& found, PagePin pin);
  void AnswerMiss(PendingFetch& pending, std::uint32_t index, MissCause cause);
  void Answer(PendingFetch& pending, std::uint32_t index, const absl::Status& status);

  const std::string address_;
  Releaser& owner_;
  ServiceConnectionPtr connection_;                // null where there is none
  std::map<std::uint64_t, PendingFetch> pending_;  // by request; a few, so found at once
  FetchedPages answers_;
  HoldTable<HeldPin> pins_;
  std::vector<std::uint64_t> unpinned_;  // slabs of this connection
  std::uint64_t next_request_ = 1;
};

}  // namespace pinboard::cache_service
