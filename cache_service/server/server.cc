// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/server.h"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/process_identity.h"
#include "cache_service/protocol/send_message.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

constexpr std::uint64_t kMaxChunkBytes = std::uint64_t{2} << 20;
constexpr std::size_t kMaxParkedFetches = 65536;
constexpr absl::Duration kDeathCheckInterval = absl::Milliseconds(50);
// Between two looks at the fabric: some tens of microseconds.
constexpr int kEvictionsPerTurn = 64;

std::uint64_t NewIncarnation() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

/// Equal chunks of at most kMaxChunkBytes that leave next to nothing of a segment unused.
std::uint64_t ChunkBytes(std::uint64_t segment_bytes) {
  const std::uint64_t chunks = (segment_bytes + kMaxChunkBytes - 1) / kMaxChunkBytes;
  return segment_bytes / chunks / kSlabAlignment * kSlabAlignment;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Create(std::unique_ptr<transport::Fabric> fabric,
                                                       const ServerOptions& options,
                                                       MetricRegistry& metrics) {
  const std::uint64_t segment_bytes = std::min(options.segment_bytes, options.arena_bytes);
  const std::uint64_t chunk_bytes = segment_bytes == 0 ? 0 : ChunkBytes(segment_bytes);
  if (chunk_bytes == 0) {
    return absl::InvalidArgumentError(absl::StrCat("an arena of ", options.arena_bytes,
                                                   " bytes holds no page: give it at least 1 MiB"));
  }
  if (options.arena_bytes > kMaxArenaBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("an arena of ", FormatByteSize(options.arena_bytes), " is more than the ",
                     FormatByteSize(kMaxArenaBytes), " one service manages: run several"));
  }
  std::vector<std::unique_ptr<transport::Segment>> segments;
  std::vector<std::uint64_t> sizes;
  for (std::uint64_t left = options.arena_bytes; left > 0; left -= sizes.back()) {
    sizes.push_back(std::min(left, segment_bytes));
    PB_ASSIGN_OR_RETURN(auto segment, fabric->Allocate(sizes.back()));
    segments.push_back(std::move(segment));
  }
  auto server = std::unique_ptr<Server>(new Server(
      std::move(fabric), options, Arena(sizes, chunk_bytes), std::move(segments), metrics));
  server->RegisterAll();
  PB_ASSIGN_OR_RETURN(server->address_, server->fabric_->Listen(options.listen));
  return server;
}

Server::Server(std::unique_ptr<transport::Fabric> fabric, const ServerOptions& options, Arena arena,
               std::vector<std::unique_ptr<transport::Segment>> segments, MetricRegistry& metrics)
    : options_(options),
      fabric_(std::move(fabric)),
      segments_(std::move(segments)),
      incarnation_(NewIncarnation()),
      max_page_bytes_(arena.chunk_bytes()),
      inventory_(std::move(arena), options.eviction, options.watermarks, clock_),
      metrics_(metrics) {
  metrics_.Update(Counts());
}

Server::~Server() {
  // The fabric closes its peers after the members below it are gone.
  fabric_->OnClosed([](PeerId, absl::Status) {});
}

template <typename Message>
void Server::Register(absl::Status (Server::*handler)(Session&, const Envelope<Message>&)) {
  const auto receive = [this, handler](PeerId peer, absl::Span<const std::byte> payload) {
    const auto session = sessions_.find(peer);
    if (session == sessions_.end()) return;  // closed; this was still under way
    const absl::Time start = SteadyNow();
    const absl::StatusOr<Envelope<Message>> envelope = DecodeMessage<Message>(payload);
    absl::Status status = envelope.status();
    if (status.ok() && Message::kType != MessageType::kHello && !session->second.greeted) {
      status = absl::FailedPreconditionError("the first message must be Hello");
    }
    if (status.ok()) status = (this->*handler)(session->second, *envelope);
    if (!status.ok()) Refuse(peer, status);
    metrics_.ObserveRequest(Message::kType, SteadyNow() - start);
  };
  fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType), receive);
}

