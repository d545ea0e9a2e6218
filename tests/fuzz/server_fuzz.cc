// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Conversations with the service, of clients and of members: well-formed messages with wild
// contents, and wild bytes.
#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "cache_service/server/server.h"
#include "tests/cache_service/told_membership.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scripted_fabric.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

constexpr std::uint64_t kArenaBytes = 64 << 10;
constexpr std::uint64_t kPageBytes[] = {0, 100, 1024, 4096, 40000, ~std::uint64_t{0}};
constexpr std::uint32_t kPeers = 4;
constexpr const char* kMembers[] = {"self", "one", "other", "nobody"};

/// Reads an input as steps of up to four clients, and gives the service one a turn. Where the first
/// byte is odd it is a member of three, of which it reaches none; clients may say that they are
/// they.
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
    options.replication.replicas = 2;
    server_ = *Server::Create(std::make_unique<fuzz::ScriptedFabric>(peers_), options, *metrics_);
    has_members_ = Byte() % 2 == 1;
    if (!has_members_) return;
    std::vector<Member> members;
    for (const char* name : {"one", "other", "self"}) {
      members.push_back({.name = name, .address = "10.0.0.1:1", .incarnation = 1});
    }
    const Member self = members.back();
    membership_.Tell(std::move(members));
    server_->JoinMembers(membership_, self);
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
    const std::uint8_t action = Byte() % 20;
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
        return Byte() % 2 == 0 ? peers_.Close(peer)
                               : Send(peer, Goodbye{clients_[Byte() % kPeers]});
      case 15:
        return Send(peer, Inspect{std::uint64_t{Byte()} << Byte() % 64});
      case 16:
        return Send(peer, Introduce{kMembers[Byte() % std::size(kMembers)], Byte() % 2U});
      case 17:
        return Send(peer, OfferTaken{{{Slab(), static_cast<OfferOutcome>(Byte() % 6)}}});
      case 18:
        return Send(peer, PeerFetch{Byte() % 2U, {Page(), Page()}});
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

  /// With every client gone (their process is of no host, so proven dead), nothing is in use; but
  /// other members may have clients of a group, so its pages stay for a while.
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

  void Read(PeerId to, std::uint8_t type, absl::Span<const std::byte> payload) {
    if (type == static_cast<std::uint8_t>(MessageType::kWelcome)) {
      const auto slot = std::find(std::begin(names_), std::end(names_), to);
      if (slot == std::end(names_)) return;
      clients_[slot - std::begin(names_)] = DecodeMessage<Welcome>(payload)->message.client;
    }
    if (type == static_cast<std::uint8_t>(MessageType::kInspectReply)) {
      const auto reply = DecodeMessage<InspectReply>(payload);
      for (const InspectedExtent& told : reply->message.extents) {
        fuzz::Require(told.pages + told.evicted + told.dropped > 0, "an extent without a page");
      }
    }
    if (type == static_cast<std::uint8_t>(MessageType::kOffer)) {
      const auto offer = DecodeMessage<Offer>(payload);
      for (const OfferedPage& page : offer->message.pages) slabs_.push_back(page.location.slab);
    }
    if (type == static_cast<std::uint8_t>(MessageType::kLeaseReply)) {
      const auto reply = DecodeMessage<LeaseReply>(payload);
      for (const SlabLocation& slab : reply->message.slabs) slabs_.push_back(slab.slab);
    } else if (type == static_cast<std::uint8_t>(MessageType::kStatsReply) && ended_) {
      const auto reply = DecodeMessage<StatsReply>(payload);
      for (const StatsEntry& entry : reply->message.entries) {
        const bool is_held = entry.name == "pinboard_service_pins" ||
                             entry.name == "pinboard_service_parked_fetches" ||
                             entry.name == "pinboard_service_lost_clients" ||
                             entry.name.starts_with("pinboard_service_slabs");
        const bool is_of_pages = entry.name == "pinboard_service_arena_used_bytes" ||
                                 entry.name == "pinboard_service_pages" ||
                                 entry.name == "pinboard_service_extents";
        const bool is_use = is_held || (is_of_pages && !has_members_);
        fuzz::Require(!is_use || entry.value == 0, entry.name.c_str());
      }
    }
  }

  absl::Span<const std::uint8_t> input_;
  fuzz::ScriptedPeers peers_;
  const std::unique_ptr<MetricRegistry> metrics_ = NewMetricRegistry();
  ToldMembership membership_{*metrics_};
  bool has_members_ = false;
  std::unique_ptr<Server> server_;
  std::vector<std::uint64_t> slabs_;
  PeerId names_[kPeers];
  std::uint64_t clients_[kPeers] = {};  // their numbers
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
