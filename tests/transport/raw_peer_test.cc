// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A fabric, and a peer that speaks its protocol as no fabric does.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "transport/fabric/ucx/access_message.h"
#include "transport/fabric/ucx/control_link.h"
#include "transport/fabric/ucx/operation_table.h"
#include "transport/fabric/ucx/tcp_socket.h"
#include "transport/fabric/ucx/ucx_fabric.h"
#include "transport/fabric/ucx/ucx_worker.h"

namespace pinboard::transport {
namespace {

constexpr unsigned kMessageId = 1;
constexpr unsigned kAccessId = 2;

class RawPeer : public ::testing::Test {
 protected:
  RawPeer() { setenv("UCX_TLS", "tcp,self", 1); }
  ~RawPeer() override { unsetenv("UCX_TLS"); }

  void SetUp() override {
    fabric_ = *MakeUcxFabric({.handshake_timeout = absl::Milliseconds(300)});
    worker_ = *UcxWorker::Create(*UcxContext::Create());
  }

  template <typename Condition>
  void WaitUntil(Condition condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(60);
    while (!condition()) {
      ASSERT_LT(absl::Now(), limit);
      fabric_->WaitUntil(absl::Now() + absl::Milliseconds(1));
      worker_->Progress();
    }
  }

  /// The fabric's Hello.
  Hello TakeHello(ControlLink& link) {
    std::optional<Hello> hello;
    WaitUntil([&] {
      EXPECT_EQ(link.Receive(), absl::OkStatus());
      return (hello = link.TakeHello()).has_value();
    });
    return *std::move(hello);
  }

  /// The same, of a connection that is under way.
  Hello Greet(ControlLink& link) {
    WaitUntil([&] { return link.SendHello({1, 2, HostIdentity(), worker_->address()}).ok(); });
    return TakeHello(link);
  }

  struct CloseEndpoint {
    void operator()(ucp_ep_h endpoint) const {
      ucp_request_param_t force{};
      force.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
      force.flags = UCP_EP_CLOSE_FLAG_FORCE;
      const ucs_status_ptr_t end = ucp_ep_close_nbx(endpoint, &force);
      if (UCS_PTR_IS_PTR(end)) ucp_request_free(end);
    }
  };
  using Endpoint = std::unique_ptr<std::remove_pointer_t<ucp_ep_h>, CloseEndpoint>;

  Endpoint EndpointTo(const Hello& hello) {
    ucp_ep_params_t params{};
    params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
    params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
    params.address = reinterpret_cast<const ucp_address_t*>(hello.worker.data());
    ucp_ep_h endpoint = nullptr;
    EXPECT_EQ(ucp_ep_create(worker_->get(), &params, &endpoint), UCS_OK);
    return Endpoint(endpoint);
  }

  /// Returns when the request has ended.
  void End(ucs_status_ptr_t request) {
    if (!UCS_PTR_IS_PTR(request)) return;
    WaitUntil([&] { return ucp_request_check_status(request) != UCS_INPROGRESS; });
    ucp_request_free(request);
  }

  template <typename Header>
  void SendTo(const Endpoint& endpoint, unsigned id, const Header& header) {
    ucp_request_param_t eager{};
    eager.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    eager.flags = UCP_AM_SEND_FLAG_EAGER;
    End(ucp_am_send_nbx(endpoint.get(), id, &header, sizeof(header), nullptr, 0, &eager));
  }

  void SendMessage(const Endpoint& endpoint, const Hello& hello, std::uint64_t number) {
    SendTo(endpoint, kMessageId,
           MessageHeader{
               .to_peer = hello.peer_id, .nonce = hello.nonce, .sequence = number, .type = 1});
  }

  /// What has been sent is there before what is said next.
  void Flush(const Endpoint& endpoint) {
    const ucp_request_param_t none{};
    End(ucp_ep_flush_nbx(endpoint.get(), &none));
  }