void Server::RegisterAll() {
  fabric_->OnAccepted([this](PeerId peer) { sessions_[peer].peer = peer; });
  fabric_->OnClosed([this](PeerId peer, absl::Status reason) { OnClosed(peer, reason); });
  Register(&Server::OnHello);
  Register(&Server::OnLease);
  Register(&Server::OnPublish);
  Register(&Server::OnReturnSlabs);
  Register(&Server::OnFetch);
  Register(&Server::OnUnpin);
  Register(&Server::OnDrop);
  Register(&Server::OnDropSequence);
  Register(&Server::OnStats);
  Register(&Server::OnGoodbye);
}

void Server::Refuse(PeerId peer, const absl::Status& why) {
  ++counts_.refused_connections_total;
  LogWarning("closing the connection of ",
             sessions_[peer].name.empty() ? "an unnamed client" : sessions_[peer].name, ": ",
             std::string(why.message()));
  SendMessage(*fabric_, peer, 0,
              Error{static_cast<std::uint8_t>(why.code()), std::string(why.message())});
  fabric_->Close(peer);
}

absl::Status Server::OnHello(Session& session, const Envelope<Hello>& envelope) {
  const Hello& hello = envelope.message;
  if (session.greeted) return absl::FailedPreconditionError("Hello came twice");
  PB_ASSIGN_OR_RETURN(const Agreement agreed, Agree(hello));
  session.features = agreed.features;
  session.client = ClientId(next_client_++);
  session.group = GroupId(hello.group);
  session.process = hello.process;
  session.name = absl::StrCat(hello.name, " (process ", hello.process.pid, ")");
  session.greeted = true;
  inventory_.AddClient(session.client, session.group);
  ++counts_.connections_total;
  LogInfo(session.name, " connected");
  Welcome welcome;
  welcome.version = agreed.version;
  welcome.features = agreed.features;
  welcome.incarnation = incarnation_;
  welcome.client = session.client.value();
  welcome.host = CurrentProcess().host;
  welcome.page_alignment = kSlabAlignment;
  welcome.max_page_bytes = max_page_bytes_;
  SendMessage(*fabric_, session.peer, envelope.request, welcome);
  FaultPoint(fault::kWelcomed);
  Segments announced;
  for (std::uint32_t i = 0; i < segments_.size(); ++i) {
    const absl::Span<const std::byte> key = segments_[i]->remote_key();
    announced.segments.push_back(
        {i, segments_[i]->memory().size(), std::vector<std::byte>(key.begin(), key.end())});
  }
  SendMessage(*fabric_, session.peer, 0, announced);
  FaultPoint(fault::kAnnounced);
  return absl::OkStatus();
}

absl::Status Server::OnLease(Session& session, const Envelope<LeaseRequest>& envelope) {
  const auto granted =
      envelope.message.count > kMaxListElements
          ? absl::InvalidArgumentError(
                absl::StrCat("a lease of more than ", kMaxListElements, " slabs"))
          : inventory_.Lease(session.client, envelope.message.count, envelope.message.bytes);
  LeaseReply reply;
  reply.code = static_cast<std::uint8_t>(granted.status().code());
  reply.text = std::string(granted.status().message());
  if (granted.ok()) {
    FaultPoint(fault::kLeaseGranted);
    for (const GrantedSlab& slab : *granted) {
      reply.slabs.push_back({slab.slab.value(), slab.place.segment, slab.place.offset});
    }
  } else {
    ++counts_.refused_leases_total;
  }
  SendMessage(*fabric_, session.peer, envelope.request, reply);
  return absl::OkStatus();
}

