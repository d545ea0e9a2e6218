// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whose messages a fabric delivers when, and which it does not.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::transport {
namespace {

constexpr int kMessages = 64;

/// A server and two clients over sockets, which take in what nobody reads yet.
class UcxTurns : public ::testing::Test {
 protected:
  struct Delivered {
    PeerId from;
    int number;
  };

  UcxTurns() { setenv("UCX_TLS", "tcp,self", 1); }
  ~UcxTurns() override { unsetenv("UCX_TLS"); }

  void SetUp() override {
    server_ = *MakeUcxFabric();
    const std::string address = *server_->Listen("127.0.0.1:0");
    server_->OnClosed([this](PeerId, const absl::Status&) { ++closed_; });
    for (std::unique_ptr<Fabric>& client : clients_) {
      client = *MakeUcxFabric();
      std::optional<PeerId> connected;
      bool accepted = false;
      server_->OnAccepted([&](PeerId) { accepted = true; });
      client->StartConnect(address, absl::InfiniteFuture(),
                           [&](absl::StatusOr<PeerId> peer) { connected = *peer; });
      WaitFor([&] {
        client->Progress();
        server_->Progress();
        return connected.has_value() && accepted;
      });
      to_server_.push_back(*connected);
    }
  }

  template <typename Condition>
  static void WaitFor(Condition condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(60);
    while (!condition()) ASSERT_LT(absl::Now(), limit);
  }

  /// Numbered messages, all in the server's sockets on return.
  void Send(std::size_t client, int messages) {
    int sent = 0;
    for (int number = 0; number < messages; ++number) {
      std::byte payload[sizeof(number)];
      std::memcpy(payload, &number, sizeof(number));
      clients_[client]->Send(to_server_[client], 1, payload, [&](const absl::Status&) { ++sent; });
    }
    WaitFor([&] {
      clients_[client]->Progress();
      return sent == messages;
    });
  }

  /// The handler of messages that take longer than a turn may.
  void TakeSlowly() {
    server_->OnMessage(1, [this](PeerId from, absl::Span<const std::byte> payload) {
      absl::SleepFor(absl::Milliseconds(1));
      int number = 0;
      std::memcpy(&number, payload.data(), sizeof(number));
      delivered_.push_back({from, number});
    });
  }

  std::unique_ptr<Fabric> server_;
  std::unique_ptr<Fabric> clients_[2];
  std::vector<PeerId> to_server_;
  std::vector<Delivered> delivered_;
  int closed_ = 0;
};

// All that one peer had sent was worked off before anything of another.
TEST_F(UcxTurns, PeersWithManyMessagesTakeTurns) {
  TakeSlowly();
  Send(0, kMessages);
  Send(1, kMessages);
  // It does not sleep while something is to be delivered.
  WaitFor([&] {
    server_->WaitUntil(absl::InfiniteFuture());
    return delivered_.size() == 2 * kMessages;
  });
  const PeerId first = delivered_.front().from;
  EXPECT_FALSE(std::all_of(delivered_.begin(), delivered_.begin() + kMessages,
                           [first](const Delivered& one) { return one.from == first; }));
  absl::flat_hash_map<PeerId, int> next;
  for (const Delivered& one : delivered_) EXPECT_EQ(one.number, next[one.from]++);
}

TEST_F(UcxTurns, WhatADeadPeerHadSentIsDeliveredBeforeItsEnd) {
  TakeSlowly();
  Send(0, kMessages);
  clients_[0] = nullptr;
  WaitFor([&] {
    server_->WaitUntil(absl::InfiniteFuture());
    return closed_ > 0;
  });
  EXPECT_EQ(delivered_.size(), kMessages);
}

// Else all that it can send becomes memory here.
TEST_F(UcxTurns, WhatIsSentFasterThanItIsWorkedOffWaitsAtTheSender) {
  TakeSlowly();
  constexpr int kLarge = 2000;
  const std::vector<std::byte> message(60'000);
  int sent = 0;
  for (int i = 0; i < kLarge; ++i) {
    clients_[0]->Send(to_server_[0], 1, message, [&sent](const absl::Status&) { ++sent; });
  }
  WaitFor([&] {
    clients_[0]->Progress();
    server_->Progress();
    return delivered_.size() >= 200;
  });
  EXPECT_LT(sent, kLarge / 2);
  clients_[0] = nullptr;
}

// The rest of its requests was worked off, for answers that nobody was to get.
TEST_F(UcxTurns, OfAPeerThatReadsNoAnswersNoMoreIsDelivered) {
  constexpr int kRequests = 1000;
  const std::vector<std::byte> answer(1 << 20);
  int delivered = 0;
  server_->OnMessage(1, [&](PeerId from, absl::Span<const std::byte>) {
    ++delivered;
    server_->Send(from, 2, answer, nullptr);
  });
  Send(0, kRequests);
  WaitFor([&] {
    server_->WaitUntil(absl::InfiniteFuture());
    return closed_ > 0;
  });
  EXPECT_GT(delivered, 128);
  EXPECT_LT(delivered, 300);
}

}  // namespace
}  // namespace pinboard::transport
