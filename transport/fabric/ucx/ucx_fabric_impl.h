// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The reactor behind MakeUcxFabric.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "transport/fabric/fabric.h"
#include "transport/fabric/ucx/access_message.h"
#include "transport/fabric/ucx/buffer_pool.h"
#include "transport/fabric/ucx/event_set.h"
#include "transport/fabric/ucx/operation_table.h"
#include "transport/fabric/ucx/stranger_log.h"
#include "transport/fabric/ucx/ucx_fabric.h"
#include "transport/fabric/ucx/ucx_peer.h"
#include "transport/fabric/ucx/ucx_segment.h"
#include "transport/fabric/ucx/ucx_worker.h"

namespace pinboard::transport {

/// See UcxPeer for the states. Nothing of a caller runs inside a UCX callback: those only fill
/// inboxes and the operation table, which Progress empties.
class UcxFabric : public Fabric {
 public:
  UcxFabric(const UcxFabricOptions& options, std::shared_ptr<const UcxContext> context);
  /// Peers see this side as dead. What is pending ends with Cancelled, here.
  ~UcxFabric() override;

  absl::StatusOr<std::string> Listen(const std::string& address) override;
  absl::StatusOr<PeerId> Connect(const std::string& address, absl::Time deadline) override;
  void StartConnect(const std::string& address, absl::Time deadline, Connected connected) override;
  void OnMessage(std::uint8_t type, MessageHandler handler) override;
  void OnAccepted(std::function<void(PeerId)> handler) override;
  std::string AddressOf(PeerId id) const override;
  void OnClosed(PeerHandler handler) override;
  void Send(PeerId id, std::uint8_t type, absl::Span<const std::byte> payload, Done done) override;
  absl::StatusOr<std::unique_ptr<Segment>> Allocate(std::size_t bytes) override;
  void Lend(PeerId id, const Segment& segment) override;
  absl::StatusOr<std::unique_ptr<RemoteSegment>> Map(
      PeerId id, absl::Span<const std::byte> remote_key) override;
  void Put(RemoteSegment& segment, std::size_t offset, absl::Span<const std::byte> from,
           Done done) override;
  void Get(RemoteSegment& segment, std::size_t offset, absl::Span<std::byte> to,
           Done done) override;
  void Close(PeerId id) override;
  bool Progress() override;
  void WaitUntil(absl::Time deadline) override;
  void Wake() override { events_.Wake(); }

 private:
  static constexpr int kMessageTypes = 64;
  // UCX's numbers of the active messages.
  static constexpr unsigned kMessageId = 1;
  static constexpr unsigned kAccessId = 2;
  /// A worker, and who takes what it receives: the argument of its message handler.
  struct Receiver {
    UcxFabric* fabric;
    std::shared_ptr<UcxWorker> worker;
    const UcxPeer* peer;  // whose it is
  };
  // Event tokens; peers' are their ids.
  static constexpr std::uint64_t kWorkerToken = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kListenerToken = kWorkerToken + 1;

  // Connections: ucx_fabric_connections.cc.
  UcxPeer* AddPeer(UniqueFd fd);
  void Accept();
  void PauseListening();
  bool HasDescriptorsForPeer() const;
  void MakeRoomForGreeting();
  bool HandleEvents(absl::Duration timeout);
  void HandlePeerEvent(UcxPeer& peer);
  void Greet(UcxPeer& peer);
  absl::Status Open(UcxPeer& peer, const Hello& hello);
  absl::Status CreateEndpoint(UcxPeer& peer, const Hello& hello);
  void EndpointsMet(PeerId id, const absl::Status& status);
  void StartClosing(UcxPeer& peer, absl::Status reason);
  void MarkGone(UcxPeer& peer, absl::Status reason);
  bool Reap();
  bool ReadyToLeave(UcxPeer& peer);
  void Finish(PeerId id);
  void CloseEndpoint(UcxPeer& peer);
  absl::Time NextTimer(absl::Time deadline) const;
  UcxPeer* Find(PeerId id);
  UcxPeer* FindOpen(PeerId id);
  static void EndpointFailed(void* fabric, ucp_ep_h endpoint, ucs_status_t status);