absl::Status Server::OnPublish(Session& session, const Envelope<Publish>& envelope) {
  std::vector<ParkedFetch> waiting;
  for (const PublishedPage& page : envelope.message.pages) {
    PB_RETURN_IF_ERROR(inventory_.Publish(session.client, SlabId(page.slab), page.header));
    FaultPoint(fault::kPagePublished);
    for (ParkedFetch& fetch : parked_.Take(session.group, page.header.key)) {
      waiting.push_back(std::move(fetch));
    }
  }
  Unpark(waiting, SteadyNow());
  return absl::OkStatus();
}

absl::Status Server::OnReturnSlabs(Session& session, const Envelope<ReturnSlabs>& envelope) {
  for (const std::uint64_t slab : envelope.message.slabs) {
    PB_RETURN_IF_ERROR(inventory_.Return(session.client, SlabId(slab)));
  }
  return absl::OkStatus();
}

FetchedPage Server::Describe(const Inventory::PinResult& pinned, std::uint32_t index) {
  FetchedPage fetched{.index = index, .miss = pinned.miss};
  if (pinned.miss == MissCause::kNone) {
    FaultPoint(fault::kFetchPinned);
    fetched.location = {pinned.slab.slab.value(), pinned.slab.place.segment,
                        pinned.slab.place.offset};
    fetched.header = *pinned.header;
  }
  return fetched;
}

void Server::CountFetched(const FetchedPage& page) {
  if (page.miss == MissCause::kNone) {
    ++counts_.pages_fetched_total;
    counts_.bytes_fetched_total += page.header.bytes;
  } else {
    ++counts_.misses_total[static_cast<int>(page.miss)];
  }
}

absl::Status Server::OnFetch(Session& session, const Envelope<Fetch>& envelope) {
  const absl::Time expires = SteadyNow() + options_.publish_grace;
  const std::vector<PageRef>& asked = envelope.message.pages;
  std::vector<FetchedPage> pages;
  pages.reserve(asked.size());
  inventory_.Pin(session.client, asked, [&](std::size_t i, const Inventory::PinResult& pinned) {
    const auto index = static_cast<std::uint32_t>(i);
    if (pinned.miss == MissCause::kUnknown && parked_.size() < kMaxParkedFetches) {
      parked_.Add(session.group, {session.peer, envelope.request, index, asked[i], expires});
      return;
    }
    CountFetched(pages.emplace_back(Describe(pinned, index)));
  });
  Reply(session, envelope.request, std::move(pages));
  return absl::OkStatus();
}

void Server::Reply(const Session& session, std::uint64_t request, std::vector<FetchedPage> pages) {
  FetchMisses misses;
  if ((session.features & kFeatureShortMisses) != 0) {
    std::erase_if(pages, [&misses](const FetchedPage& page) {
      if (page.miss != MissCause::kNone) misses.pages.push_back({page.index, page.miss});
      return page.miss != MissCause::kNone;
    });
  }
  if (!misses.pages.empty()) SendMessage(*fabric_, session.peer, request, misses);
  if (!pages.empty()) SendMessage(*fabric_, session.peer, request, FetchReply{std::move(pages)});
}

void Server::Unpark(const std::vector<ParkedFetch>& fetches, absl::Time now) {
  std::map<std::pair<PeerId, std::uint64_t>, std::vector<FetchedPage>> replies;
  for (const ParkedFetch& fetch : fetches) {
    const auto session = sessions_.find(fetch.peer);
    if (session == sessions_.end() || !session->second.greeted) continue;
    const FetchedPage fetched =
        Describe(inventory_.Pin(session->second.client, fetch.page), fetch.index);
    if (fetched.miss == MissCause::kUnknown && now < fetch.expires) {
      parked_.Add(session->second.group, fetch);  // an older generation came
      continue;
    }
    CountFetched(fetched);
    replies[{fetch.peer, fetch.request}].push_back(fetched);
  }
  for (auto& [to, pages] : replies) Reply(sessions_.at(to.first), to.second, std::move(pages));
}

