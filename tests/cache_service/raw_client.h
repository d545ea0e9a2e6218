// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The client's half of the protocol, spoken by hand.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "cache_service/access/challenge.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/process_identity.h"
#include "tests/cache_service/test_pages.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::cache_service {

/// A client without any of a client's care.
class RawClient {
 public:
  explicit RawClient(const std::string& address)
      : RawClient(*transport::MakeUcxFabric(), address) {}
  RawClient(std::unique_ptr<transport::Fabric> fabric, const std::string& address)
      : fabric_(std::move(fabric)) {
    fabric_->OnClosed([this](transport::PeerId, const absl::Status&) { closed_ = true; });
    Keep<Segments>([this](const Segments& announced) {
      for (const SegmentEntry& entry : announced.segments) segments_[entry.segment] = entry;
    });
    Keep<Withdrawn>([this](const Withdrawn& withdrawn) {
      for (const std::uint32_t segment : withdrawn.segments) segments_.erase(segment);
    });
    peer_ = *fabric_->Connect(address, Soon());
  }

  template <typename Message>
  void Send(const Message& message, std::uint64_t request = 1) {
    fabric_->Send(peer_, static_cast<std::uint8_t>(Message::kType), EncodeMessage(request, message),
                  nullptr);
  }
  /// The next message of this type.
  template <typename Message>
  Envelope<Message> Receive() {
    const auto message = DecodeMessage<Message>(ReceiveBytes<Message>());
    EXPECT_EQ(message.status(), absl::OkStatus());
    return message.ok() ? *message : Envelope<Message>{};
  }
  template <typename Message>
  std::vector<std::byte> ReceiveBytes() {
    std::optional<std::vector<std::byte>> received;
    fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType),
                       [&received](transport::PeerId, absl::Span<const std::byte> payload) {
                         if (!received) received.emplace(payload.begin(), payload.end());
                       });
    while (!received.has_value() && !closed_ && SteadyNow() < give_up_) Wait();
    EXPECT_TRUE(received.has_value());
    fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType), nullptr);
    return received.value_or(std::vector<std::byte>{});
  }
  /// The next messages of this type, until `enough`.
  template <typename Message, typename Enough>
  std::vector<Message> ReceiveUntil(Enough enough) {
    std::vector<Message> received;
    fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType),
                       [&received](transport::PeerId, absl::Span<const std::byte> payload) {
                         received.push_back(DecodeMessage<Message>(payload)->message);
                       });
    while (!enough(received) && !closed_ && SteadyNow() < give_up_) Wait();
    EXPECT_TRUE(enough(received));
    fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType), nullptr);
    return received;
  }
  template <typename Reply, typename Message>
  Reply Ask(const Message& message) {
    Send(message, 77);
    const Envelope<Reply> reply = Receive<Reply>();
    EXPECT_EQ(reply.request, 77);
    return reply.message;
  }
  Welcome Greet(std::uint64_t group = 1) {
    Hello hello;
    hello.group = group;
    hello.process = CurrentProcess();
    hello.name = "raw";
    return Ask<Welcome>(hello);
  }
  /// Says Hello as a client that has a key.
  Challenge OfferKey(const Hello& hello) { return Ask<Challenge>(hello); }
  Welcome GreetAs(const Credentials& shown, std::uint64_t group = 1,
                  std::uint64_t features = kFeatures) {
    Hello hello;
    hello.features = features | kFeatureChallenge;
    hello.group = group;
    hello.process = CurrentProcess();
    hello.name = "raw " + shown.tenant;
    return Ask<Welcome>(*Answer(shown, hello, OfferKey(hello)));
  }
  /// Announced so far, and not withdrawn.
  const std::map<std::uint32_t, SegmentEntry>& segments() const { return segments_; }
  std::unique_ptr<transport::RemoteSegment> Map(std::uint32_t segment) {
    return *fabric_->Map(peer_, segments_.at(segment).remote_key);
  }
  /// One-sided, whatever the transport.
  void Put(transport::RemoteSegment& segment, std::size_t offset,
           absl::Span<const std::byte> from) {
    Complete([&](transport::Fabric::Done done) {
      fabric_->Put(segment, offset, from, std::move(done));
    });
  }
  void Get(transport::RemoteSegment& segment, std::size_t offset, absl::Span<std::byte> to) {
    Complete(
        [&](transport::Fabric::Done done) { fabric_->Get(segment, offset, to, std::move(done)); });
  }
  transport::Fabric& fabric() { return *fabric_; }
  void Close() { fabric_->Close(peer_); }
  bool IsClosedByService() {
    while (!closed_ && SteadyNow() < give_up_) Wait();
    return closed_;
  }

 private:
  template <typename Message, typename Handler>
  void Keep(Handler handler) {
    fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType),
                       [handler](transport::PeerId, absl::Span<const std::byte> payload) {
                         handler(DecodeMessage<Message>(payload)->message);
                       });
  }
  template <typename Operation>
  void Complete(Operation operation) {
    std::optional<absl::Status> done;
    operation([&done](absl::Status status) { done = std::move(status); });
    while (!done.has_value() && SteadyNow() < give_up_) Wait();
    EXPECT_EQ(done.value_or(absl::DeadlineExceededError("a transfer")), absl::OkStatus());
  }
  void Wait() { fabric_->WaitUntil(give_up_); }

  std::unique_ptr<transport::Fabric> fabric_;
  transport::PeerId peer_;
  std::map<std::uint32_t, SegmentEntry> segments_;
  bool closed_ = false;
  const absl::Time give_up_ = Soon();
};

}  // namespace pinboard::cache_service
