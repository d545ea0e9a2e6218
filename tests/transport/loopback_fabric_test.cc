// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/fabric_conformance.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::transport {
namespace {

struct LoopbackEnvironment {
  LoopbackHub hub;
  std::unique_ptr<Fabric> Make() { return hub.MakeFabric(); }
  std::string AnyAddress() { return "127.0.0.1:0"; }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Loopback, FabricConformance, LoopbackEnvironment);

class LoopbackFailures : public ::testing::Test {
 protected:
  LoopbackFailures() {
    address_ = *server_->Listen("test:0");
    server_->OnMessage(1, [this](PeerId, absl::Span<const std::byte> payload) {
      received_.push_back(payload.size());
    });
    client_->OnClosed([this](PeerId, const absl::Status& reason) { closed_.push_back(reason); });
    peer_ = *client_->Connect(address_, absl::InfiniteFuture());
    Progress();
  }
  void Progress() {
    while (server_->Progress() || client_->Progress()) {
    }
  }

  LoopbackHub hub_;
  std::unique_ptr<Fabric> server_ = hub_.MakeFabric();
  std::unique_ptr<Fabric> client_ = hub_.MakeFabric();
  std::string address_;
  PeerId peer_;
  std::vector<std::size_t> received_;
  std::vector<absl::Status> closed_;
};

TEST_F(LoopbackFailures, AStalledPeerGetsNothingUntilItContinuesThenAllInOrder) {
  hub_.Stall(*server_, true);
  Outcomes outcomes;
  for (const std::size_t size : {1, 2, 3}) {
    client_->Send(peer_, 1, Pattern(size, 0), outcomes.Callback());
  }
  Progress();
  EXPECT_TRUE(received_.empty());
  EXPECT_TRUE(outcomes.codes.empty());
  EXPECT_TRUE(closed_.empty());
  hub_.Stall(*server_, false);
  Progress();
  EXPECT_THAT(received_, ::testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(outcomes.codes.size(), 3U);
}

TEST_F(LoopbackFailures, AKilledPeerEndsWhatWasHeldOnce) {
  hub_.Stall(*server_, true);
  Outcomes outcomes;
  client_->Send(peer_, 1, Pattern(10, 0), outcomes.Callback());
  hub_.Kill(*server_);
  Progress();
  EXPECT_THAT(outcomes.codes, ::testing::ElementsAre(absl::StatusCode::kUnavailable));
  ASSERT_EQ(closed_.size(), 1U);
  EXPECT_EQ(closed_[0].code(), absl::StatusCode::kUnavailable);
}

TEST_F(LoopbackFailures, ACutEndsWhatWasHeldOnceAndTheyMayConnectAgain) {
  hub_.Stall(*server_, true);
  Outcomes outcomes;
  client_->Send(peer_, 1, Pattern(10, 0), outcomes.Callback());
  hub_.Cut(*server_);
  hub_.Stall(*server_, false);
  Progress();
  EXPECT_THAT(outcomes.codes, ::testing::ElementsAre(absl::StatusCode::kUnavailable));
  ASSERT_EQ(closed_.size(), 1U);
  EXPECT_EQ(closed_[0].code(), absl::StatusCode::kUnavailable);
  peer_ = *client_->Connect(address_, absl::InfiniteFuture());
  client_->Send(peer_, 1, Pattern(3, 0), nullptr);
  Progress();
  EXPECT_THAT(received_, ::testing::ElementsAre(3));
}

TEST_F(LoopbackFailures, ARefusedMappingLeavesPutAndGet) {
  hub_.RefuseDirectMapping(true);
  auto segment = *server_->Allocate(10);
  auto remote = *client_->Map(peer_, segment->remote_key());
  EXPECT_TRUE(remote->direct().empty());
  const Bytes bytes = Pattern(10, 3);
  client_->Put(*remote, 0, bytes, nullptr);
  Progress();
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), segment->memory().begin()));
}

TEST_F(LoopbackFailures, TheMemoryLimitCountsAllSegments) {
  hub_.SetMemoryLimit(8192);
  auto first = server_->Allocate(8192);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(client_->Allocate(1).status().code(), absl::StatusCode::kResourceExhausted);
  first->reset();
  EXPECT_TRUE(client_->Allocate(1).ok());
}

TEST_F(LoopbackFailures, ConnectingToAStalledListenerEndsAtTheDeadline) {
  const std::string address = *server_->Listen("test:0");
  hub_.Stall(*server_, true);
  EXPECT_EQ(client_->Connect(address, absl::Now() + absl::Milliseconds(10)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace pinboard::transport
