// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/server.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/access/refusal.h"
#include "cache_service/fault_points.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/send_message.h"

namespace pinboard::cache_service {
namespace {

using transport::PeerId;

constexpr std::uint64_t kMaxChunkBytes = std::uint64_t{2} << 20;
constexpr absl::Duration kLongestSleep = absl::Seconds(1);  // as Readiness::Turned wants it
// Where tenants share an arena, one that needs little should not hold much.
constexpr std::uint64_t kTenantSegments = 64;
constexpr std::uint64_t kLeastTenantSegmentBytes = std::uint64_t{2} << 20;

/// Equal chunks of at most kMaxChunkBytes that leave next to nothing of a segment unused.
std::uint64_t ChunkBytes(std::uint64_t segment_bytes) {
  const std::uint64_t chunks = (segment_bytes + kMaxChunkBytes - 1) / kMaxChunkBytes;
  return segment_bytes / chunks / kSlabAlignment * kSlabAlignment;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Create(std::unique_ptr<transport::Fabric> fabric,
                                                       const ServerOptions& options,
                                                       MetricRegistry& metrics) {
  PB_ASSIGN_OR_RETURN(AccessControl access,
                      AccessControl::Load(options.key_file, options.tenant_file));
  TenantMemory memory{.arena_bytes = options.arena_bytes,
                      .segment_bytes = std::min(options.segment_bytes, options.arena_bytes),
                      .eviction = options.eviction,
                      .watermarks = options.watermarks};
  if (access.keys() != nullptr) {
    memory.segment_bytes =
        std::min(memory.segment_bytes,
                 std::max(memory.arena_bytes / kTenantSegments, kLeastTenantSegmentBytes));
  }
  memory.chunk_bytes = memory.segment_bytes == 0 ? 0 : ChunkBytes(memory.segment_bytes);
  if (memory.chunk_bytes == 0) {
    return absl::InvalidArgumentError(absl::StrCat("an arena of ", options.arena_bytes,
                                                   " bytes holds no page: give it at least 1 MiB"));
  }
  if (options.arena_bytes > kMaxArenaBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("an arena of ", FormatByteSize(options.arena_bytes), " is more than the ",
                     FormatByteSize(kMaxArenaBytes), " one service manages: run several"));
  }
  const bool has_keys = access.keys() != nullptr;
  auto server = std::unique_ptr<Server>(
      new Server(std::move(fabric), options, memory, std::move(access), metrics));
  server->tenants_.Apply(server->access_);
  if (!has_keys) {
    PB_RETURN_IF_ERROR(server->tenants_.GiveAll(server->tenants_.Find(kDefaultTenant)));
  }
  server->metrics_.Update(server->Counts());
  server->RegisterAll();
  PB_ASSIGN_OR_RETURN(server->address_, server->fabric_->Listen(options.listen));
  return server;
}

Server::Server(std::unique_ptr<transport::Fabric> fabric, const ServerOptions& options,
               const TenantMemory& memory, AccessControl access, MetricRegistry& metrics)
    : options_(options),
      fabric_(std::move(fabric)),
      incarnation_(RandomNumber()),
      max_page_bytes_(memory.chunk_bytes),
      access_(std::move(access)),
      router_(*fabric_),
      tenants_(*fabric_, memory, clock_,
               {[this](const Tenant& tenant, std::uint32_t segment) {
                  for (const auto& [peer, session] : sessions_) {
                    if (session.tenant != &tenant) continue;
                    fabric_->Lend(peer, *tenant.segments.at(segment));
                  }
                  SendToClientsOf(tenant, Segments{{DescribeSegment(tenant, segment)}}, 0);
                },
                [this](const Tenant& tenant, std::uint32_t segment) {
                  SendToClientsOf(tenant, Withdrawn{{segment}}, kFeatureWithdrawal);
                }}),
      metrics_(metrics),
      tenant_metrics_(metrics) {}

std::uint64_t Server::RandomNumber() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

Server::~Server() {
  // The fabric closes its peers after the members below it are gone.
  fabric_->OnClosed([](PeerId, const absl::Status&) {});
  if (membership_ != nullptr) membership_->OnChange(nullptr);
}

template <typename Message, typename Handler>
void Server::Register(Handler handler) {
  const auto receive = [this, handler](PeerId peer, absl::Span<const std::byte> payload) {
    const auto session = sessions_.find(peer);
    if (session == sessions_.end()) return;  // closed; this was still under way
    const absl::Time start = SteadyNow();
    absl::StatusOr<Incoming<Message>> message = ReadIncoming<Message>(payload);
    absl::Status status = message.status();
    constexpr bool greets =
        Message::kType == MessageType::kHello || Message::kType == MessageType::kProof;
    if (status.ok() && !greets) status = session->second.greeting.CheckAdmitted();
    if (status.ok()) status = (this->*handler)(session->second, *message);
    const std::uint64_t request = message.ok() ? message->request : 0;
    if (!status.ok()) Refuse(peer, request, status);
    constexpr bool is_question =
        Message::kType == MessageType::kStats || Message::kType == MessageType::kInspect;
    if (is_question && status.ok()) return;  // to be answered
    FinishRequest(peer, Message::kType, request, SteadyNow() - start);
  };
  fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType), receive);
}