  std::unique_ptr<Fabric> fabric_;
  std::shared_ptr<UcxWorker> worker_;
};

TEST_F(RawPeer, AGoodbyeThatPromisesMoreThanWasSentDoesNotKeepTheConnection) {
  std::optional<absl::Status> closed;
  fabric_->OnClosed([&closed](PeerId, absl::Status reason) { closed = std::move(reason); });
  const std::string address = *fabric_->Listen("127.0.0.1:0");
  ControlLink link(*StartConnectTcp(address));
  Greet(link);
  ASSERT_TRUE(link.SendGoodbye({.messages_sent = std::uint64_t{1} << 63}).ok());
  WaitUntil([&] { return closed.has_value(); });
}

TEST_F(RawPeer, WhoAsksForMemoryBeforeItGreetsIsNotAnswered) {
  const AddressedSocket listener = *ListenTcp("127.0.0.1:0");
  std::optional<absl::Status> connected;
  fabric_->StartConnect(listener.address, absl::Now() + absl::Seconds(30),
                        [&](const absl::StatusOr<PeerId>& peer) { connected = peer.status(); });
  UniqueFd accepted;
  WaitUntil([&] { return (accepted = AcceptTcp(listener.fd.get()).fd).valid(); });
  ControlLink link(std::move(accepted));
  const Hello hello = TakeHello(link);

  const Endpoint endpoint = EndpointTo(hello);
  const AccessHeader ask{
      .to_peer = hello.peer_id, .nonce = hello.nonce, .bytes = 8, .kind = AccessKind::kGet};
  SendTo(endpoint, kAccessId, ask);
  Flush(endpoint);
  link = ControlLink(UniqueFd());
  WaitUntil([&] { return connected.has_value(); });
  EXPECT_FALSE(connected->ok());
}

// Each further message of a refused client was refused, counted and answered again.
TEST_F(RawPeer, NothingIsDeliveredAfterCloseAlsoOfAPeerThatHasSaidGoodbye) {
  int delivered = 0;
  bool accepted = false;
  bool closed = false;
  fabric_->OnAccepted([&](PeerId) { accepted = true; });
  fabric_->OnClosed([&](PeerId, const absl::Status&) { closed = true; });
  fabric_->OnMessage(1, [&](PeerId from, absl::Span<const std::byte>) {
    ++delivered;
    fabric_->Close(from);
  });
  const std::string address = *fabric_->Listen("127.0.0.1:0");
  ControlLink link(*StartConnectTcp(address));
  const Hello hello = Greet(link);
  WaitUntil([&] { return accepted; });
  const Endpoint endpoint = EndpointTo(hello);
  // One that is to come before these keeps them all until the goodbye has been read.
  constexpr std::uint64_t kMessages = 10;
  for (std::uint64_t number = 1; number < kMessages; ++number) SendMessage(endpoint, hello, number);
  Flush(endpoint);
  ASSERT_TRUE(link.SendGoodbye({.messages_sent = kMessages}).ok());
  SendMessage(endpoint, hello, 0);
  WaitUntil([&] { return closed; });
  EXPECT_EQ(delivered, 1);
}

// It asks and does not read: the answers took all the memory there was.
TEST_F(RawPeer, WhoTakesInNothingIsLeft) {
  const auto deaf = *MakeUcxFabric();
  const std::string address = *fabric_->Listen("127.0.0.1:0");
  std::optional<PeerId> accepted;
  std::optional<absl::Status> closed;
  fabric_->OnAccepted([&](PeerId peer) { accepted = peer; });
  fabric_->OnClosed([&](PeerId, absl::Status reason) { closed = std::move(reason); });
  bool connected = false;
  deaf->StartConnect(address, absl::Now() + absl::Seconds(30),
                     [&](const absl::StatusOr<PeerId>& peer) { connected = peer.ok(); });
  WaitUntil([&] {
    deaf->Progress();
    return connected && accepted.has_value();
  });
  const std::vector<std::byte> message(1 << 20);
  int ended = 0;
  int sent = 0;
  for (; sent < 1000 && !closed; ++sent) {
    fabric_->Send(*accepted, 1, message, [&](const absl::Status&) { ++ended; });
    fabric_->Progress();
  }
  EXPECT_GT(sent, 128);
  EXPECT_LT(sent, 300);
  ASSERT_TRUE(closed.has_value());
  EXPECT_NE(closed->message().find("takes in nothing"), absl::string_view::npos) << *closed;
  EXPECT_EQ(ended, sent);
}

// Answers without bytes were not counted: they took all the memory there was.
TEST_F(RawPeer, WhoAsksForNothingAndReadsNoAnswersIsLeft) {
  bool accepted = false;
  std::optional<absl::Status> closed;
  fabric_->OnAccepted([&](PeerId) { accepted = true; });
  fabric_->OnClosed([&](PeerId, absl::Status reason) { closed = std::move(reason); });
  const std::string address = *fabric_->Listen("127.0.0.1:0");
  ControlLink link(*StartConnectTcp(address));
  const Hello hello = Greet(link);
  WaitUntil([&] { return accepted; });
  const Endpoint endpoint = EndpointTo(hello);
  Flush(endpoint);
  const AccessHeader ask{.to_peer = hello.peer_id, .nonce = hello.nonce, .kind = AccessKind::kGet};
  // Answers that are there, those that UCX keeps and those that it is not given yet.
  constexpr int kTooMany = (1 << 20) + (1 << 19);
  for (int asked = 0; asked < kTooMany && !closed; ++asked) {
    SendTo(endpoint, kAccessId, ask);
    if (asked % 64 == 0) fabric_->Progress();
  }
  ASSERT_TRUE(closed.has_value());
  EXPECT_NE(closed->message().find("asks for more than it reads"), absl::string_view::npos);
}

/// While it lives the process may have so many descriptors.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit lower{most, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &lower);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(RawPeer, MorePeersThanThereAreDescriptorsForAreRefused) {
  const std::string address = *fabric_->Listen("127.0.0.1:0");
  const DescriptorLimit for_two(64 + 2 * 12);
  std::vector<std::unique_ptr<ControlLink>> links;
  for (int i = 0; i < 3; ++i) {
    links.push_back(std::make_unique<ControlLink>(*StartConnectTcp(address)));
    WaitUntil([&] { return ConnectOutcome(links.back()->fd(), address).ok(); });
  }
  WaitUntil([&] { return !links.back()->Receive().ok(); });
  EXPECT_EQ(links.front()->Receive(), absl::OkStatus());
}

// The connection that waited was looked at again and again.
TEST_F(RawPeer, WithoutDescriptorsConnectionsWaitAndNobodySpins) {
  const std::string address = *fabric_->Listen("127.0.0.1:0");
  ControlLink link(*StartConnectTcp(address));
  int turns = 0;
  {
    const DescriptorLimit none(0);
    const absl::Time end = absl::Now() + absl::Milliseconds(500);
    for (; absl::Now() < end; ++turns) fabric_->WaitUntil(end);
  }
  EXPECT_LT(turns, 50);
  Greet(link);
}

// Each was a line, so a stranger could fill the log.
TEST_F(RawPeer, ManyStrangersAreFewLines) {
  const std::string address = *fabric_->Listen("127.0.0.1:0");
  testing::internal::CaptureStderr();
  InitLog("pinboard", LogLevel::kInfo);
  const auto connect = [&] {
    for (int i = 0; i < 200; ++i) {
      const UniqueFd stranger = *StartConnectTcp(address);
      fabric_->Progress();
    }
  };
  connect();
  {
    const DescriptorLimit for_none(64 + 11);
    connect();
  }
  // One more, that is answered after all of them have ended.
  ControlLink link(*StartConnectTcp(address));
  Greet(link);
  InitLog("pinboard", LogLevel::kWarning);
  const std::vector<std::string> lines =
      absl::StrSplit(testing::internal::GetCapturedStderr(), '\n');
  for (const char* kind : {"ended before it was open", "is refused"}) {
    const auto count = std::count_if(lines.begin(), lines.end(), [kind](const std::string& line) {
      return absl::StrContains(line, kind);
    });
    EXPECT_GE(count, 32) << kind;
    EXPECT_LT(count, 100) << kind;
  }
}

TEST_F(RawPeer, AnAddressOfAnotherFormIsRefusedBeforeUcxReadsIt) {
  const std::string address = *fabric_->Listen("127.0.0.1:0");
  for (const std::vector<std::byte>& worker :
       {std::vector<std::byte>{}, std::vector<std::byte>(64, std::byte{0xff})}) {
    ControlLink link(*StartConnectTcp(address));
    WaitUntil([&] { return ConnectOutcome(link.fd(), address).ok(); });
    ASSERT_TRUE(link.SendHello({1, 2, HostIdentity(), worker}).ok());
    WaitUntil([&] { return !link.Receive().ok(); });
  }
}

}  // namespace
}  // namespace pinboard::transport
