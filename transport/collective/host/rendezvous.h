// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the ranks of a group find each other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "transport/collective/host/group_members.h"
#include "transport/fabric/fabric.h"

namespace pinboard::transport {

/// Types of the messages of a group's fabric.
enum GroupMessage : std::uint8_t {
  kJoinMessage = 0,      // to rank 0: who I am and where I listen
  kRosterMessage = 1,    // from rank 0: where everyone listens
  kRefusalMessage = 2,   // from rank 0: why there will be no group
  kIdentifyMessage = 3,  // to a lower rank: who I am
  kContributionMessage = 4,
  kFarewellMessage = 5,  // I leave: that rank (32 bits) is dead
};

/// Runs once, on the fabric's thread; sets the fabric's handlers of types 0 to 3 and leaves them
/// refusing. OnClosed belongs to the caller, who marks members dead. Errors as
/// MakeHostCommunicator documents them.
class Rendezvous {
 public:
  Rendezvous(Fabric* fabric, GroupMembers* members, std::string address, absl::Time deadline);
  ~Rendezvous();
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;

  absl::Status Meet();

 private:
  absl::Status GatherAll();
  absl::Status JoinRankZero();
  absl::StatusOr<PeerId> ConnectPatiently(const std::string& address, int rank);
  absl::Status WaitFor(const std::function<bool()>& condition);
  absl::Status MissingAtDeadline() const;
  void HandleJoin(PeerId from, absl::Span<const std::byte> payload);
  void HandleRoster(PeerId from, absl::Span<const std::byte> payload);
  void HandleRefusal(absl::Span<const std::byte> payload);
  void HandleIdentify(PeerId from, absl::Span<const std::byte> payload);
  void SendRoster();
  void Refuse(const std::vector<PeerId>& peers);

  Fabric* fabric_;
  GroupMembers* members_;
  std::string address_;
  absl::Time deadline_;
  std::vector<std::string> addresses_;  // [rank], where it listens
  bool have_roster_ = false;
  std::vector<PeerId> misfits_;  // refused joiners
  absl::Status failure_;
};

}  // namespace pinboard::transport
