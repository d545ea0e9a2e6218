// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Asks a service what it counts and what it has, and nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cache_service/access/client_greeting.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/protocol/messages.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// A client in a group of its own that maps no memory and leases, fetches and publishes nothing;
/// the service counts it among its clients. Thread-compatible; calls block until their deadline.
class StatsClient {
 public:
  /// `name` is for the service's log; with credentials, it tells of their tenant. Unavailable:
  /// nobody listens at `address`; DeadlineExceeded: who listens does not answer; and what
  /// ConnectPageStore says of versions and keys.
  static absl::StatusOr<std::unique_ptr<StatsClient>> Connect(
      std::unique_ptr<transport::Fabric> fabric, const std::string& address,
      const std::string& name, std::optional<Credentials> credentials, absl::Time deadline);
  StatsClient(const StatsClient&) = delete;
  StatsClient& operator=(const StatsClient&) = delete;

  /// The counts, as docs/metrics.md names them. Unavailable: the service is gone; DeadlineExceeded:
  /// it does not answer (a later call may).
  absl::StatusOr<std::vector<StatsEntry>> Ask(absl::Time deadline);

  /// What the service has of the tenant, from `cursor` on (protocol/messages.h). The same errors,
  /// and FailedPrecondition: the service is older than this question.
  absl::StatusOr<InspectReply> Inspect(std::uint64_t cursor, absl::Time deadline);

  /// Says goodbye and closes; returns by the deadline. No call may follow.
  void Close(absl::Time deadline);

 private:
  StatsClient(std::unique_ptr<transport::Fabric> fabric, std::string address,
              const std::string& name, std::optional<Credentials> credentials);

  template <typename Message>
  void Register(absl::Status (StatsClient::*handler)(const Envelope<Message>&));
  absl::Status BrokeTheProtocol(const std::string& how) const;
  absl::Status Greet(absl::Time deadline);
  template <typename Question, typename Reply>
  absl::StatusOr<Reply> Ask(const Question& question, std::optional<Reply>& reply,
                            absl::Time deadline);
  absl::Status OnChallenge(const Envelope<Challenge>& envelope);
  absl::Status OnWelcome(const Envelope<Welcome>& envelope);
  template <typename Reply, std::optional<Reply> StatsClient::*reply>
  absl::Status OnReply(const Envelope<Reply>& envelope);
  absl::Status OnError(const Envelope<Error>& envelope);
  void EndWith(const absl::Status& status);

  const std::string address_;
  ClientGreeting greeting_;
  transport::PeerId peer_;
  std::optional<absl::Status> ended_;  // why the connection is of no use any more
  std::uint64_t last_request_ = 0;
  std::optional<StatsReply> counts_;  // the answer to it
  std::optional<InspectReply> extents_;
  // Last, so that it ends first: its handlers look at the others.
  const std::unique_ptr<transport::Fabric> fabric_;
};

}  // namespace pinboard::cache_service
