// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A Fabric whose peers are a script: it runs while the service waits, on the service's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "transport/fabric/fabric.h"

namespace pinboard::fuzz {

/// What the script sees: it lives on when the service's fabric is gone.
struct ScriptedPeers {
  using PeerId = transport::PeerId;

  std::function<void()> turn;  // each time the service waits
  std::function<void(PeerId to, std::uint8_t type, absl::Span<const std::byte>)> sent;
  std::array<transport::Fabric::MessageHandler, 64> handlers;
  std::function<void(PeerId)> accepted;
  transport::Fabric::PeerHandler closed;
  std::set<PeerId> open;
  std::vector<PeerId> closing;  // by the service: told at its next wait

  void Accept(PeerId peer) {
    open.insert(peer);
    accepted(peer);
  }
  void Deliver(PeerId from, std::uint8_t type, absl::Span<const std::byte> payload) {
    if (open.contains(from) && handlers[type % 64]) handlers[type % 64](from, payload);
  }
  void Close(PeerId peer) {
    if (open.erase(peer) > 0) closed(peer, absl::UnavailableError("closed by the script"));
  }
};

class ScriptedFabric final : public transport::Fabric {
 public:
  explicit ScriptedFabric(ScriptedPeers& peers) : peers_(peers) {}

  absl::StatusOr<std::string> Listen(const std::string& address) override { return address; }
  absl::StatusOr<transport::PeerId> Connect(const std::string&, absl::Time) override {
    return absl::UnimplementedError("a script does not listen");
  }
  void StartConnect(const std::string&, absl::Time, Connected connected) override {
    connected(absl::UnimplementedError("a script does not listen"));
  }
  void OnMessage(std::uint8_t type, MessageHandler handler) override {
    peers_.handlers[type] = std::move(handler);
  }
  void OnAccepted(std::function<void(transport::PeerId)> handler) override {
    peers_.accepted = std::move(handler);
  }
  std::string AddressOf(transport::PeerId) const override { return ""; }
  void OnClosed(PeerHandler handler) override { peers_.closed = std::move(handler); }
  void Send(transport::PeerId peer, std::uint8_t type, absl::Span<const std::byte> payload,
            Done done) override {
    peers_.sent(peer, type, payload);
    if (done) done(absl::OkStatus());
  }
  absl::StatusOr<std::unique_ptr<transport::Segment>> Allocate(std::size_t bytes) override {
    return std::make_unique<HeapSegment>(bytes);
  }
  void Lend(transport::PeerId, const transport::Segment&) override {}
  absl::StatusOr<std::unique_ptr<transport::RemoteSegment>> Map(
      transport::PeerId, absl::Span<const std::byte>) override {
    return absl::UnimplementedError("a script has no memory");
  }
  void Put(transport::RemoteSegment&, std::size_t, absl::Span<const std::byte>, Done) override {}
  void Get(transport::RemoteSegment&, std::size_t, absl::Span<std::byte>, Done) override {}
  void Close(transport::PeerId peer) override { peers_.closing.push_back(peer); }
  bool Progress() override { return false; }
  void WaitUntil(absl::Time) override {
    for (const transport::PeerId peer : std::exchange(peers_.closing, {})) peers_.Close(peer);
    peers_.turn();
  }
  void Wake() override {}

 private:
  class HeapSegment final : public transport::Segment {
   public:
    explicit HeapSegment(std::size_t bytes) : memory_(bytes) {}
    absl::Span<std::byte> memory() override { return absl::MakeSpan(memory_); }
    absl::Span<const std::byte> remote_key() const override { return {}; }

   private:
    std::vector<std::byte> memory_;
  };

  ScriptedPeers& peers_;
};

}  // namespace pinboard::fuzz
