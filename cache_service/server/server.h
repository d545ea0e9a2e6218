// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The cache service behind one Fabric: a single-threaded reactor.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/rate_limit.h"
#include "base/readiness.h"
#include "cache_service/access/access_control.h"
#include "cache_service/access/greeting.h"
#include "cache_service/client/reply_router.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/membership/membership.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/page_lists.h"
#include "cache_service/replication/replication_options.h"
#include "cache_service/server/fetch_answer.h"
#include "cache_service/server/lost_clients.h"
#include "cache_service/server/service_metrics.h"
#include "cache_service/server/tenant_metrics.h"
#include "cache_service/server/tenants.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

struct ServerOptions {
  std::string listen = "127.0.0.1:7700";  // port 0: the system chooses
  std::uint64_t arena_bytes = std::uint64_t{1} << 30;
  std::uint64_t segment_bytes = std::uint64_t{1} << 30;  // the largest piece of the arena
  /// The keys of tenants (access/key_ring.h). Empty: everybody is let in, as the default tenant,
  /// which has the whole arena from the start.
  std::string key_file;
  std::string tenant_file;  // their limits (access/tenant_file.h); empty: equal shares
  EvictionPolicyPtr eviction = AgedInformation(absl::Minutes(10));
  Watermarks watermarks;
  /// Between the members that JoinMembers names.
  ReplicationOptions replication;
  /// How long Drain hands pages over. 0: it leaves at once.
  absl::Duration drain_deadline = absl::Seconds(10);
};

/// Keeps pages for clients (docs/wire_protocol.md). Everything happens on the thread that calls
/// Run; a client that breaks the protocol is told why and closed, and harms nobody else.
class Server {
 public:
  /// Listens, and allocates the arena where there are no keys. `metrics` must outlive the server.
  /// InvalidArgument: arena too small, or a file that cannot be used; ResourceExhausted: not enough
  /// memory; AlreadyExists: the port is in use.
  static absl::StatusOr<std::unique_ptr<Server>> Create(std::unique_ptr<transport::Fabric> fabric,
                                                        const ServerOptions& options,
                                                        MetricRegistry& metrics);
  ~Server();

  /// Where clients connect.
  const std::string& address() const { return address_; }
  /// Another one after each start.
  std::uint64_t incarnation() const { return incarnation_; }

  /// Copies to, and pulls from, the other members from now on; `self` is this one. `membership`
  /// must outlive the server. Before Run.
  void JoinMembers(Membership& membership, const Member& self);

  /// Serves until Stop; `readiness` is told of each turn.
  void Run(Readiness* readiness = nullptr);
  /// Thread-safe, as the next. Ends too, but grants no lease from now on, says that it is draining,
  /// and hands its pages over to other members first; at once where there are none, and when it is
  /// called again.
  void Drain();
  /// Also before Run.
  void Stop();

 private:
  struct Session {
    transport::PeerId peer;
    Greeting greeting;
    Tenant* tenant = nullptr;   // from admission to Goodbye
    Tenant* leaving = nullptr;  // from Goodbye on: what it holds is freed when it is closed
    ClientId client;            // from admission on; likewise the others
    GroupId group;
    ProcessIdentity process;
    std::string name;
  };
  /// What costs more to answer than to ask.
  struct Question {
    transport::PeerId peer;
    std::uint64_t request = 0;
    std::optional<std::uint64_t> cursor;  // Inspect; none: Stats
  };

  Server(std::unique_ptr<transport::Fabric> fabric, const ServerOptions& options,
         const TenantMemory& memory, AccessControl access, MetricRegistry& metrics);

  /// Tells nothing of others that were drawn.
  static std::uint64_t RandomNumber();

  template <typename Message, typename Handler>
  void Register(Handler handler);
  void RegisterAll();

  // server_greeting.cc
  absl::Status OnHello(Session& session, const Envelope<Hello>& envelope);
  absl::Status OnProof(Session& session, const Envelope<Proof>& envelope);
  absl::Status Admit(Session& session, std::uint64_t request);
  template <typename Message>
  void SendToClientsOf(const Tenant& tenant, const Message& message, std::uint64_t feature);
  void RefreshAccess();
  void LookAfterAccess(absl::Time now);

  // server_members.cc
  absl::Status OnIntroduce(Session& session, const Envelope<Introduce>& envelope);
  absl::Status OnOfferTaken(Session& session, const Envelope<OfferTaken>& envelope);
  absl::Status OnPeerFetch(Session& session, const Envelope<PeerFetch>& envelope);
  static bool IsMember(const Session& session) {
    return (session.greeting.agreed().features & kFeaturePeers) != 0;
  }
  std::unique_ptr<Replicator> MakeReplicator(Tenant& tenant);
  std::vector<GroupId> ClientGroups(const Tenant& tenant) const;
  /// To each tenant's replicator, which a new one gets; of a tenant without keys there are none.
  void ShowMembers(absl::Time now);
  void LookAfterMembers(absl::Time now);
  void BeginDrain(absl::Time now);
  void LookAfterDrain(absl::Time now);

