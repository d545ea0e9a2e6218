// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "transport/fabric/ucx/ucx_fabric_impl.h"
#include "transport/fabric/ucx/ucx_status.h"

namespace pinboard::transport {
namespace {

constexpr std::size_t kCopiedBytes = 8192;  // Fabric::Send copies up to here
constexpr int kMostRoundsOfProgress = 256;
// What one peer's messages may take before those of the others; looked at every few messages.
constexpr absl::Duration kTurn = absl::Microseconds(500);
constexpr int kMessagesToALook = 4;
// Sent to one peer, and not taken by it: a process is not to end for want of memory as one peer
// asks and does not read.
constexpr std::size_t kMostWaitingBytes = std::size_t{128} << 20;

}  // namespace

absl::Status UcxFabric::GiveWorker(UcxPeer& peer) {
  PB_ASSIGN_OR_RETURN(peer.worker, AddWorker(peer));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<UcxWorker>> UcxFabric::AddWorker(const UcxPeer& peer) {
  PB_ASSIGN_OR_RETURN(auto worker, UcxWorker::Create(context_));
  auto receiver = std::make_unique<Receiver>(Receiver{this, worker, &peer});
  ucp_am_handler_param_t param{};
  param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB |
                     UCP_AM_HANDLER_PARAM_FIELD_ARG;
  param.arg = receiver.get();
  const std::pair<unsigned, ucp_am_recv_callback_t> handlers[] = {
      {kMessageId, &UcxFabric::MessageArrived}, {kAccessId, &UcxFabric::AccessArrived}};
  for (const auto& [id, handler] : handlers) {
    param.id = id;
    param.cb = handler;
    PB_RETURN_IF_ERROR(UcxStatus(ucp_worker_set_am_recv_handler(worker->get(), &param),
                                 "cannot receive active messages"));
  }
  events_.Add(worker->event_fd(), kWorkerToken, EventSet::Interest::kRead);
  receivers_.push_back(std::move(receiver));
  return worker;
}

void UcxFabric::RemoveWorker(const std::shared_ptr<UcxWorker>& worker) {
  if (worker == nullptr) return;
  events_.Remove(worker->event_fd());
  std::erase_if(receivers_, [&worker](const auto& r) { return r->worker == worker; });
}

bool UcxFabric::ArmWorkers() {
  return std::all_of(receivers_.begin(), receivers_.end(),
                     [](const auto& receiver) { return receiver->worker->Arm(); });
}

template <typename Header>
UcxPeer* UcxFabric::SenderOf(const Receiver& receiver, const Header& header,
                             const ucp_am_recv_param_t* param) {
  UcxPeer* peer = receiver.fabric->Find(PeerId(header.to_peer));
  const bool known =
      peer != nullptr && peer->worker == receiver.worker && peer->nonce == header.nonce;
  const bool whole = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0;
  return known && whole ? peer : nullptr;
}
template UcxPeer* UcxFabric::SenderOf(const Receiver&, const MessageHeader&,
                                      const ucp_am_recv_param_t*);
template UcxPeer* UcxFabric::SenderOf(const Receiver&, const AccessHeader&,
                                      const ucp_am_recv_param_t*);

ucs_status_t UcxFabric::MessageArrived(void* receiver, const void* header_bytes,
                                       std::size_t header_size, void* data, std::size_t bytes,
                                       const ucp_am_recv_param_t* param) {
  const auto& [self, worker, whose] = *static_cast<Receiver*>(receiver);
  MessageHeader header;
  if (header_size != sizeof(header)) return UCS_OK;
  std::memcpy(&header, header_bytes, sizeof(header));
  UcxPeer* peer = SenderOf(*static_cast<Receiver*>(receiver), header, param);
  if (peer == nullptr || header.type >= kMessageTypes || !peer->inbox.Expects(header.sequence)) {
    return UCS_OK;
  }
  self->Queue(*peer);
  if (bytes > kCopiedBytes && (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_DATA) != 0) {
    peer->inbox.Deliver(header.sequence, {header.type, Payload(worker->get(), data, bytes)});
    return UCS_INPROGRESS;
  }
  Buffer copy = self->pool_.Get(bytes);
  if (bytes > 0) std::memcpy(copy.data(), data, bytes);
  peer->inbox.Deliver(header.sequence, {header.type, Payload(&self->pool_, std::move(copy))});
  return UCS_OK;
}

void UcxFabric::Send(PeerId id, std::uint8_t type, absl::Span<const std::byte> payload, Done done) {
  UcxPeer* peer = FindOpen(id);
  if (peer == nullptr) {
    return operations_.EndAtOnce(std::move(done), absl::UnavailableError(absl::StrCat(
                                                      "peer ", id.value(), " is not connected")));
  }
  if (operations_.WaitingBytes(id) > kMostWaitingBytes) {
    MarkGone(*peer, absl::ResourceExhaustedError("it takes in nothing that is sent"));
    peer->closed_here = true;  // nobody reads what the rest of its messages would be answered
    return operations_.EndAtOnce(std::move(done), peer->reason);
  }
  Operation* operation = operations_.Start(id, 1, std::move(done));
  operation->bytes = payload.size();
  operation->header = {.to_peer = peer->remote_id,
                       .nonce = peer->remote_nonce,
                       .sequence = peer->messages_sent++,
                       .type = type};
  const std::byte* bytes = payload.data();
  if (payload.size() <= kCopiedBytes) {
    operation->staged = pool_.Get(payload.size());
    if (!payload.empty()) std::memcpy(operation->staged.data(), payload.data(), payload.size());
    bytes = operation->staged.data();
  }
  SendEagerly(*peer, operation, kMessageId, &operation->header, sizeof(operation->header),
              {bytes, payload.size()});
}

void UcxFabric::SendEagerly(const UcxPeer& peer, Operation* operation, unsigned id,
                            const void* header, std::size_t header_bytes,
                            absl::Span<const std::byte> payload) {
  ucp_request_param_t param = OperationParam(operation);
  // At any size: a rendezvous ends only while both sides make progress, and a rank that has left a
  // collective may compute for long.
  param.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_EAGER;
  EndPartIfImmediate(operation, ucp_am_send_nbx(peer.endpoint, id, header, header_bytes,
                                                payload.data(), payload.size(), &param));
}

ucp_request_param_t UcxFabric::OperationParam(Operation* operation) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.send = &UcxFabric::OperationEnded;
  param.user_data = operation;
  return param;
}

void UcxFabric::OperationEnded(void* request, ucs_status_t status, void* user_data) {
  auto* operation = static_cast<Operation*>(user_data);
  ucp_request_free(request);
  operation->table->EndUcxPart(operation, UcxStatus(status, "the operation failed"));
}

void UcxFabric::EndPartIfImmediate(Operation* operation, ucs_status_ptr_t outcome) {
  if (UCS_PTR_IS_PTR(outcome)) return operations_.Wait(operation);
  operations_.EndUcxPart(operation, UcxStatus(UCS_PTR_STATUS(outcome), "the operation failed"));
}

void UcxFabric::EndBroken() {
  for (const PeerId id : operations_.TakeBroken()) {
    if (UcxPeer* peer = FindOpen(id)) MarkGone(*peer, absl::UnavailableError("a message was lost"));
  }
}

void UcxFabric::StartFlush(UcxPeer& peer, Done done) {
  Operation* operation = operations_.Start(peer.id, 1, std::move(done));
  const ucp_request_param_t param = OperationParam(operation);
  EndPartIfImmediate(operation, ucp_ep_flush_nbx(peer.endpoint, &param));
}

bool UcxFabric::DrainWorkers() {
  bool any = false;
  for (const auto& receiver : receivers_) {
    // What has come is delivered before more is let in: it waits at the sender, not here.
    any |= receiver->worker->Drain(receiver->peer->queued ? 0 : kMostRoundsOfProgress);
  }
  return any;
}

void UcxFabric::Queue(UcxPeer& peer) {
  if (!std::exchange(peer.queued, true)) queued_.push_back(peer.id);
}

bool UcxFabric::DispatchMessages() {
  if (queued_.empty()) return false;
  for (const PeerId id : std::exchange(queued_, {})) DispatchFrom(id);
  return true;
}

void UcxFabric::DispatchFrom(PeerId id) {
  UcxPeer* peer = Find(id);
  if (peer == nullptr) return;
  peer->queued = false;
  if (!peer->was_open) return;
  const absl::Time end = SteadyNow() + kTurn;
  for (int taken = 1; auto message = peer->inbox.Take(); ++taken) {
    const MessageHandler& handler = on_message_[message->type];
    if (handler && !peer->closed_here) handler(id, message->payload.bytes());
    if (taken % kMessagesToALook == 0 && SteadyNow() >= end) return Queue(*peer);
  }
}

}  // namespace pinboard::transport
