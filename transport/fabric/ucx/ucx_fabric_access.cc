// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Segments: lent, mapped, and read and written from afar. A part of UcxFabric.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/stream_copies.h"
#include "transport/fabric/ucx/ucx_fabric_impl.h"
#include "transport/fabric/ucx/ucx_status.h"
#include "transport/fabric/ucx/ucx_transports.h"

namespace pinboard::transport {
namespace {

// At least one: a message without payload.
std::size_t Pieces(std::size_t bytes) {
  return std::max<std::size_t>(1, (bytes + kAccessPieceBytes - 1) / kAccessPieceBytes);
}

// What one peer's gets may have on its way, at least one part of one: a part is copied at once; and
// what UCX may keep for it, as answers without bytes cost memory too. A peer that asks and does not
// read has the rest wait in its queue.
constexpr std::size_t kAnswerPartBytes = 1 << 20;
constexpr std::size_t kMostAnsweringBytes = 16 << 20;
// More than any client asks for at once.
constexpr std::size_t kMostToAnswer = 1 << 20;

bool LiesIn(std::size_t size, const AccessHeader& part) {
  return part.offset <= size && part.bytes <= size - part.offset;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Segment>> UcxFabric::Allocate(std::size_t bytes) {
  PB_ASSIGN_OR_RETURN(std::unique_ptr<UcxSegment> segment, UcxSegment::Allocate(*context_, bytes));
  absl::erase_if(segments_, [](const auto& named) { return named.second.expired(); });
  segments_[segment->mapping()->file().nonce] = segment->mapping();
  return segment;
}

void UcxFabric::Lend(PeerId id, const Segment& segment) {
  UcxPeer* peer = Find(id);
  if (peer == nullptr) return;
  peer->lent.insert(static_cast<const UcxSegment&>(segment).mapping()->file().nonce);
}

absl::StatusOr<std::unique_ptr<RemoteSegment>> UcxFabric::Map(
    PeerId id, absl::Span<const std::byte> remote_key) {
  UcxPeer* peer = FindOpen(id);
  if (peer == nullptr) {
    return absl::UnavailableError(absl::StrCat("peer ", id.value(), " is not connected"));
  }
  PB_ASSIGN_OR_RETURN(const RemoteKey key, RemoteKey::Parse(remote_key));
  if (peer->shares_memory) {
    auto mapped = UcxRemoteSegment::Map(id, key);
    if (!absl::IsPermissionDenied(mapped.status())) return mapped;
    if (!std::exchange(said_not_mapped_, true)) {
      LogWarning(std::string(mapped.status().message()), "; what lies there is sent in messages");
    }
  }
  if (!ReachesMemory(peer->endpoint)) return UcxRemoteSegment::Ask(id, key);
  return UcxRemoteSegment::Reach(id, peer->worker, peer->endpoint, key);
}

UcxPeer* UcxFabric::CheckAccess(RemoteSegment& segment, std::size_t offset, std::size_t bytes,
                                Done& done) {
  const PeerId id = static_cast<UcxRemoteSegment&>(segment).peer();
  UcxPeer* peer = FindOpen(id);
  absl::Status status;
  if (peer == nullptr) {
    status = absl::UnavailableError(absl::StrCat("peer ", id.value(), " is not connected"));
  } else if (offset > segment.size_bytes() || bytes > segment.size_bytes() - offset) {
    status = absl::OutOfRangeError(absl::StrCat("bytes ", offset, "..", offset + bytes,
                                                " lie outside a segment of ", segment.size_bytes(),
                                                " bytes"));
  } else if (bytes > 0) {
    return peer;
  }
  operations_.EndAtOnce(std::move(done), status);
  return nullptr;
}

void UcxFabric::Put(RemoteSegment& segment, std::size_t offset, absl::Span<const std::byte> from,
                    Done done) {
  UcxPeer* peer = CheckAccess(segment, offset, from.size(), done);
  if (peer == nullptr) return;
  auto& remote = static_cast<UcxRemoteSegment&>(segment);
  if (!remote.direct().empty()) {
    StreamCopies().Copy(remote.direct().data() + offset, from.data(), from.size());
    return operations_.EndAtOnce(std::move(done), absl::OkStatus());
  }
  if (remote.key() == nullptr) {
    Operation* operation =
        StartAccess(*peer, Pieces(from.size()), {.bytes_left = from.size()}, std::move(done));
    return SendPieces(*peer, operation,
                      {.operation = peer->accesses_asked,
                       .segment = remote.name(),
                       .offset = offset,
                       .kind = AccessKind::kPut},
                      from);
  }
  Operation* operation = operations_.Start(peer->id, 2, std::move(done));
  const ucp_request_param_t param = OperationParam(operation);
  EndPartIfImmediate(operation, ucp_put_nbx(peer->endpoint, from.data(), from.size(),
                                            remote.address() + offset, remote.key(), &param));
  // A put alone ends when `from` may be reused; the flush ends when the peer's memory has it.
  EndPartIfImmediate(operation, ucp_ep_flush_nbx(peer->endpoint, &param));
}

void UcxFabric::Get(RemoteSegment& segment, std::size_t offset, absl::Span<std::byte> to,
                    Done done) {
  UcxPeer* peer = CheckAccess(segment, offset, to.size(), done);
  if (peer == nullptr) return;
  auto& remote = static_cast<UcxRemoteSegment&>(segment);
  if (!remote.direct().empty()) {
    std::memcpy(to.data(), remote.direct().data() + offset, to.size());
    return operations_.EndAtOnce(std::move(done), absl::OkStatus());
  }
  if (remote.key() == nullptr) {
    Operation* operation =
        StartAccess(*peer, 1, {.bytes_left = to.size(), .to = to}, std::move(done));
    return SendPieces(*peer, operation,
                      {.operation = peer->accesses_asked,
                       .segment = remote.name(),
                       .offset = offset,
                       .bytes = to.size(),
                       .kind = AccessKind::kGet},
                      {});
  }
  Operation* operation = operations_.Start(peer->id, 1, std::move(done));
  const ucp_request_param_t param = OperationParam(operation);
  EndPartIfImmediate(operation, ucp_get_nbx(peer->endpoint, to.data(), to.size(),
                                            remote.address() + offset, remote.key(), &param));
}

Operation* UcxFabric::StartAccess(UcxPeer& peer, std::size_t pieces, Access access, Done done) {
  access.operation = operations_.Start(peer.id, static_cast<int>(pieces) + 1, std::move(done));
  peer.accesses[++peer.accesses_asked] = access;
  return access.operation;
}

void UcxFabric::SendPieces(const UcxPeer& peer, Operation* operation, AccessHeader header,
                           absl::Span<const std::byte> payload) {
  header.to_peer = peer.remote_id;
  header.nonce = peer.remote_nonce;
  // UCX may read each piece's header until it has sent the piece.
  operation->staged = pool_.Get(Pieces(payload.size()) * sizeof(header));
  std::byte* place = operation->staged.data();
  do {
    const auto piece = payload.subspan(0, kAccessPieceBytes);
    if (!piece.empty()) header.bytes = piece.size();
    std::memcpy(place, &header, sizeof(header));
    SendEagerly(peer, operation, kAccessId, place, sizeof(header), piece);
    place += sizeof(header);
    header.offset += piece.size();
    payload.remove_prefix(piece.size());
  } while (!payload.empty());
}

ucs_status_t UcxFabric::AccessArrived(void* receiver, const void* header_bytes,
                                      std::size_t header_size, void* data, std::size_t bytes,
                                      const ucp_am_recv_param_t* param) {
  UcxFabric* const self = static_cast<Receiver*>(receiver)->fabric;
  AccessHeader header;
  if (header_size != sizeof(header)) return UCS_OK;
  std::memcpy(&header, header_bytes, sizeof(header));
  UcxPeer* peer = SenderOf(*static_cast<Receiver*>(receiver), header, param);
  // Who has not greeted cannot be answered.
  if (peer == nullptr || !peer->was_open) return UCS_OK;
  const auto payload = absl::MakeConstSpan(static_cast<const std::byte*>(data), bytes);
  if (header.kind == AccessKind::kPut) {
    header.kind = self->Write(*peer, header, payload) ? AccessKind::kPutDone : AccessKind::kRefused;
    self->AnswerLater(*peer, header);
  } else if (header.kind == AccessKind::kGet) {
    self->AnswerLater(*peer, header);
  } else {
    self->TakeAnswer(*peer, header, payload);
  }
  return UCS_OK;
}

std::shared_ptr<SharedMapping> UcxFabric::Lent(const UcxPeer& peer,
                                               const AccessHeader& header) const {
  const auto named = segments_.find(header.segment);
  if (named == segments_.end() || !peer.lent.contains(header.segment)) return nullptr;
  std::shared_ptr<SharedMapping> mapping = named->second.lock();
  const bool within = mapping != nullptr && LiesIn(mapping->memory().size(), header);
  return within ? mapping : nullptr;
}

bool UcxFabric::Write(const UcxPeer& peer, const AccessHeader& header,
                      absl::Span<const std::byte> payload) const {
  const auto mapping = Lent(peer, header);
  if (mapping == nullptr || payload.size() != header.bytes) return false;
  std::memcpy(mapping->memory().data() + header.offset, payload.data(), payload.size());
  return true;
}

void UcxFabric::AnswerLater(UcxPeer& peer, const AccessHeader& header) {
  if (peer.to_answer.size() >= kMostToAnswer) {
    return MarkGone(peer, absl::ResourceExhaustedError("it asks for more than it reads"));
  }
  if (peer.to_answer.empty()) answering_.push_back(peer.id);
  peer.to_answer.push_back({header});
}

bool UcxFabric::AnswerAccesses() {
  bool any = false;
  std::erase_if(answering_, [&](PeerId id) {
    UcxPeer* peer = Find(id);
    if (peer == nullptr || peer->state == PeerState::kGone) return true;
    any |= AnswerSome(*peer);
    return peer->to_answer.empty();
  });
  return any;
}

bool UcxFabric::AnswerSome(UcxPeer& peer) {
  bool any = false;
  while (!peer.to_answer.empty() && peer.answering_bytes < kMostAnsweringBytes &&
         operations_.WaitingBytes(peer.id) < kMostAnsweringBytes) {
    any = true;
    if (SendAnswer(peer, peer.to_answer.front())) peer.to_answer.pop_front();
  }
  return any;
}

bool UcxFabric::SendAnswer(UcxPeer& peer, Answering& next) {
  AccessHeader header = next.asked;
  const auto mapping = header.kind == AccessKind::kGet ? Lent(peer, header) : nullptr;
  if (mapping == nullptr) {
    if (header.kind == AccessKind::kGet) header.kind = AccessKind::kRefused;
    SendPieces(peer, operations_.Start(peer.id, 1, nullptr), header, {});
    return true;
  }
  const auto part =
      mapping->memory().subspan(header.offset, header.bytes).subspan(next.sent, kAnswerPartBytes);
  const auto sent = [this, id = peer.id, bytes = part.size()](const absl::Status&) {
    if (UcxPeer* to = Find(id)) to->answering_bytes -= bytes;
  };
  Operation* operation = operations_.Start(peer.id, static_cast<int>(Pieces(part.size())), sent);
  operation->reads = mapping;
  peer.answering_bytes += part.size();
  header.kind = AccessKind::kGot;
  header.offset = next.sent;
  SendPieces(peer, operation, header, part);
  next.sent += part.size();
  return next.sent == next.asked.bytes;
}

void UcxFabric::TakeAnswer(UcxPeer& peer, const AccessHeader& header,
                           absl::Span<const std::byte> payload) {
  const auto asked = peer.accesses.find(header.operation);
  if (asked == peer.accesses.end()) return;
  Access& access = asked->second;
  absl::Status status;
  if (header.kind == AccessKind::kRefused) {
    status = absl::NotFoundError(absl::StrCat("peer ", peer.id.value(), " lends no such segment"));
  } else {
    const bool got = header.kind == AccessKind::kGot;
    if (got == access.to.empty() || header.bytes > access.bytes_left) return;
    if (got) {
      if (payload.size() != header.bytes || !LiesIn(access.to.size(), header)) return;
      std::memcpy(access.to.data() + header.offset, payload.data(), payload.size());
    }
    access.bytes_left -= header.bytes;
    if (access.bytes_left > 0) return;
  }
  Operation* operation = access.operation;
  peer.accesses.erase(asked);
  operations_.EndPart(operation, status);
}

void UcxFabric::EndAccesses(UcxPeer& peer) {
  for (const auto& [number, access] : std::exchange(peer.accesses, {})) {
    operations_.EndPart(access.operation, peer.reason);
  }
}

}  // namespace pinboard::transport