absl::Status Server::OnUnpin(Session& session, const Envelope<Unpin>& envelope) {
  const std::vector<std::uint64_t>& slabs = envelope.message.slabs;
  return inventory_.Unpin(session.client, std::vector<SlabId>(slabs.begin(), slabs.end()));
}

absl::Status Server::OnDrop(Session& session, const Envelope<Drop>& envelope) {
  for (const PageRef& page : envelope.message.pages) inventory_.Drop(session.client, page);
  return absl::OkStatus();
}

absl::Status Server::OnDropSequence(Session& session, const Envelope<DropSequence>& envelope) {
  inventory_.DropSequence(session.client, envelope.message.sequence);
  return absl::OkStatus();
}

absl::Status Server::OnStats(Session& session, const Envelope<StatsRequest>& envelope) {
  SendMessage(*fabric_, session.peer, envelope.request, StatsReply{DescribeCounts(Counts())});
  return absl::OkStatus();
}

absl::Status Server::OnGoodbye(Session& session, const Envelope<Goodbye>& envelope) {
  const ClientId leaving(envelope.message.client);
  const auto by_same_process = [&](const auto& holder) {
    return holder.group == session.group && holder.process == session.process;
  };
  for (auto& [peer, candidate] : sessions_) {
    if (!candidate.greeted || candidate.client != leaving) continue;
    if (!by_same_process(candidate)) return absl::InvalidArgumentError("Goodbye of another client");
    FaultPoint(fault::kGoodbye);
    candidate.greeted = false;
    parked_.RemovePeer(peer);
    inventory_.RemoveClient(leaving);
    LogInfo(candidate.name, " left");
    return absl::OkStatus();
  }
  const auto lost = std::find_if(lost_.begin(), lost_.end(), [&](const LostClient& candidate) {
    return candidate.client == leaving && by_same_process(candidate);
  });
  if (lost == lost_.end())
    return absl::OkStatus();  // its process was out of sight: removed already
  lost_.erase(lost);
  inventory_.RemoveClient(leaving);
  return absl::OkStatus();
}

void Server::OnClosed(PeerId peer, const absl::Status& reason) {
  const auto found = sessions_.find(peer);
  if (found == sessions_.end()) return;
  const Session session = std::move(found->second);
  sessions_.erase(found);
  parked_.RemovePeer(peer);
  if (!session.greeted) return;
  LogInfo("lost ", session.name, ": ", std::string(reason.message()));
  inventory_.Quarantine(session.client);
  lost_.push_back({session.client, session.group, session.process});
  next_death_check_ = absl::InfinitePast();
}

void Server::RemoveDeadClients(absl::Time now) {
  if (now < next_death_check_) return;
  next_death_check_ = now + kDeathCheckInterval;
  const auto dead = std::partition(lost_.begin(), lost_.end(), [](const LostClient& client) {
    return IsRunningHere(client.process);
  });
  for (auto client = dead; client != lost_.end(); ++client) {
    inventory_.RemoveClient(client->client);
  }
  lost_.erase(dead, lost_.end());
}

ServiceCounts Server::Counts() const {
  ServiceCounts counts = counts_;
  counts.inventory = inventory_.counts();
  counts.clients = sessions_.size();
  counts.parked_fetches = parked_.size();
  return counts;
}

absl::Time Server::NextTick() const {
  return std::min({parked_.next_expiry(), next_eviction_,
                   lost_.empty() ? absl::InfiniteFuture() : next_death_check_});
}

void Server::Tick() {
  FaultPoint(fault::kTick);
  const absl::Time now = SteadyNow();
  Unpark(parked_.TakeExpired(now), now);
  RemoveDeadClients(now);
  next_eviction_ = inventory_.EvictInBackground(kEvictionsPerTurn);
  metrics_.Update(Counts());
}

void Server::Run() {
  while (!stop_.load()) {
    fabric_->WaitUntil(NextTick());
    Tick();
  }
}

void Server::Stop() {
  stop_.store(true);
  fabric_->Wake();
}

}  // namespace pinboard::cache_service