  // Messages: ucx_fabric_messages.cc.
  absl::Status GiveWorker(UcxPeer& peer);
  absl::StatusOr<std::shared_ptr<UcxWorker>> AddWorker(const UcxPeer& peer);
  void RemoveWorker(const std::shared_ptr<UcxWorker>& worker);
  bool ArmWorkers();
  /// Null: of no connection here, or not whole.
  template <typename Header>
  static UcxPeer* SenderOf(const Receiver& receiver, const Header& header,
                           const ucp_am_recv_param_t* param);
  static ucs_status_t MessageArrived(void* receiver, const void* header_bytes,
                                     std::size_t header_size, void* data, std::size_t bytes,
                                     const ucp_am_recv_param_t* param);
  void SendEagerly(const UcxPeer& peer, Operation* operation, unsigned id, const void* header,
                   std::size_t header_bytes, absl::Span<const std::byte> payload);
  /// What was sent is lost, and what follows it would never be delivered.
  void EndBroken();
  static void OperationEnded(void* request, ucs_status_t status, void* user_data);
  static ucp_request_param_t OperationParam(Operation* operation);
  void EndPartIfImmediate(Operation* operation, ucs_status_ptr_t outcome);
  void StartFlush(UcxPeer& peer, Done done);
  bool DrainWorkers();
  void Queue(UcxPeer& peer);
  /// Gives each queued peer a turn. False: none was queued, so that it may sleep.
  bool DispatchMessages();
  /// Queues the peer again, behind the others, where its turn ends before its messages do.
  void DispatchFrom(PeerId id);

  // One-sided access: ucx_fabric_access.cc.
  /// The peer, or null where `done` has been told why not, or that there is nothing to do.
  UcxPeer* CheckAccess(RemoteSegment& segment, std::size_t offset, std::size_t bytes, Done& done);
  /// Starts an operation of so many pieces and an answer.
  Operation* StartAccess(UcxPeer& peer, std::size_t pieces, Access access, Done done);
  void SendPieces(const UcxPeer& peer, Operation* operation, AccessHeader header,
                  absl::Span<const std::byte> payload);
  static ucs_status_t AccessArrived(void* receiver, const void* header_bytes,
                                    std::size_t header_size, void* data, std::size_t bytes,
                                    const ucp_am_recv_param_t* param);
  /// The segment of ours that it names, or null where the peer was not lent it, or not all that it
  /// is about lies there.
  std::shared_ptr<SharedMapping> Lent(const UcxPeer& peer, const AccessHeader& header) const;
  bool Write(const UcxPeer& peer, const AccessHeader& header,
             absl::Span<const std::byte> payload) const;
  void AnswerLater(UcxPeer& peer, const AccessHeader& header);
  bool AnswerAccesses();
  bool AnswerSome(UcxPeer& peer);
  /// Whether that is all of the answer.
  bool SendAnswer(UcxPeer& peer, Answering& next);
  void TakeAnswer(UcxPeer& peer, const AccessHeader& header, absl::Span<const std::byte> payload);
  void EndAccesses(UcxPeer& peer);

  const UcxFabricOptions options_;
  const std::shared_ptr<const UcxContext> context_;
  EventSet events_;
  BufferPool pool_;
  OperationTable operations_{&pool_};

  std::vector<std::unique_ptr<Receiver>> receivers_;
  UniqueFd listener_;
  absl::Time listens_again_ = absl::InfiniteFuture();  // where it had no descriptors
  absl::flat_hash_map<PeerId, std::unique_ptr<UcxPeer>> peers_;
  std::uint32_t next_peer_ = 1;
  std::vector<PeerId> greeting_;   // that have a deadline; oldest first
  std::vector<PeerId> leaving_;    // kClosing and kGone
  std::vector<PeerId> queued_;     // may have messages to deliver; each once
  std::vector<PeerId> answering_;  // have something in to_answer
  absl::flat_hash_map<std::uint64_t, std::weak_ptr<SharedMapping>> segments_;  // by name
  bool said_not_mapped_ = false;
  StrangerLog refused_log_;
  StrangerLog pause_log_;
  StrangerLog unopened_log_;

  std::array<MessageHandler, kMessageTypes> on_message_;
  std::function<void(PeerId)> on_accepted_;
  PeerHandler on_closed_;
};

}  // namespace pinboard::transport
