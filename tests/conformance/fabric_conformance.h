// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every Fabric promises. Instantiate with a type that has
//   std::unique_ptr<Fabric> Make();        joined with the others it made
//   std::string AnyAddress();              to listen at, the port chosen by the system
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/fabric/fabric.h"

namespace pinboard::transport {

using Bytes = std::vector<std::byte>;

inline Bytes Pattern(std::size_t size, unsigned seed) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(seed * 31 + i * 7 + i / 251);
  return bytes;
}

/// Collects the outcome of operations.
struct Outcomes {
  std::vector<absl::StatusCode> codes;
  Fabric::Done Callback() {
    return [this](const absl::Status& status) { codes.push_back(status.code()); };
  }
};

template <typename Environment>
class FabricConformance : public ::testing::Test {
 protected:
  struct Node {
    std::unique_ptr<Fabric> fabric;
    std::vector<PeerId> accepted;
    std::vector<std::pair<PeerId, absl::Status>> closed;
    std::vector<Bytes> messages;  // of type 1
  };

  std::unique_ptr<Node> MakeNode() {
    auto node = std::make_unique<Node>();
    node->fabric = environment_.Make();
    node->fabric->OnAccepted([raw = node.get()](PeerId peer) { raw->accepted.push_back(peer); });
    node->fabric->OnClosed([raw = node.get()](PeerId peer, const absl::Status& reason) {
      raw->closed.emplace_back(peer, reason);
    });
    node->fabric->OnMessage(1, [raw = node.get()](PeerId, absl::Span<const std::byte> payload) {
      raw->messages.emplace_back(payload.begin(), payload.end());
    });
    return node;
  }

  void SetUp() override {
    server_ = MakeNode();
    client_ = MakeNode();
    auto address = server_->fabric->Listen(environment_.AnyAddress());
    ASSERT_TRUE(address.ok()) << address.status();
    address_ = *address;
    to_server_ = Connect(*client_);
    ASSERT_EQ(server_->accepted.size(), 1U);
    to_client_ = server_->accepted[0];
  }

  /// Connects while the server makes progress on another thread.
  PeerId Connect(Node& from) {
    const std::size_t before = server_->accepted.size();
    absl::StatusOr<PeerId> peer = absl::UnknownError("");
    std::atomic<bool> done = false;
    std::thread connecting([&] {
      peer = from.fabric->Connect(address_, absl::Now() + absl::Seconds(20));
      done = true;
    });
    while (!done) server_->fabric->WaitUntil(absl::Now() + absl::Milliseconds(1));
    connecting.join();
    EXPECT_TRUE(peer.ok()) << peer.status();
    EXPECT_TRUE(Until([&] { return server_->accepted.size() > before; }));
    return peer.value_or(PeerId(0));
  }

  /// A segment of the server's that the client may reach.
  absl::StatusOr<std::unique_ptr<Segment>> AllocateAndLend(std::size_t bytes) {
    auto segment = server_->fabric->Allocate(bytes);
    if (segment.ok()) server_->fabric->Lend(server_->accepted.back(), **segment);
    return segment;
  }

  /// Progresses both sides until `condition`; false if it does not come in a long time.
  template <typename Condition>
  bool Until(Condition condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (!condition()) {
      if (absl::Now() > limit) return false;
      bool any = false;
      if (server_) any |= server_->fabric->Progress();
      if (client_) any |= client_->fabric->Progress();
      if (!any) absl::SleepFor(absl::Microseconds(50));
    }
    return true;
  }

  Environment environment_;
  std::unique_ptr<Node> server_;
  std::unique_ptr<Node> client_;
  std::string address_;
  PeerId to_server_;
  PeerId to_client_;
};

TYPED_TEST_SUITE_P(FabricConformance);

