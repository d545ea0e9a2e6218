// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Messages that are a list of pages, written and read page by page: nothing is gathered in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/page_fields.h"

namespace pinboard::cache_service {

/// The payload of a fabric message.
struct EncodedMessage {
  MessageType type{};
  // Shared: what sends it keeps it, in a function that must be copyable.
  std::shared_ptr<const std::byte[]> bytes;
  std::size_t size = 0;
};

/// `Message` is FetchReply, FetchHits or Publish.
template <typename Message>
class PageListWriter {
 public:
  using Page = typename decltype(Message::pages)::value_type;
  static constexpr std::size_t kPageBytes = LeastEncodedBytes<Page>();

  /// At most so many pages; no room is taken before the first.
  explicit PageListWriter(std::size_t capacity) : capacity_(capacity) {}

  /// One page: itself, or its fields in the wire's order. Requires size() < capacity.
  template <typename... Parts>
  void Add(const Parts&... parts) {
    static_assert((LeastEncodedBytes<Parts>() + ...) == kPageBytes);
    if (bytes_ == nullptr) bytes_.reset(new std::byte[kFirstPage + capacity_ * kPageBytes]);
    FixedWriter writer(bytes_.get() + kFirstPage + pages_ * kPageBytes);
    writer(parts...);
    ++pages_;
  }
  std::size_t size() const { return pages_; }

  /// The message; the next one begins. Requires size() > 0.
  EncodedMessage Take(std::uint64_t request) {
    const std::size_t size = kFirstPage + pages_ * kPageBytes;
    WriteEnvelope(Message::kType, size - kEnvelopeBytes, request, bytes_.get());
    FixedWriter(bytes_.get() + kEnvelopeBytes)(std::exchange(pages_, 0));
    return {Message::kType, std::move(bytes_), size};
  }

 private:
  static constexpr std::size_t kFirstPage = kEnvelopeBytes + sizeof(std::uint32_t);

  std::size_t capacity_;
  std::unique_ptr<std::byte[]> bytes_;  // not initialised
  std::uint32_t pages_ = 0;
};

/// The other way: the message is checked as a whole, then read from where it lies.
template <typename Message>
class PageListReader {
 public:
  using Page = typename decltype(Message::pages)::value_type;
  static constexpr std::size_t kPageBytes = LeastEncodedBytes<Page>();

  /// As DecodeMessage. Must not outlive the payload.
  static absl::StatusOr<PageListReader> Read(absl::Span<const std::byte> payload) {
    const absl::StatusOr<Envelope<absl::Span<const std::byte>>> body =
        ReadEnvelope(Message::kType, payload);
    if (!body.ok()) return body.status();
    PageListReader reader;
    reader.request = body->request;
    std::uint32_t pages = 0;
    reader.rest_ = body->message;
    if (reader.rest_.size() < sizeof(pages)) return Malformed(Message::kType);
    FixedReader(reader.rest_.data())(pages);
    reader.rest_.remove_prefix(sizeof(pages));
    if (pages > kMaxListElements || reader.rest_.size() != pages * kPageBytes) {
      return Malformed(Message::kType);
    }
    return reader;
  }

  std::uint64_t request = 0;
  /// Pages that are left.
  std::size_t size() const { return rest_.size() / kPageBytes; }
  bool empty() const { return rest_.empty(); }
  /// The next page, or its fields in the wire's order. Requires !empty().
  template <typename... Parts>
  void Next(Parts&... parts) {
    static_assert((LeastEncodedBytes<Parts>() + ...) == kPageBytes);
    FixedReader reader(rest_.data());
    reader(parts...);
    rest_.remove_prefix(kPageBytes);
  }
  std::vector<Page> TakeAll() {
    std::vector<Page> pages(size());
    for (Page& page : pages) Next(page);
    return pages;
  }

 private:
  absl::Span<const std::byte> rest_;
};

/// What is made of a message that has come.
template <typename Message>
inline constexpr bool kIsPageList =
    std::is_same_v<Message, FetchReply> || std::is_same_v<Message, FetchHits> ||
    std::is_same_v<Message, Publish>;
template <typename Message>
using Incoming =
    std::conditional_t<kIsPageList<Message>, PageListReader<Message>, Envelope<Message>>;
template <typename Message>
absl::StatusOr<Incoming<Message>> ReadIncoming(absl::Span<const std::byte> payload) {
  if constexpr (kIsPageList<Message>) {
    return PageListReader<Message>::Read(payload);
  } else {
    return DecodeMessage<Message>(payload);
  }
}

}  // namespace pinboard::cache_service