void Server::RegisterAll() {
  fabric_->OnAccepted([this](PeerId peer) {
    Session& session = sessions_[peer];
    session.peer = peer;
    session.name = absl::StrCat("a client at ", fabric_->AddressOf(peer));
    session.greeting.Begin(clock_.Now());
  });
  fabric_->OnClosed([this](PeerId peer, const absl::Status& reason) { OnClosed(peer, reason); });
  Register<Hello>(&Server::OnHello);
  Register<Proof>(&Server::OnProof);
  Register<LeaseRequest>(&Server::OnLease);
  Register<LeaseAhead>(&Server::OnLeaseAhead);
  Register<Publish>(&Server::OnPublish);
  Register<ReturnSlabs>(&Server::OnReturnSlabs);
  Register<Fetch>(&Server::OnFetch);
  Register<Unpin>(&Server::OnUnpin);
  Register<Drop>(&Server::OnDrop);
  Register<DropSequence>(&Server::OnDropSequence);
  Register<StatsRequest>(&Server::OnStats);
  Register<Inspect>(&Server::OnInspect);
  Register<Goodbye>(&Server::OnGoodbye);
  Register<Introduce>(&Server::OnIntroduce);
  Register<OfferTaken>(&Server::OnOfferTaken);
  Register<PeerFetch>(&Server::OnPeerFetch);
}

void Server::FinishRequest(PeerId peer, MessageType type, std::uint64_t request,
                           absl::Duration time) {
  metrics_.ObserveRequest(type, time);
  if (!LogEnabled(LogLevel::kDebug)) return;
  const auto session = sessions_.find(peer);
  LogLine(LogLevel::kDebug, "worked on a message",
          {{"operation", metrics_.OperationOf(type)},
           {"client", session == sessions_.end() ? "" : ClientText(session->second)},
           {"request", absl::StrCat(request)},
           {"us", absl::StrCat(absl::ToInt64Microseconds(time))}});
}

void Server::LogOfClient(const Session& session, const std::string& message) {
  const auto unlogged = client_log_.Take(SteadyNow());
  if (!unlogged.has_value()) return;
  LogLine(LogLevel::kInfo, message + NotLogged(*unlogged), {{"client", ClientText(session)}});
}

void Server::Refuse(PeerId peer, std::uint64_t request, const absl::Status& why) {
  ++counts_.refused_connections_total;
  const std::optional<RefusalReason> reason = ReasonOf(why);
  if (reason.has_value()) ++counts_.refused_total[static_cast<int>(*reason)];
  TurnAway(peer, request, why);
}

void Server::TurnAway(PeerId peer, std::uint64_t request, const absl::Status& why) {
  const std::optional<RefusalReason> reason = ReasonOf(why);
  Session& session = sessions_[peer];
  session.greeting.Refuse();
  RateLimit& log = refusal_logs_[reason.has_value() ? static_cast<int>(*reason) : kRefusalReasons];
  if (const auto unlogged = log.Take(SteadyNow()); unlogged.has_value()) {
    LogLine(
        LogLevel::kWarning,
        absl::StrCat("closing the connection of ", session.name, ": ", std::string(why.message()),
                     reason.has_value() ? absl::StrCat(" [", RefusalReasonName(*reason), "]") : "",
                     NotLogged(*unlogged)),
        {{"client", ClientText(session)}, {"request", absl::StrCat(request)}});
  }
  SendMessage(*fabric_, peer, 0,
              Error{static_cast<std::uint8_t>(why.code()), std::string(why.message())});
  fabric_->Close(peer);
}

absl::Status Server::OnStats(Session& session, const Envelope<StatsRequest>& envelope) {
  Ask({session.peer, envelope.request, std::nullopt});
  return absl::OkStatus();
}

absl::Status Server::OnInspect(Session& session, const Envelope<Inspect>& envelope) {
  if ((session.greeting.agreed().features & kFeatureInspection) == 0) {
    return absl::FailedPreconditionError("Inspect was not agreed on");
  }
  Ask({session.peer, envelope.request, envelope.message.cursor});
  return absl::OkStatus();
}

void Server::Ask(const Question& question) {
  for (Question& earlier : questions_) {
    if (earlier.peer != question.peer) continue;
    if (earlier.cursor.has_value() != question.cursor.has_value()) continue;
    earlier = question;
    return;
  }
  questions_.push_back(question);
}

void Server::AnswerQuestion() {
  while (!questions_.empty()) {
    const Question question = questions_.front();
    questions_.pop_front();
    const auto session = sessions_.find(question.peer);
    if (session == sessions_.end() || !session->second.greeting.admitted()) continue;
    const Tenant& tenant = *session->second.tenant;
    const absl::Time start = SteadyNow();
    if (question.cursor.has_value()) {
      SendMessage(*fabric_, question.peer, question.request,
                  tenant.inventory.Inspect(*question.cursor));
    } else {
      SendMessage(*fabric_, question.peer, question.request, StatsFor(tenant));
    }
    return FinishRequest(question.peer,
                         question.cursor.has_value() ? MessageType::kInspect : MessageType::kStats,
                         question.request, SteadyNow() - start);
  }
}