TYPED_TEST_P(FabricConformance, MessagesOfEverySizeArriveWholeAndInOrder) {
  std::vector<Bytes> sent;
  for (const std::size_t size : {0, 1, 100, 8192, 8193, 70'000, 17, 3'000'000, 5, 400'000, 0}) {
    sent.push_back(Pattern(size, sent.size()));
  }
  Outcomes outcomes;
  for (int round = 0; round < 3; ++round) {
    for (const Bytes& message : sent) {
      this->client_->fabric->Send(this->to_server_, 1, message, outcomes.Callback());
    }
  }
  ASSERT_TRUE(this->Until([&] {
    return this->server_->messages.size() == 3 * sent.size() &&
           outcomes.codes.size() == 3 * sent.size();
  })) << this->server_->messages.size()
      << " " << outcomes.codes.size();
  for (std::size_t i = 0; i < 3 * sent.size(); ++i) {
    EXPECT_TRUE(this->server_->messages[i] == sent[i % sent.size()]) << i;
  }
  EXPECT_THAT(outcomes.codes, ::testing::Each(absl::StatusCode::kOk));
}

TYPED_TEST_P(FabricConformance, AFloodToASleepingPeerArrivesInOrder) {
  constexpr int kMessages = 3000;
  Outcomes outcomes;
  for (int i = 0; i < kMessages; ++i) {
    this->client_->fabric->Send(this->to_server_, 1, Pattern(i % 300, i), outcomes.Callback());
  }
  ASSERT_TRUE(this->Until([&] {
    return this->server_->messages.size() == kMessages && outcomes.codes.size() == kMessages;
  }));
  for (int i = 0; i < kMessages; ++i) {
    ASSERT_TRUE(this->server_->messages[i] == Pattern(i % 300, i)) << i;
  }
}

TYPED_TEST_P(FabricConformance, ASmallPayloadMayBeChangedAtOnce) {
  Bytes payload = Pattern(8192, 1);
  for (int i = 0; i < 200; ++i) {
    payload[0] = static_cast<std::byte>(i);
    this->client_->fabric->Send(this->to_server_, 1, payload, nullptr);
  }
  ASSERT_TRUE(this->Until([&] { return this->server_->messages.size() == 200; }));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(this->server_->messages[i][0], static_cast<std::byte>(i));
}

TYPED_TEST_P(FabricConformance, AHandlerMayReplyAndCallbacksRunOnlyInProgress) {
  this->server_->fabric->OnMessage(2, [&](PeerId from, absl::Span<const std::byte> payload) {
    this->server_->fabric->Send(from, 1, payload, nullptr);
  });
  Outcomes outcomes;
  const Bytes payload = Pattern(64, 9);
  this->client_->fabric->Send(this->to_server_, 2, payload, outcomes.Callback());
  EXPECT_TRUE(outcomes.codes.empty());
  ASSERT_TRUE(this->Until([&] { return !this->client_->messages.empty(); }));
  EXPECT_TRUE(this->client_->messages[0] == payload);
}

TYPED_TEST_P(FabricConformance, AMessageTypeWithoutHandlerIsDropped) {
  this->client_->fabric->Send(this->to_server_, 63, Pattern(10, 1), nullptr);
  this->client_->fabric->Send(this->to_server_, 1, Pattern(10, 2), nullptr);
  ASSERT_TRUE(this->Until([&] { return !this->server_->messages.empty(); }));
  EXPECT_EQ(this->server_->messages.size(), 1U);
}

