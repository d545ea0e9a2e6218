// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A Fabric that passes everything on: to override what a test wants to see or change.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "transport/fabric/fabric.h"

namespace pinboard::transport {

class ForwardingFabric : public Fabric {
 public:
  explicit ForwardingFabric(std::unique_ptr<Fabric> fabric) : fabric_(std::move(fabric)) {}

  absl::StatusOr<std::string> Listen(const std::string& address) override {
    return fabric_->Listen(address);
  }
  absl::StatusOr<PeerId> Connect(const std::string& address, absl::Time deadline) override {
    return fabric_->Connect(address, deadline);
  }
  void StartConnect(const std::string& address, absl::Time deadline, Connected connected) override {
    fabric_->StartConnect(address, deadline, std::move(connected));
  }
  void OnMessage(std::uint8_t type, MessageHandler handler) override {
    fabric_->OnMessage(type, std::move(handler));
  }
  void OnAccepted(std::function<void(PeerId)> handler) override {
    fabric_->OnAccepted(std::move(handler));
  }
  std::string AddressOf(PeerId peer) const override { return fabric_->AddressOf(peer); }
  void OnClosed(PeerHandler handler) override { fabric_->OnClosed(std::move(handler)); }
  void Send(PeerId peer, std::uint8_t type, absl::Span<const std::byte> payload,
            Done done) override {
    fabric_->Send(peer, type, payload, std::move(done));
  }
  absl::StatusOr<std::unique_ptr<Segment>> Allocate(std::size_t bytes) override {
    return fabric_->Allocate(bytes);
  }
  void Lend(PeerId peer, const Segment& segment) override { fabric_->Lend(peer, segment); }
  absl::StatusOr<std::unique_ptr<RemoteSegment>> Map(
      PeerId peer, absl::Span<const std::byte> remote_key) override {
    return fabric_->Map(peer, remote_key);
  }
  void Put(RemoteSegment& segment, std::size_t offset, absl::Span<const std::byte> from,
           Done done) override {
    fabric_->Put(segment, offset, from, std::move(done));
  }
  void Get(RemoteSegment& segment, std::size_t offset, absl::Span<std::byte> to,
           Done done) override {
    fabric_->Get(segment, offset, to, std::move(done));
  }
  void Close(PeerId peer) override { fabric_->Close(peer); }
  bool Progress() override { return fabric_->Progress(); }
  void WaitUntil(absl::Time deadline) override { fabric_->WaitUntil(deadline); }
  void Wake() override { fabric_->Wake(); }

 private:
  const std::unique_ptr<Fabric> fabric_;
};

}  // namespace pinboard::transport