StatsReply Server::StatsFor(const Tenant& tenant) const {
  // A tenant is told of itself.
  if (access_.keys() != nullptr) return {DescribeCounts(CountsOf(tenant), CountScope::kTenant)};
  StatsReply reply{DescribeCounts(Counts(), CountScope::kService)};
  for (StatsEntry& entry : metrics_.DescribeRequests()) reply.entries.push_back(std::move(entry));
  return reply;
}

absl::Status Server::OnGoodbye(Session& session, const Envelope<Goodbye>& envelope) {
  const ClientId leaving(envelope.message.client);
  for (auto& [peer, candidate] : sessions_) {
    if (candidate.client != leaving || candidate.tenant != session.tenant) continue;
    if (!AreOfOneProcess(candidate, session)) {
      return absl::InvalidArgumentError("Goodbye of another client");
    }
    FaultPoint(fault::kGoodbye);
    candidate.leaving = std::exchange(candidate.tenant, nullptr);
    candidate.leaving->parked.RemovePeer(peer);
    candidate.greeting.Leave();
    LogOfClient(candidate, absl::StrCat(candidate.name, " left"));
    if (peer != session.peer) fabric_->Close(peer);
    return absl::OkStatus();
  }
  LostClient lost = AsLost(session);
  lost.client = leaving;
  // Where there is none, its process was out of sight: removed already.
  client_groups_changed_ |= lost_.Remove(lost);
  return absl::OkStatus();
}

void Server::OnClosed(PeerId peer, const absl::Status& reason) {
  if (router_.Closed(peer, reason)) return;
  const auto found = sessions_.find(peer);
  if (found == sessions_.end()) return;
  const Session session = std::move(found->second);
  sessions_.erase(found);
  Tenant* const tenant = session.leaving != nullptr ? session.leaving : session.tenant;
  if (tenant == nullptr) return;
  if (tenant->replicator != nullptr) {
    tenant->replicator->OnSessionLost(peer, session.leaving != nullptr, SteadyNow());
  }
  client_groups_changed_ = true;
  if (session.leaving != nullptr) return tenant->inventory.RemoveClient(session.client);
  tenant->parked.RemovePeer(peer);
  LogOfClient(session, absl::StrCat("lost ", session.name, ": ", std::string(reason.message())));
  const bool is_group_kept =
      std::any_of(sessions_.begin(), sessions_.end(),
                  [&](const auto& entry) { return AreOfOneProcess(entry.second, session); });
  lost_.Add(AsLost(session), is_group_kept);
}

ServiceCounts Server::Counts() const {
  ServiceCounts counts = counts_;
  for (const auto& [name, tenant] : tenants_.all()) tenant->AddTo(counts);
  counts.arena_bytes = counts.inventory.capacity_bytes + tenants_.free_bytes();
  counts.clients = sessions_.size();
  counts.lost_clients = lost_.all().size();
  return counts;
}

ServiceCounts Server::CountsOf(const Tenant& tenant) const {
  ServiceCounts counts;
  tenant.AddTo(counts);
  counts.arena_bytes = tenants_.QuotaOf(tenant);
  for (const auto& [peer, session] : sessions_) counts.clients += session.tenant == &tenant;
  counts.lost_clients = lost_.CountOf(tenant);
  return counts;
}

absl::Time Server::NextTick() const {
  if (!questions_.empty()) return absl::InfinitePast();
  absl::Time next = std::min({next_eviction_, next_access_check_, lost_.next_look(),
                              drain_ends_.value_or(absl::InfiniteFuture())});
  for (const auto& [name, tenant] : tenants_.all()) {
    next = std::min(next, tenant->parked.next_expiry());
    if (tenant->replicator != nullptr) next = std::min(next, tenant->replicator->next_tick());
  }
  return next;
}

void Server::Tick() {
  FaultPoint(fault::kTick);
  const absl::Time now = SteadyNow();
  for (const auto& [name, tenant] : tenants_.all()) {
    Unpark(*tenant, tenant->parked.TakeExpired(now), now);
  }
  client_groups_changed_ |= lost_.RemoveDead(now);
  LookAfterAccess(now);
  LookAfterMembers(now);
  AnswerQuestion();
  LookAfterDrain(now);
  next_eviction_ = tenants_.Tick(now);
  metrics_.Update(Counts());
}

void Server::Run(Readiness* readiness) {
  while (!stop_.load()) {
    fabric_->WaitUntil(std::min(NextTick(), SteadyNow() + kLongestSleep));
    Tick();
    if (readiness != nullptr) readiness->Turned(SteadyNow());
  }
}

void Server::Drain() {
  if (drain_asked_.exchange(true)) stop_.store(true);
  fabric_->Wake();
}

void Server::Stop() {
  stop_.store(true);
  fabric_->Wake();
}

}  // namespace pinboard::cache_service
