// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Conversations with the service: well-formed messages with wild contents, and wild bytes.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "cache_service/server/server.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scripted_fabric.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

constexpr std::uint64_t kArenaBytes = 64 << 10;
constexpr std::uint64_t kPageBytes[] = {0, 100, 1024, 4096, 40000, ~std::uint64_t{0}};
constexpr std::uint32_t kPeers = 4;

/// Reads an input as steps of up to four clients, and gives the service one a turn.
class Conversation {
 public:
  Conversation(const std::uint8_t* data, std::size_t size) : input_(data, size) {
    peers_.turn = [this] { Turn(); };
    peers_.sent = [this](PeerId to, std::uint8_t type, absl::Span<const std::byte> payload) {
      Read(to, type, payload);
    };
    ServerOptions options;
    options.arena_bytes = kArenaBytes;
    options.segment_bytes = kArenaBytes / 2;
    options.eviction = LowestInformation();
    options.watermarks = {0.9, 0.6};
    server_ = *Server::Create(std::make_unique<fuzz::ScriptedFabric>(peers_), options, *metrics_);
  }

  void Run() { server_->Run(); }

 private:
  std::uint8_t Byte() {
    if (input_.empty()) return 0;
    const std::uint8_t byte = input_.front();
    input_.remove_prefix(1);
    return byte;
  }
  /// One that the service named, or any.
  std::uint64_t Slab() {
    const std::uint8_t pick = Byte();
    if (slabs_.empty() || pick >= 250) return std::uint64_t{pick} << 32 | Byte();
    return slabs_[pick % slabs_.size()];
  }
  PageRef Page() {
    PageRef page;
    page.key.sequence = Byte() % 3;
    page.key.page = Byte() % 40;
    page.key.layer = Byte() % 20;
    page.generation = Byte() % 4;
    return page;
  }

  template <typename Message>
  void Send(PeerId from, const Message& message) {
    peers_.Deliver(from, static_cast<std::uint8_t>(Message::kType), EncodeMessage(1, message));
  }

  void Turn() {
    if (input_.empty()) return End();
    const std::uint8_t action = Byte() % 16;
    const std::uint8_t slot = Byte() % kPeers;
    const PeerId peer = names_[slot];
    if (!peers_.open.contains(peer)) return Join(slot);
    switch (action) {
      case 0:
      case 1:
        return Send(peer, LeaseRequest{Byte() % 24U, kPageBytes[Byte() % std::size(kPageBytes)]});
      case 2:
        return Send(peer, LeaseAhead{Byte() % 24U, kPageBytes[Byte() % std::size(kPageBytes)]});
      case 3:
      case 4:
      case 5:
      case 6: {
        const PageRef page = Page();
        PageHeader header{.key = page.key, .generation = page.generation, .bytes = Byte() * 8U};
        header.mean_information = static_cast<std::int8_t>(Byte());
        return Send(peer, Publish{{{Slab(), header}}});
      }
      case 7:
      case 8:
        return Send(peer, Fetch{{Page(), Page(), Page()}});
      case 9:
      case 10:
        return Send(peer, Unpin{{Slab()}});
      case 11:
        return Send(peer, ReturnSlabs{{Slab(), Slab()}});
      case 12:
        return Send(peer, Drop{{Page(), Page()}});
      case 13:
        return Send(peer, DropSequence{Byte() % 3U});
      case 14:
        return Byte() % 2 == 0 ? peers_.Close(peer) : Send(peer, Goodbye{Byte() % 8U});
      default: {
        std::vector<std::byte> bytes(Byte());
        for (std::byte& byte : bytes) byte = static_cast<std::byte>(Byte());
        peers_.Deliver(peer, Byte(), bytes);
      }
    }
  }
  void Join(std::uint8_t slot) {
    names_[slot] = PeerId(next_peer_++);
    peers_.Accept(names_[slot]);
    Hello hello;
    hello.group = Byte() % 2;
    hello.features = Byte() % 2 == 0 ? 0 : ~std::uint64_t{0};
    if (hello.group != 0 || Byte() % 8 != 0) Send(names_[slot], hello);  // else: it says nothing
  }

  /// With every client gone (their process is of no host, so proven dead), nothing is in use.
  void End() {
    if (!peers_.open.empty()) return peers_.Close(*peers_.open.begin());
    if (std::exchange(ended_, true)) {
      const PeerId observer(next_peer_++);
      peers_.Accept(observer);
      Send(observer, Hello{});
      Send(observer, StatsRequest{});
      server_->Stop();
    }
  }

  void Read(PeerId, std::uint8_t type, absl::Span<const std::byte> payload) {
    if (type == static_cast<std::uint8_t>(MessageType::kLeaseReply)) {
      const auto reply = DecodeMessage<LeaseReply>(payload);
      for (const SlabLocation& slab : reply->message.slabs) slabs_.push_back(slab.slab);
    } else if (type == static_cast<std::uint8_t>(MessageType::kStatsReply) && ended_) {
      const auto reply = DecodeMessage<StatsReply>(payload);
      for (const StatsEntry& entry : reply->message.entries) {
        const bool is_use = entry.name == "pinboard_service_arena_used_bytes" ||
                            entry.name == "pinboard_service_pages" ||
                            entry.name == "pinboard_service_extents" ||
                            entry.name == "pinboard_service_pins" ||
                            entry.name == "pinboard_service_parked_fetches" ||
                            entry.name.starts_with("pinboard_service_slabs");
        fuzz::Require(!is_use || entry.value == 0, entry.name.c_str());
      }
    }
  }

  absl::Span<const std::uint8_t> input_;
  fuzz::ScriptedPeers peers_;
  const std::unique_ptr<MetricRegistry> metrics_ = NewMetricRegistry();
  std::unique_ptr<Server> server_;
  std::vector<std::uint64_t> slabs_;
  PeerId names_[kPeers];
  std::uint32_t next_peer_ = 1;
  bool ended_ = false;
};

}  // namespace
}  // namespace pinboard::cache_service

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool quiet = [] {
    pinboard::InitLog("server_fuzz", pinboard::LogLevel::kOff);
    return true;
  }();
  static_cast<void>(quiet);
  if (size <= 4096) pinboard::cache_service::Conversation(data, size).Run();
  return 0;
}
