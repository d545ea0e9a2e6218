// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One connection to a service: the greeting, what was agreed on, and the service's memory.
#pragma once

#include <algorithm>
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
#include "base/clock.h"
#include "base/memory_registration.h"
#include "cache_service/access/client_greeting.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/send_message.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// Stays mapped while it is held: by leases, pins and transfers, also after it was lost.
/// Single-threaded, on the thread that owns the fabric.
// Shared: what the fabric still has to complete may outlive the link that owns the connection.
class ServiceConnection : public std::enable_shared_from_this<ServiceConnection> {
 public:
  using Done = transport::Fabric::Done;

  /// To a peer that is connected. `register_memory` may be empty. With `credentials`, `hello`
  /// offers kFeatureChallenge, and a service that does not ask for them is none to use.
  ServiceConnection(transport::Fabric& fabric, transport::PeerId peer, std::string address,
                    Hello hello, MemoryRegistrar register_memory,
                    std::optional<Credentials> credentials);

  void Greet();
  /// How the greeting ended; nothing while it is under way.
  const std::optional<absl::Status>& greeted() const { return greeted_; }
  absl::Status OnChallenge(const Challenge& challenge);
  absl::Status OnWelcome(const Welcome& welcome);
  /// Maps and registers what is announced; the first one ends the greeting. A service that cannot
  /// be used for its memory has not broken the protocol: `unusable` says why. Nor has one whose
  /// segment cannot be mapped: it may have been withdrawn since. CheckLocation says so where it is
  /// used nevertheless.
  absl::Status OnSegments(const Segments& announced);
  const absl::Status& unusable() const { return unusable_; }
  /// Unmaps: the service says that nobody holds any of it.
  void OnWithdrawn(const Withdrawn& withdrawn);
  /// The service closes the connection: so does its owner, at once where the greeting had ended.
  absl::Status OnError(const Error& error);

  transport::PeerId peer() const { return peer_; }
  const Welcome& welcome() const { return *greeting_.welcome(); }
  bool same_host() const { return welcome().host == greeting_.hello().process.host; }
  /// Whether all of the service's memory is mapped here.
  bool mapped() const;
  /// All of it.
  std::uint64_t memory_bytes() const;

  /// Until it was lost.
  bool open() const { return open_; }
  void SetLost() { open_ = false; }

  /// No effect once lost, as the next.
  template <typename Message>
  void Send(std::uint64_t request, const Message& message) {
    if (!open_) return;
    if (request != 0) unanswered_since_ = std::min(unanswered_since_, SteadyNow());
    ++sends_in_flight_;
    SendMessage(fabric_, peer_, request, message,
                [self = shared_from_this()](const absl::Status&) { --self->sends_in_flight_; });
  }
  void Send(const EncodedMessage& message) {
    if (!open_) return;
    ++sends_in_flight_;
    SendEncoded(fabric_, peer_, message,
                [self = shared_from_this()](const absl::Status&) { --self->sends_in_flight_; });
  }
  template <typename Message, typename Element>
  void SendInBatches(std::vector<Element> Message::*list, std::vector<Element> elements) {
    Message message;
    if (!elements.empty() && elements.size() <= kMaxListElements) {
      message.*list = std::move(elements);
      return Send(0, message);
    }
    for (std::size_t begin = 0; begin < elements.size(); begin += kMaxListElements) {
      const std::size_t end = std::min<std::size_t>(elements.size(), begin + kMaxListElements);
      (message.*list).assign(elements.begin() + begin, elements.begin() + end);
      Send(0, message);
    }
  }
  std::size_t sends_in_flight() const { return sends_in_flight_; }
  /// When the earliest request was sent since the service was last heard, while a transfer is under
  /// way when it was last heard; InfiniteFuture where there was none.
  absl::Time unanswered_since() const { return unanswered_since_; }
  void Heard() { unanswered_since_ = transfers_ > 0 ? SteadyNow() : absl::InfiniteFuture(); }

  /// InvalidArgument: not within what was announced; or why that could not be mapped. The others
  /// require that it is ok.
  absl::Status CheckLocation(const SlabLocation& location, std::uint64_t bytes) const;
  /// Empty where this memory is not mapped.
  absl::Span<std::byte> Direct(const SlabLocation& location, std::uint64_t bytes) const;
  /// One-sided; local memory stays valid until `done`, which is not called after Abandon.
  void Put(const SlabLocation& location, absl::Span<const std::byte> from, Done done);
  void Get(const SlabLocation& location, absl::Span<std::byte> to, Done done);

  void Hold() { ++holds_; }
  void Release() { --holds_; }
  bool held() const { return holds_ > 0; }
  /// Requires !held().
  void Unmap() {
    found_ = {};
    segments_.clear();
  }
  /// Its owner ends: nothing is sent, called or mapped from here on.
  void Abandon();

 private:
  struct MappedSegment {
    std::unique_ptr<transport::RemoteSegment> memory;
    std::unique_ptr<MemoryRegistration> registration;  // behind `memory`: ends before it
  };

  absl::StatusOr<std::unique_ptr<MemoryRegistration>> RegisterMemory(
      transport::RemoteSegment& segment) const;
  /// Null where it is not mapped. Most locations follow one in the same segment.
  transport::RemoteSegment* Find(std::uint32_t segment) const;
  transport::RemoteSegment& MemoryOf(const SlabLocation& location) const {
    return *Find(location.segment);
  }
  Done Transfer(Done done);

  transport::Fabric& fabric_;
  const transport::PeerId peer_;
  const std::string address_;
  ClientGreeting greeting_;
  const MemoryRegistrar register_memory_;
  std::optional<absl::Status> greeted_;
  absl::Status unusable_;
  bool open_ = true;
  bool abandoned_ = false;
  int holds_ = 0;  // leases, pins, one-sided operations
  std::size_t sends_in_flight_ = 0;
  absl::Time unanswered_since_ = absl::InfiniteFuture();
  int transfers_ = 0;
  std::map<std::uint32_t, MappedSegment> segments_;                    // by number
  mutable std::pair<std::uint32_t, transport::RemoteSegment*> found_;  // last; null: none
  std::map<std::uint32_t, absl::Status> unmapped_;                     // and why; not withdrawn yet
};

using ServiceConnectionPtr = std::shared_ptr<ServiceConnection>;

/// Says goodbye for those of earlier connections over which nothing is under way any more, over one
/// to the same service that is up: it keeps what they held until then. Without one (null) they are
/// unmapped, and kept.
void LetGoOf(std::vector<ServiceConnectionPtr>& ended, ServiceConnection* up);

}  // namespace pinboard::cache_service