  absl::Status OnLease(Session& session, const Envelope<LeaseRequest>& envelope);
  absl::Status OnLeaseAhead(Session& session, const Envelope<LeaseAhead>& envelope);
  void AnswerLease(const Session& session, std::uint64_t request,
                   const absl::StatusOr<std::vector<GrantedSlab>>& granted);
  absl::Status OnPublish(Session& session, PageListReader<Publish>& incoming);
  absl::Status OnReturnSlabs(Session& session, const Envelope<ReturnSlabs>& envelope);
  absl::Status OnFetch(Session& session, const Envelope<Fetch>& envelope);
  absl::Status OnUnpin(Session& session, const Envelope<Unpin>& envelope);
  absl::Status OnDrop(Session& session, const Envelope<Drop>& envelope);
  absl::Status OnDropSequence(Session& session, const Envelope<DropSequence>& envelope);
  absl::Status OnStats(Session& session, const Envelope<StatsRequest>& envelope);
  absl::Status OnInspect(Session& session, const Envelope<Inspect>& envelope);
  /// In place of an earlier one of this client that has not been answered: who asks again does not
  /// wait for that any more.
  void Ask(const Question& question);
  /// One a turn, so that they hold up nothing else.
  void AnswerQuestion();
  absl::Status OnGoodbye(Session& session, const Envelope<Goodbye>& envelope);
  void OnClosed(transport::PeerId peer, const absl::Status& reason);

  /// For a broken rule: counts that, and turns it away.
  void Refuse(transport::PeerId peer, std::uint64_t request, const absl::Status& why);
  void TurnAway(transport::PeerId peer, std::uint64_t request, const absl::Status& why);
  /// Counts and logs a message that was worked on.
  void FinishRequest(transport::PeerId peer, MessageType type, std::uint64_t request,
                     absl::Duration time);
  /// That it came or went, which it may do without limit.
  void LogOfClient(const Session& session, const std::string& message);
  /// How a client is called in the log.
  static std::string ClientText(const Session& session) {
    return absl::StrCat(session.client.value());
  }
  FetchAnswer AnswerTo(const Session& session, std::uint64_t request, std::size_t pages);
  /// How long a fetch that found this miss waits; InfinitePast: it is answered.
  static absl::Time WaitsUntil(const Tenant& tenant, GroupId group, const ParkedFetch& fetch,
                               MissCause miss);
  void Unpark(Tenant& tenant, const std::vector<ParkedFetch>& fetches, absl::Time now);
  /// As whom it is lost when its connection ends.
  static LostClient AsLost(const Session& session) {
    return {session.tenant, session.client, session.group, session.process, IsMember(session)};
  }
  void Tick();
  absl::Time NextTick() const;
  ServiceCounts Counts() const;
  ServiceCounts CountsOf(const Tenant& tenant) const;
  StatsReply StatsFor(const Tenant& tenant) const;

  const ServerOptions options_;
  const std::unique_ptr<transport::Fabric> fabric_;
  const std::uint64_t incarnation_;
  const std::uint64_t max_page_bytes_;
  std::string address_;
  const RealClock clock_;
  AccessControl access_;
  ReplyRouter router_;  // of what other members say to this one
  Membership* membership_ = nullptr;
  Introduce self_;
  MembershipViewPtr view_;  // that replicators know
  bool client_groups_changed_ = false;
  Tenants tenants_;
  absl::flat_hash_map<transport::PeerId, Session> sessions_;
  LostClients lost_;
  std::deque<Question> questions_;        // of a client one of each kind
  std::optional<absl::Time> drain_ends_;  // where it drains
  absl::Time next_eviction_ = absl::InfinitePast();
  absl::Time next_access_check_ = absl::InfinitePast();
  ServiceCounts counts_;  // but what tenants count, and clients
  /// By reason, the last for those without one: what strangers provoke hides nothing else.
  std::vector<RateLimit> refusal_logs_{kRefusalReasons + 1, RateLimit(32, absl::Seconds(1))};
  RateLimit client_log_{256, absl::Milliseconds(100)};
  ServiceMetrics metrics_;
  TenantMetrics tenant_metrics_;
  std::atomic<bool> drain_asked_ = false;
  std::atomic<bool> stop_ = false;
};

}  // namespace pinboard::cache_service