TYPED_TEST_P(FabricConformance, AddressesThatCannotWorkAreNamed) {
  auto other = this->MakeNode();
  EXPECT_EQ(other->fabric->Listen(this->address_).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(other->fabric->Listen("nonsense").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(other->fabric->Connect("127.0.0.1:", absl::Now() + absl::Seconds(5)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TYPED_TEST_P(FabricConformance, ConnectingWhereNobodyListensIsUnavailable) {
  this->server_.reset();
  auto other = this->MakeNode();
  const auto peer = other->fabric->Connect(this->address_, absl::Now() + absl::Seconds(20));
  EXPECT_EQ(peer.status().code(), absl::StatusCode::kUnavailable) << peer.status();
  EXPECT_TRUE(other->closed.empty());
}

TYPED_TEST_P(FabricConformance, WhatWasSentBeforeCloseArrivesAndBothSidesCloseOnce) {
  const Bytes large = Pattern(2'000'000, 3);
  Outcomes outcomes;
  this->client_->fabric->Send(this->to_server_, 1, large, outcomes.Callback());
  this->client_->fabric->Send(this->to_server_, 1, Pattern(10, 4), outcomes.Callback());
  this->client_->fabric->Close(this->to_server_);
  this->client_->fabric->Close(this->to_server_);
  ASSERT_TRUE(this->Until(
      [&] { return !this->server_->closed.empty() && !this->client_->closed.empty(); }));
  ASSERT_EQ(this->server_->messages.size(), 2U);
  EXPECT_TRUE(this->server_->messages[0] == large);
  EXPECT_THAT(outcomes.codes, ::testing::ElementsAre(absl::StatusCode::kOk, absl::StatusCode::kOk));
  ASSERT_EQ(this->client_->closed.size(), 1U);
  EXPECT_EQ(this->client_->closed[0].first, this->to_server_);
  EXPECT_EQ(this->client_->closed[0].second.code(), absl::StatusCode::kCancelled);
  ASSERT_EQ(this->server_->closed.size(), 1U);
  EXPECT_EQ(this->server_->closed[0].first, this->to_client_);
  EXPECT_EQ(this->server_->closed[0].second.code(), absl::StatusCode::kUnavailable);

  Outcomes late;
  this->client_->fabric->Send(this->to_server_, 1, Pattern(10, 4), late.Callback());
  this->server_->fabric->Send(this->to_client_, 1, Pattern(10, 4), late.Callback());
  ASSERT_TRUE(this->Until([&] { return late.codes.size() == 2; }));
  EXPECT_THAT(late.codes, ::testing::Each(absl::StatusCode::kUnavailable));
  EXPECT_EQ(this->server_->closed.size(), 1U);
}

TYPED_TEST_P(FabricConformance, BothSidesMayCloseWhileBothSend) {
  const Bytes large = Pattern(1'000'000, 3);
  Outcomes outcomes;
  for (int i = 0; i < 3; ++i) {
    this->client_->fabric->Send(this->to_server_, 1, large, outcomes.Callback());
    this->server_->fabric->Send(this->to_client_, 1, large, outcomes.Callback());
  }
  this->client_->fabric->Close(this->to_server_);
  this->server_->fabric->Close(this->to_client_);
  ASSERT_TRUE(this->Until(
      [&] { return this->server_->closed.size() == 1 && this->client_->closed.size() == 1; }));
  EXPECT_EQ(outcomes.codes.size(), 6U);
}

TYPED_TEST_P(FabricConformance, AHandlerMayCloseItsPeerAndHearsNoMoreOfIt) {
  int heard = 0;
  this->server_->fabric->OnMessage(2, [&](PeerId from, absl::Span<const std::byte>) {
    ++heard;
    this->server_->fabric->Close(from);
  });
  for (int i = 0; i < 10; ++i) this->client_->fabric->Send(this->to_server_, 2, {}, nullptr);
  ASSERT_TRUE(this->Until(
      [&] { return !this->server_->closed.empty() && !this->client_->closed.empty(); }));
  EXPECT_EQ(heard, 1);
}

TYPED_TEST_P(FabricConformance, AVanishedPeerEndsEveryOperationOnce) {
  const Bytes large = Pattern(5'000'000, 3);
  Outcomes outcomes;
  for (int i = 0; i < 20; ++i) {
    this->client_->fabric->Send(this->to_server_, 1, large, outcomes.Callback());
    this->client_->fabric->Send(this->to_server_, 1, Pattern(8000, 1), outcomes.Callback());
  }
  this->server_.reset();
  ASSERT_TRUE(this->Until([&] { return !this->client_->closed.empty(); }));
  EXPECT_EQ(this->client_->closed.size(), 1U);
  EXPECT_EQ(this->client_->closed[0].second.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(outcomes.codes.size(), 40U);
}

TYPED_TEST_P(FabricConformance, DestroyingAFabricEndsItsOperationsOnce) {
  const Bytes large = Pattern(5'000'000, 3);
  Outcomes outcomes;
  for (int i = 0; i < 5; ++i) {
    this->client_->fabric->Send(this->to_server_, 1, large, outcomes.Callback());
  }
  this->client_.reset();
  EXPECT_EQ(outcomes.codes.size(), 5U);
  ASSERT_TRUE(this->Until([&] { return !this->server_->closed.empty(); }));
}

TYPED_TEST_P(FabricConformance, DestroyingAFabricEndsItsTransfersOnce) {
  const std::size_t bytes = 2'000'000;
  auto segment = this->AllocateAndLend(bytes);
  ASSERT_TRUE(segment.ok()) << segment.status();
  auto remote = this->client_->fabric->Map(this->to_server_, (*segment)->remote_key());
  ASSERT_TRUE(remote.ok()) << remote.status();
  const Bytes from = Pattern(bytes, 3);
  Bytes to(bytes);
  Outcomes outcomes;
  for (int i = 0; i < 3; ++i) {
    this->client_->fabric->Get(**remote, 0, absl::MakeSpan(to), outcomes.Callback());
    this->client_->fabric->Put(**remote, 0, from, outcomes.Callback());
  }
  for (int i = 0; i < 10; ++i) this->client_->fabric->Progress();
  remote->reset();
  this->client_.reset();
  EXPECT_EQ(outcomes.codes.size(), 6U);
  ASSERT_TRUE(this->Until([&] { return !this->server_->closed.empty(); }));
}

TYPED_TEST_P(FabricConformance, PutAndGetMoveBytesAndStayInside) {
  auto segment = this->AllocateAndLend(100'000);
  ASSERT_TRUE(segment.ok()) << segment.status();
  EXPECT_GE((*segment)->memory().size(), 100'000U);
  auto remote = this->client_->fabric->Map(this->to_server_, (*segment)->remote_key());
  ASSERT_TRUE(remote.ok()) << remote.status();
  const std::size_t size = (*remote)->size_bytes();
  EXPECT_EQ(size, (*segment)->memory().size());

  const Bytes written = Pattern(70'000, 5);
  Bytes read(70'000);
  Outcomes outcomes;
  this->client_->fabric->Put(**remote, 4096, written, outcomes.Callback());
  ASSERT_TRUE(this->Until([&] { return outcomes.codes.size() == 1; }));
  EXPECT_EQ(std::memcmp((*segment)->memory().data() + 4096, written.data(), written.size()), 0);
  this->client_->fabric->Get(**remote, 4096, absl::MakeSpan(read), outcomes.Callback());
  ASSERT_TRUE(this->Until([&] { return outcomes.codes.size() == 2; }));
  EXPECT_TRUE(read == written);
  EXPECT_THAT(outcomes.codes, ::testing::Each(absl::StatusCode::kOk));

  outcomes.codes.clear();
  this->client_->fabric->Put(**remote, size - 10, Pattern(11, 1), outcomes.Callback());
  this->client_->fabric->Get(**remote, size + 1, absl::MakeSpan(read).subspan(0, 1),
                             outcomes.Callback());
  this->client_->fabric->Put(**remote, size, {}, outcomes.Callback());
  ASSERT_TRUE(this->Until([&] { return outcomes.codes.size() == 3; }));
  EXPECT_THAT(outcomes.codes,
              ::testing::ElementsAre(absl::StatusCode::kOutOfRange, absl::StatusCode::kOutOfRange,
                                     absl::StatusCode::kOk));
}

TYPED_TEST_P(FabricConformance, PutAndGetOfManyPartsMoveEveryByte) {
  constexpr std::size_t kBytes = 40'000'000;
  auto segment = this->AllocateAndLend(kBytes);
  ASSERT_TRUE(segment.ok()) << segment.status();
  auto remote = this->client_->fabric->Map(this->to_server_, (*segment)->remote_key());
  ASSERT_TRUE(remote.ok()) << remote.status();
  const Bytes written = Pattern(kBytes, 7);
  Bytes whole(kBytes), half(kBytes / 2);
  Outcomes outcomes;
  this->client_->fabric->Put(**remote, 0, written, outcomes.Callback());
  ASSERT_TRUE(this->Until([&] { return outcomes.codes.size() == 1; }));
  this->client_->fabric->Get(**remote, 0, absl::MakeSpan(whole), outcomes.Callback());
  this->client_->fabric->Get(**remote, kBytes / 2, absl::MakeSpan(half), outcomes.Callback());
  ASSERT_TRUE(this->Until([&] { return outcomes.codes.size() == 3; }));
  EXPECT_THAT(outcomes.codes, ::testing::Each(absl::StatusCode::kOk));
  EXPECT_TRUE(whole == written);
  EXPECT_TRUE(std::equal(half.begin(), half.end(), written.begin() + kBytes / 2));
}

TYPED_TEST_P(FabricConformance, ADirectMappingIsTheOwnersMemory) {
  auto segment = this->AllocateAndLend(8192);
  ASSERT_TRUE(segment.ok()) << segment.status();
  auto remote = this->client_->fabric->Map(this->to_server_, (*segment)->remote_key());
  ASSERT_TRUE(remote.ok()) << remote.status();
  if ((*remote)->direct().empty()) GTEST_SKIP() << "this transport cannot map";
  (*remote)->direct()[17] = std::byte{42};
  EXPECT_EQ((*segment)->memory()[17], std::byte{42});
  (*segment)->memory()[18] = std::byte{43};
  EXPECT_EQ((*remote)->direct()[18], std::byte{43});
}

TYPED_TEST_P(FabricConformance, ADamagedRemoteKeyIsRefused) {
  auto segment = this->AllocateAndLend(8192);
  ASSERT_TRUE(segment.ok()) << segment.status();
  const auto key = (*segment)->remote_key();
  Bytes damaged(key.begin(), key.end());
  damaged.at(damaged.size() - 1) ^= std::byte{1};
  for (const Bytes& bad : {damaged, Bytes(key.begin(), key.end() - 1), Bytes{}, Pattern(100, 1)}) {
    EXPECT_EQ(this->client_->fabric->Map(this->to_server_, bad).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

// UCX has crashed where a key was unpacked after its endpoint had been closed (nixl#1986).
TYPED_TEST_P(FabricConformance, MappingAndAccessAfterThePeerRestartedAreUnavailable) {
  auto segment = this->AllocateAndLend(8192);
  ASSERT_TRUE(segment.ok()) << segment.status();
  auto remote = this->client_->fabric->Map(this->to_server_, (*segment)->remote_key());
  ASSERT_TRUE(remote.ok()) << remote.status();
  const Bytes key((*segment)->remote_key().begin(), (*segment)->remote_key().end());
  segment->reset();
  this->server_ = this->MakeNode();
  ASSERT_TRUE(this->server_->fabric->Listen(this->address_).ok());
  ASSERT_TRUE(this->Until([&] { return !this->client_->closed.empty(); }));

  EXPECT_EQ(this->client_->fabric->Map(this->to_server_, key).status().code(),
            absl::StatusCode::kUnavailable);
  Outcomes outcomes;
  const Bytes payload = Pattern(100, 1);
  this->client_->fabric->Put(**remote, 0, payload, outcomes.Callback());
  ASSERT_TRUE(this->Until([&] { return outcomes.codes.size() == 1; }));
  EXPECT_EQ(outcomes.codes[0], absl::StatusCode::kUnavailable);

  const PeerId again = this->Connect(*this->client_);
  EXPECT_NE(again, this->to_server_);
  auto fresh = this->AllocateAndLend(8192);
  ASSERT_TRUE(fresh.ok());
  auto remapped = this->client_->fabric->Map(again, (*fresh)->remote_key());
  ASSERT_TRUE(remapped.ok()) << remapped.status();
  this->client_->fabric->Put(**remapped, 0, payload, outcomes.Callback());
  ASSERT_TRUE(this->Until([&] { return outcomes.codes.size() == 2; }));
  EXPECT_EQ(std::memcmp((*fresh)->memory().data(), payload.data(), payload.size()), 0);
  remapped->reset();
  remote->reset();
  fresh->reset();
}

TYPED_TEST_P(FabricConformance, MoreThanTheMemoryIsResourceExhausted) {
  const auto segment = this->client_->fabric->Allocate(std::size_t{1} << 46);
  EXPECT_EQ(segment.status().code(), absl::StatusCode::kResourceExhausted) << segment.status();
  EXPECT_EQ(segment.status().message().find('\n'), absl::string_view::npos);
}

TYPED_TEST_P(FabricConformance, WakeEndsAWaitAlsoWhenItComesFirst) {
  Fabric& fabric = *this->server_->fabric;
  ASSERT_TRUE(this->Until([&] { return !fabric.Progress(); }));
  fabric.Wake();
  fabric.Progress();
  fabric.WaitUntil(absl::InfiniteFuture());
  std::thread waker([&] {
    absl::SleepFor(absl::Milliseconds(20));
    fabric.Wake();
  });
  fabric.WaitUntil(absl::InfiniteFuture());
  waker.join();
}

TYPED_TEST_P(FabricConformance, ASleepingFabricWakesForAMessage) {
  std::thread sender([&] {
    absl::SleepFor(absl::Milliseconds(20));
    for (int i = 0; i < 50; ++i) {
      this->client_->fabric->Send(this->to_server_, 1, Pattern(100, i), nullptr);
      this->client_->fabric->WaitUntil(absl::Now() + absl::Milliseconds(1));
    }
  });
  while (this->server_->messages.size() < 50) {
    this->server_->fabric->WaitUntil(absl::InfiniteFuture());
  }
  sender.join();
}

TYPED_TEST_P(FabricConformance, SeveralPeersAreKeptApart) {
  auto second = this->MakeNode();
  std::vector<std::pair<PeerId, std::byte>> heard;
  this->server_->fabric->OnMessage(2, [&](PeerId from, absl::Span<const std::byte> payload) {
    heard.emplace_back(from, payload[0]);
  });
  const PeerId from_second = this->Connect(*second);
  ASSERT_EQ(this->server_->accepted.size(), 2U);
  second->fabric->Send(from_second, 2, Bytes{std::byte{2}}, nullptr);
  this->client_->fabric->Send(this->to_server_, 2, Bytes{std::byte{1}}, nullptr);
  ASSERT_TRUE(this->Until([&] {
    second->fabric->Progress();
    return heard.size() == 2;
  }));
  EXPECT_THAT(heard, ::testing::UnorderedElementsAre(
                         ::testing::Pair(this->server_->accepted[0], std::byte{1}),
                         ::testing::Pair(this->server_->accepted[1], std::byte{2})));
  second.reset();
  ASSERT_TRUE(this->Until([&] { return !this->server_->closed.empty(); }));
  EXPECT_EQ(this->server_->closed[0].first, this->server_->accepted[1]);
}

REGISTER_TYPED_TEST_SUITE_P(
    FabricConformance, MessagesOfEverySizeArriveWholeAndInOrder,
    AFloodToASleepingPeerArrivesInOrder, ASmallPayloadMayBeChangedAtOnce,
    AHandlerMayReplyAndCallbacksRunOnlyInProgress, AMessageTypeWithoutHandlerIsDropped,
    AddressesThatCannotWorkAreNamed, ConnectingWhereNobodyListensIsUnavailable,
    WhatWasSentBeforeCloseArrivesAndBothSidesCloseOnce, BothSidesMayCloseWhileBothSend,
    AHandlerMayCloseItsPeerAndHearsNoMoreOfIt, AVanishedPeerEndsEveryOperationOnce,
    DestroyingAFabricEndsItsOperationsOnce, DestroyingAFabricEndsItsTransfersOnce,
    PutAndGetMoveBytesAndStayInside, PutAndGetOfManyPartsMoveEveryByte,
    ADirectMappingIsTheOwnersMemory, ADamagedRemoteKeyIsRefused,
    MappingAndAccessAfterThePeerRestartedAreUnavailable, MoreThanTheMemoryIsResourceExhausted,
    WakeEndsAWaitAlsoWhenItComesFirst, ASleepingFabricWakesForAMessage, SeveralPeersAreKeptApart);

}  // namespace pinboard::transport
