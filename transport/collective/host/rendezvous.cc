// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/host/rendezvous.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "transport/collective/collective_kind.h"

namespace pinboard::transport {
namespace {

constexpr std::uint32_t kMagic = 0x314a4250;  // "PBJ1"
constexpr absl::Duration kRetryEvery = absl::Milliseconds(20);
constexpr absl::Duration kRefusalPatience = absl::Seconds(1);

// Leads a Join (its address follows) and is an Identify.
struct Introduction {
  std::uint32_t magic = kMagic;
  std::uint32_t size = 0;
  std::uint32_t rank = 0;
};

std::optional<Introduction> ReadIntroduction(absl::Span<const std::byte> payload) {
  Introduction introduction;
  if (payload.size() < sizeof(introduction)) return std::nullopt;
  std::memcpy(&introduction, payload.data(), sizeof(introduction));
  if (introduction.magic != kMagic) return std::nullopt;
  return introduction;
}

absl::Span<const std::byte> AsBytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string AsText(absl::Span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string Introduce(int rank, int size, const std::string& address) {
  const Introduction introduction{.size = static_cast<std::uint32_t>(size),
                                  .rank = static_cast<std::uint32_t>(rank)};
  return std::string(reinterpret_cast<const char*>(&introduction), sizeof(introduction)) + address;
}

std::string SameHostAnyPort(const std::string& address) {
  return absl::StrCat(address.substr(0, address.rfind(':')), ":0");
}

}  // namespace

Rendezvous::Rendezvous(Fabric* fabric, GroupMembers* members, std::string address,
                       absl::Time deadline)
    : fabric_(fabric),
      members_(members),
      address_(std::move(address)),
      deadline_(deadline),
      addresses_(members->size()) {
  using Payload = absl::Span<const std::byte>;
  fabric_->OnMessage(kJoinMessage, [this](PeerId from, Payload p) { HandleJoin(from, p); });
  fabric_->OnMessage(kRosterMessage, [this](PeerId from, Payload p) { HandleRoster(from, p); });
  fabric_->OnMessage(kRefusalMessage, [this](PeerId, Payload p) { HandleRefusal(p); });
  fabric_->OnMessage(kIdentifyMessage, [this](PeerId from, Payload p) { HandleIdentify(from, p); });
}

Rendezvous::~Rendezvous() {
  const auto refuse = [fabric = fabric_](PeerId from, absl::Span<const std::byte>) {
    fabric->Close(from);
  };
  for (const std::uint8_t type :
       {kJoinMessage, kRosterMessage, kRefusalMessage, kIdentifyMessage}) {
    fabric_->OnMessage(type, refuse);
  }
}

absl::Status Rendezvous::Meet() { return members_->rank() == 0 ? GatherAll() : JoinRankZero(); }

absl::Status Rendezvous::GatherAll() {
  PB_RETURN_IF_ERROR(fabric_->Listen(address_).status());
  absl::Status met = WaitFor([this] { return members_->Complete(); });
  if (met.ok()) {
    SendRoster();
  } else {
    failure_ = met;
    std::vector<PeerId> all = misfits_;
    for (int rank = 1; rank < members_->size(); ++rank) {
      if (members_->Known(rank) && !members_->dead(rank)) all.push_back(members_->peer(rank));
    }
    Refuse(all);
  }
  return met;
}

absl::Status Rendezvous::JoinRankZero() {
  const int rank = members_->rank();
  PB_ASSIGN_OR_RETURN(const std::string mine, fabric_->Listen(SameHostAnyPort(address_)));
  PB_ASSIGN_OR_RETURN(const PeerId zero, ConnectPatiently(address_, 0));
  members_->Add(0, zero);
  fabric_->Send(zero, kJoinMessage, AsBytes(Introduce(rank, members_->size(), mine)), nullptr);
  PB_RETURN_IF_ERROR(WaitFor([this] { return have_roster_; }));
  for (int lower = 1; lower < rank; ++lower) {
    PB_ASSIGN_OR_RETURN(const PeerId peer, ConnectPatiently(addresses_[lower], lower));
    members_->Add(lower, peer);
    fabric_->Send(peer, kIdentifyMessage, AsBytes(Introduce(rank, members_->size(), "")), nullptr);
  }
  return WaitFor([this] { return members_->Complete(); });
}

absl::StatusOr<PeerId> Rendezvous::ConnectPatiently(const std::string& address, int rank) {
  while (true) {
    auto peer = fabric_->Connect(address, deadline_);
    if (peer.ok() || peer.status().code() == absl::StatusCode::kInvalidArgument) return peer;
    if (SteadyNow() >= deadline_) {
      return absl::DeadlineExceededError(
          absl::StrCat("rank ", rank, " could not be reached at ", address, " in time"));
    }
    // Not there yet: ranks start in any order.
    absl::SleepFor(std::min(kRetryEvery, deadline_ - SteadyNow()));
  }
}

absl::Status Rendezvous::WaitFor(const std::function<bool()>& condition) {
  while (failure_.ok() && !condition()) {
    for (int rank = 0; rank < members_->size(); ++rank) {
      if (const auto& reason = members_->dead(rank); reason && failure_.ok()) {
        return absl::UnavailableError(
            absl::StrCat("rank ", rank, " left during the rendezvous: ", *reason));
      }
    }
    if (SteadyNow() >= deadline_) return MissingAtDeadline();
    fabric_->WaitUntil(deadline_);
  }
  return failure_;
}

absl::Status Rendezvous::MissingAtDeadline() const {
  if (members_->rank() != 0 && !have_roster_) {
    return absl::DeadlineExceededError(
        absl::StrCat("rank 0 at ", address_, " did not gather the group in time"));
  }
  RankList missing;
  for (int rank = 0; rank < members_->size(); ++rank) {
    if (!members_->Known(rank)) missing.Add(rank);
  }
  return absl::DeadlineExceededError(absl::StrCat(missing.ToString(),
                                                  missing.plural() ? " have" : " has",
                                                  " not come to the rendezvous at ", address_));
}

void Rendezvous::HandleJoin(PeerId from, absl::Span<const std::byte> payload) {
  const auto introduction = ReadIntroduction(payload);
  if (!introduction || members_->rank() != 0) return fabric_->Close(from);
  const int size = members_->size();
  const auto rank = introduction->rank;
  std::string misfit;
  if (introduction->size != static_cast<std::uint32_t>(size)) {
    misfit = absl::StrCat("rank ", rank, " believes in ", introduction->size, " ranks, rank 0 in ",
                          size);
  } else if (rank == 0 || rank >= introduction->size) {
    misfit = absl::StrCat("a process claims rank ", rank, " of ", size);
  } else if (members_->Known(static_cast<int>(rank))) {
    misfit = absl::StrCat("two processes claim rank ", rank);
  }
  if (!misfit.empty()) {
    misfits_.push_back(from);
    failure_.Update(absl::FailedPreconditionError(misfit));
    return;
  }
  addresses_[rank] = AsText(payload.subspan(sizeof(Introduction)));
  members_->Add(static_cast<int>(rank), from);
}

void Rendezvous::SendRoster() {
  std::string roster;
  for (int rank = 1; rank < members_->size(); ++rank)
    absl::StrAppend(&roster, addresses_[rank], "\n");
  for (int rank = 1; rank < members_->size(); ++rank) {
    fabric_->Send(members_->peer(rank), kRosterMessage, AsBytes(roster), nullptr);
  }
}

void Rendezvous::HandleRoster(PeerId from, absl::Span<const std::byte> payload) {
  if (members_->RankOf(from) != 0) return fabric_->Close(from);
  std::string rest = AsText(payload);
  for (int rank = 1; rank < members_->size(); ++rank) {
    const auto end = rest.find('\n');
    if (end == std::string::npos) {
      failure_.Update(absl::InternalError("rank 0 sent a roster that is too short"));
      return;
    }
    addresses_[rank] = rest.substr(0, end);
    rest.erase(0, end + 1);
  }
  have_roster_ = true;
}

void Rendezvous::HandleRefusal(absl::Span<const std::byte> payload) {
  if (payload.empty()) return;
  const auto code = static_cast<absl::StatusCode>(payload[0]);
  failure_.Update(absl::Status(code, AsText(payload.subspan(1))));
}

void Rendezvous::HandleIdentify(PeerId from, absl::Span<const std::byte> payload) {
  const auto introduction = ReadIntroduction(payload);
  const auto mine = static_cast<std::uint32_t>(members_->rank());
  if (!introduction || introduction->size != static_cast<std::uint32_t>(members_->size()) ||
      introduction->rank <= mine || introduction->rank >= introduction->size ||
      members_->Known(static_cast<int>(introduction->rank))) {
    return fabric_->Close(from);
  }
  members_->Add(static_cast<int>(introduction->rank), from);
}

void Rendezvous::Refuse(const std::vector<PeerId>& peers) {
  const std::string refusal = absl::StrCat(std::string(1, static_cast<char>(failure_.code())),
                                           std::string(failure_.message()));
  auto open = static_cast<int>(peers.size());
  fabric_->OnClosed([&open](PeerId, const absl::Status&) { --open; });
  for (const PeerId peer : peers) {
    fabric_->Send(peer, kRefusalMessage, AsBytes(refusal), nullptr);
    fabric_->Close(peer);
  }
  const absl::Time limit = SteadyNow() + kRefusalPatience;
  while (open > 0 && SteadyNow() < limit) fabric_->WaitUntil(limit);
  fabric_->OnClosed(nullptr);
}

}  // namespace pinboard::transport
