// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/service_connection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::cache_service {

ServiceConnection::ServiceConnection(transport::Fabric& fabric, transport::PeerId peer,
                                     std::string address, Hello hello,
                                     MemoryRegistrar register_memory,
                                     std::optional<Credentials> credentials)
    : fabric_(fabric),
      peer_(peer),
      address_(std::move(address)),
      greeting_(std::move(hello), std::move(credentials), address_),
      register_memory_(std::move(register_memory)) {}

void ServiceConnection::Greet() { Send(0, greeting_.hello()); }

absl::Status ServiceConnection::OnChallenge(const Challenge& challenge) {
  PB_ASSIGN_OR_RETURN(const auto proof, greeting_.OnChallenge(challenge));
  if (proof.has_value()) Send(0, *proof);
  if (!greeting_.refused().ok()) greeted_ = greeting_.refused();
  return absl::OkStatus();
}

absl::Status ServiceConnection::OnWelcome(const Welcome& welcome) {
  PB_RETURN_IF_ERROR(greeting_.OnWelcome(welcome));
  if (!greeting_.refused().ok()) greeted_ = greeting_.refused();
  return absl::OkStatus();
}

absl::Status ServiceConnection::OnSegments(const Segments& announced) {
  if (!greeting_.welcome().has_value()) return absl::FailedPreconditionError("no Welcome");
  for (const SegmentEntry& entry : announced.segments) {
    auto segment = fabric_.Map(peer_, entry.remote_key);
    if (!segment.ok()) {
      unmapped_[entry.segment] = segment.status();
      continue;
    }
    if ((*segment)->size_bytes() < entry.bytes) {
      return absl::InvalidArgumentError("a segment is smaller than announced");
    }
    absl::StatusOr<std::unique_ptr<MemoryRegistration>> registration = RegisterMemory(**segment);
    if (!registration.ok()) {
      unusable_ = registration.status();
      return absl::OkStatus();
    }
    found_ = {};
    segments_[entry.segment] = {*std::move(segment), *std::move(registration)};
  }
  if (!greeted_.has_value()) greeted_ = absl::OkStatus();
  return absl::OkStatus();
}

void ServiceConnection::OnWithdrawn(const Withdrawn& withdrawn) {
  for (const std::uint32_t segment : withdrawn.segments) {
    if (found_.first == segment) found_ = {};
    segments_.erase(segment);
    unmapped_.erase(segment);
  }
}

absl::StatusOr<std::unique_ptr<MemoryRegistration>> ServiceConnection::RegisterMemory(
    transport::RemoteSegment& segment) const {
  if (!register_memory_) return nullptr;
  if (!segment.direct().empty()) return register_memory_(segment.direct());
  return absl::FailedPreconditionError(
      absl::StrCat("the memory of the cache service at ", address_,
                   " cannot be mapped, and a device is to reach it: the service must run on this "
                   "host as this user, and UCX_TLS allow shared memory"));
}

absl::Status ServiceConnection::OnError(const Error& error) {
  if (error.code == 0) return absl::InvalidArgumentError("an Error without a code");
  if (!greeted_.has_value()) {
    greeted_ = absl::Status(static_cast<absl::StatusCode>(error.code), error.text);
  }
  return absl::OkStatus();
}

bool ServiceConnection::mapped() const {
  return std::all_of(segments_.begin(), segments_.end(),
                     [](const auto& segment) { return !segment.second.memory->direct().empty(); });
}

std::uint64_t ServiceConnection::memory_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [number, segment] : segments_) bytes += segment.memory->size_bytes();
  return bytes;
}

transport::RemoteSegment* ServiceConnection::Find(std::uint32_t segment) const {
  if (found_.first == segment && found_.second != nullptr) return found_.second;
  const auto found = segments_.find(segment);
  if (found == segments_.end()) return nullptr;
  found_ = {segment, found->second.memory.get()};
  return found_.second;
}

absl::Status ServiceConnection::CheckLocation(const SlabLocation& location,
                                              std::uint64_t bytes) const {
  if (const transport::RemoteSegment* const segment = Find(location.segment)) {
    const std::uint64_t size = segment->size_bytes();
    if (location.offset <= size && bytes <= size - location.offset) return absl::OkStatus();
  }
  const auto unmapped = unmapped_.find(location.segment);
  if (unmapped != unmapped_.end()) return unmapped->second;
  return absl::InvalidArgumentError("a slab lies outside the announced segments");
}

absl::Span<std::byte> ServiceConnection::Direct(const SlabLocation& location,
                                                std::uint64_t bytes) const {
  const absl::Span<std::byte> direct = MemoryOf(location).direct();
  return direct.empty() ? direct : direct.subspan(location.offset, bytes);
}

ServiceConnection::Done ServiceConnection::Transfer(Done done) {
  Hold();
  ++transfers_;
  unanswered_since_ = std::min(unanswered_since_, SteadyNow());
  return [self = shared_from_this(), done = std::move(done)](absl::Status status) {
    self->Release();
    --self->transfers_;
    if (status.ok()) self->Heard();
    if (!self->abandoned_) done(std::move(status));
  };
}

void ServiceConnection::Put(const SlabLocation& location, absl::Span<const std::byte> from,
                            Done done) {
  fabric_.Put(MemoryOf(location), location.offset, from, Transfer(std::move(done)));
}

void ServiceConnection::Get(const SlabLocation& location, absl::Span<std::byte> to, Done done) {
  fabric_.Get(MemoryOf(location), location.offset, to, Transfer(std::move(done)));
}

void ServiceConnection::Abandon() {
  open_ = false;
  abandoned_ = true;
  Unmap();
}

void LetGoOf(std::vector<ServiceConnectionPtr>& ended, ServiceConnection* up) {
  std::erase_if(ended, [up](const ServiceConnectionPtr& connection) {
    if (connection->held()) return false;
    connection->Unmap();
    if (up == nullptr) return false;
    if (connection->welcome().incarnation == up->welcome().incarnation) {
      up->Send(0, Goodbye{connection->welcome().client});
    }
    return true;
  });
}

}  // namespace pinboard::cache_service
