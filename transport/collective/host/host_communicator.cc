// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/host/host_communicator.h"

#include <cstdint>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "transport/collective/collective_errors.h"
#include "transport/collective/host/contribution.h"
#include "transport/collective/host/rendezvous.h"
#include "transport/collective/rank_order_sum.h"

namespace pinboard::transport {
namespace {

constexpr std::size_t kDirectBytes = 64 << 10;
constexpr std::size_t kDirectBytesOfTwo = 1 << 20;
// A rank that leaves this much unread is lost.
constexpr std::size_t kMaxUnreadBytes = std::size_t{256} << 20;

// How long a rank that leaves waits until the others can know why.
constexpr absl::Duration kFarewellPatience = absl::Milliseconds(500);

// One message, read by the sends under way.
struct Staged {
  std::vector<std::byte> bytes;
  int users = 0;
};

class HostCommunicator : public Communicator {
 public:
  HostCommunicator(std::unique_ptr<Fabric> fabric, int rank, int size)
      : members_(rank, size), arrivals_(size), unread_bytes_(size), fabric_(std::move(fabric)) {}

  /// Closes the connections in order: the others read what this rank has sent them before they see
  /// it gone.
  ~HostCommunicator() override;

  absl::Status Start(const std::string& rendezvous, absl::Time deadline);

  int rank() const override { return members_.rank(); }
  int size() const override { return members_.size(); }
  absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) override {
    return Sum(CollectiveKind::kSumInt32, data, deadline);
  }
  absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) override {
    return Sum(CollectiveKind::kSumFloat, data, deadline);
  }
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time deadline) override;
  std::uint64_t issued() const override { return arrivals_.number(); }

 private:
  // The collective under way.
  struct Call {
    CollectiveShape shape;
    absl::Time deadline;
    absl::Time begin;
  };

  template <typename T>
  absl::Status Sum(CollectiveKind kind, absl::Span<T> data, absl::Time deadline);
  template <typename T>
  absl::Status SumDirectly(const Call& call, absl::Span<T> data);
  template <typename T>
  absl::Status SumByChunks(const Call& call, absl::Span<T> data);
  template <typename T>
  absl::Status AddUp(absl::Span<T> mine);
  absl::Status Gather(const Call& call, absl::Span<const std::byte> send,
                      absl::Span<std::byte> received);

  Staged* Stage(const Call& call, Phase phase, absl::Span<const std::byte> bytes);
  void Send(int to, Staged* staged);
  void SendToOthers(Staged* staged);
  void Release(Staged* staged);
  absl::Status Await(const Call& call, Phase phase);
  void AwaitSends(const Call& call);
  absl::Status Mismatch(const Call& call);
  absl::Status Missing(const Call& call, Phase phase, bool late);
  absl::Status Leave();
  void SendFarewell(std::uint32_t dead);
  void HandleFarewell(PeerId from, absl::Span<const std::byte> payload);

  GroupMembers members_;
  Arrivals arrivals_;
  std::vector<std::size_t> unread_bytes_;  // [rank], sent and not completed
  bool left_ = false;                      // the others know that this rank goes no further
  int farewells_ = 0;                      // under way
  std::deque<Staged> staged_;              // addresses are stable
  std::vector<Staged*> idle_;
  std::unique_ptr<Fabric> fabric_;  // last: its callbacks use the rest
};

absl::Span<const std::byte> AsBytes(const void* data, std::size_t bytes) {
  return {static_cast<const std::byte*>(data), bytes};
}

HostCommunicator::~HostCommunicator() {
  const auto open = [this](int other) {
    return other != rank() && members_.Known(other) && !members_.Lost(other);
  };
  for (int other = 0; other < size(); ++other) {
    if (open(other)) fabric_->Close(members_.peer(other));
  }
  const auto any_open = [&] {
    for (int other = 0; other < size(); ++other) {
      if (open(other)) return true;
    }
    return false;
  };
  const absl::Time limit = SteadyNow() + kFarewellPatience;
  while (any_open() && SteadyNow() < limit) fabric_->WaitUntil(limit);
}

absl::Status HostCommunicator::Start(const std::string& rendezvous, absl::Time deadline) {
  if (size() == 1) return absl::OkStatus();
  fabric_->OnMessage(kContributionMessage, [this](PeerId from, absl::Span<const std::byte> bytes) {
    if (const auto rank = members_.RankOf(from)) arrivals_.Add(*rank, bytes);
  });
  fabric_->OnMessage(kFarewellMessage, [this](PeerId from, absl::Span<const std::byte> payload) {
    HandleFarewell(from, payload);
  });
  const auto on_closed = [this](PeerId peer, const absl::Status& reason) {
    if (const auto rank = members_.RankOf(peer)) {
      members_.MarkDead(*rank, std::string(reason.message()));
    }
  };
  fabric_->OnClosed(on_closed);
  return Rendezvous(fabric_.get(), &members_, rendezvous, deadline).Meet();
}

template <typename T>
absl::Status HostCommunicator::Sum(CollectiveKind kind, absl::Span<T> data, absl::Time deadline) {
  const std::size_t bytes = data.size() * sizeof(T);
  const Call call{{kind, bytes}, deadline, SteadyNow()};
  absl::Status status;
  if (size() > 1) {
    const bool direct = bytes <= (size() == 2 ? kDirectBytesOfTwo : kDirectBytes);
    status = direct ? SumDirectly(call, data) : SumByChunks(call, data);
    if (status.ok()) AwaitSends(call);
  }
  arrivals_.Next();
  return status;
}

template <typename T>
absl::Status HostCommunicator::SumDirectly(const Call& call, absl::Span<T> data) {
  SendToOthers(Stage(call, Phase::kExchange, AsBytes(data.data(), call.shape.bytes)));
  PB_RETURN_IF_ERROR(Await(call, Phase::kExchange));
  return AddUp(data);
}

template <typename T>
absl::Status HostCommunicator::SumByChunks(const Call& call, absl::Span<T> data) {
  const auto chunk = [&](int rank) {
    const std::size_t begin = data.size() * rank / size();
    return data.subspan(begin, data.size() * (rank + 1) / size() - begin);
  };
  for (int other = 0; other < size(); ++other) {
    if (other == rank()) continue;
    Staged* staged = Stage(call, Phase::kExchange,
                           AsBytes(chunk(other).data(), chunk(other).size() * sizeof(T)));
    Send(other, staged);
    Release(staged);
  }
  PB_RETURN_IF_ERROR(Await(call, Phase::kExchange));
  const absl::Span<T> mine = chunk(rank());
  PB_RETURN_IF_ERROR(AddUp(mine));
  SendToOthers(Stage(call, Phase::kGather, AsBytes(mine.data(), mine.size() * sizeof(T))));
  PB_RETURN_IF_ERROR(Await(call, Phase::kGather));
  for (int other = 0; other < size(); ++other) {
    if (other == rank()) continue;
    const auto& bytes = arrivals_.current(Phase::kGather)[other].bytes;
    if (bytes.size() != chunk(other).size() * sizeof(T)) {
      return absl::InternalError(absl::StrCat("rank ", other, " sent a chunk of a wrong size"));
    }
    std::memcpy(chunk(other).data(), bytes.data(), bytes.size());
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status HostCommunicator::AddUp(absl::Span<T> mine) {
  const auto slots = arrivals_.current(Phase::kExchange);
  std::vector<const T*> contributions(size());
  for (int other = 0; other < size(); ++other) {
    if (other == rank()) {
      contributions[other] = mine.data();
    } else if (slots[other].bytes.size() == mine.size() * sizeof(T)) {
      contributions[other] = reinterpret_cast<const T*>(slots[other].bytes.data());
    } else {
      return absl::InternalError(absl::StrCat("rank ", other, " sent a chunk of a wrong size"));
    }
  }
  SumInRankOrder<T>(contributions, mine);
  return absl::OkStatus();
}

absl::Status HostCommunicator::AllGather(absl::Span<const std::byte> send,
                                         absl::Span<std::byte> received, absl::Time deadline) {
  const Call call{{CollectiveKind::kAllGather, send.size()}, deadline, SteadyNow()};
  absl::Status status = Gather(call, send, received);
  if (status.ok()) AwaitSends(call);
  arrivals_.Next();
  return status;
}

absl::Status HostCommunicator::Gather(const Call& call, absl::Span<const std::byte> send,
                                      absl::Span<std::byte> received) {
  if (size() > 1) {
    SendToOthers(Stage(call, Phase::kExchange, send));
    PB_RETURN_IF_ERROR(Await(call, Phase::kExchange));
  }
  PB_RETURN_IF_ERROR(CheckGatherSize(send.size(), size(), received.size()));
  for (int other = 0; other < size(); ++other) {
    const auto from = other == rank()
                          ? send
                          : absl::MakeConstSpan(arrivals_.current(Phase::kExchange)[other].bytes);
    if (from.size() != send.size()) {
      return absl::InternalError(absl::StrCat("rank ", other, " sent a chunk of a wrong size"));
    }
    if (!from.empty()) std::memcpy(received.data() + send.size() * other, from.data(), from.size());
  }
  return absl::OkStatus();
}

Staged* HostCommunicator::Stage(const Call& call, Phase phase, absl::Span<const std::byte> bytes) {
  if (idle_.empty()) idle_.push_back(&staged_.emplace_back());
  Staged* staged = idle_.back();
  idle_.pop_back();
  staged->users = 1;
  const ContributionHeader header{.number = arrivals_.number(),
                                  .bytes = call.shape.bytes,
                                  .kind = call.shape.kind,
                                  .phase = phase};
  staged->bytes.resize(sizeof(header) + bytes.size());
  std::memcpy(staged->bytes.data(), &header, sizeof(header));
  if (!bytes.empty())
    std::memcpy(staged->bytes.data() + sizeof(header), bytes.data(), bytes.size());
  return staged;
}

void HostCommunicator::Release(Staged* staged) {
  if (--staged->users == 0) idle_.push_back(staged);
}

void HostCommunicator::SendToOthers(Staged* staged) {
  for (int step = 1; step < size(); ++step) Send((rank() + step) % size(), staged);
  Release(staged);
}

void HostCommunicator::Send(int to, Staged* staged) {
  const std::size_t bytes = staged->bytes.size();
  if (members_.Lost(to)) return;
  if (unread_bytes_[to] + bytes > kMaxUnreadBytes) {
    return members_.MarkDead(to, absl::StrCat("it leaves ", unread_bytes_[to], " bytes unread"));
  }
  unread_bytes_[to] += bytes;
  ++staged->users;
  fabric_->Send(members_.peer(to), kContributionMessage, staged->bytes,
                [this, to, staged, bytes](const absl::Status&) {
                  unread_bytes_[to] -= bytes;
                  Release(staged);
                });
}

absl::Status HostCommunicator::Await(const Call& call, Phase phase) {
  while (true) {
    PB_RETURN_IF_ERROR(Mismatch(call));
    bool complete = true;
    const auto slots = arrivals_.current(phase);
    for (int other = 0; other < size(); ++other) {
      complete &= other == rank() || slots[other].present;
    }
    if (complete) return absl::OkStatus();
    const bool late = SteadyNow() >= call.deadline;
    PB_RETURN_IF_ERROR(Missing(call, phase, late));
    fabric_->WaitUntil(call.deadline);
  }
}

// The caller may not come back for long: what the others still need from here must have left.
void HostCommunicator::AwaitSends(const Call& call) {
  const auto unread = [this] {
    for (int other = 0; other < size(); ++other) {
      if (unread_bytes_[other] > 0 && !members_.Lost(other)) return true;
    }
    return false;
  };
  while (unread() && SteadyNow() < call.deadline) fabric_->WaitUntil(call.deadline);
}

absl::Status HostCommunicator::Mismatch(const Call& call) {
  for (const Phase phase : {Phase::kExchange, Phase::kGather}) {
    const auto slots = arrivals_.current(phase);
    for (int other = 0; other < size(); ++other) {
      if (!slots[other].present || slots[other].shape == call.shape) continue;
      return MismatchError(arrivals_.number(), other, slots[other].shape, rank(), call.shape);
    }
  }
  return absl::OkStatus();
}

absl::Status HostCommunicator::Missing(const Call& call, Phase phase, bool late) {
  RankList missing;
  bool hopeless = false;
  const auto slots = arrivals_.current(phase);
  for (int other = 0; other < size(); ++other) {
    if (other == rank() || slots[other].present) continue;
    missing.Add(other);
    hopeless |= members_.Lost(other);
  }
  if (hopeless) return Leave();
  if (!late) return absl::OkStatus();
  return LateError(missing, arrivals_.number(), SteadyNow() - call.begin);
}

// The others learn who is to blame before they see this rank end.
absl::Status HostCommunicator::Leave() {
  RankList dead;
  std::string reason;
  for (int other = 0; other < size(); ++other) {
    if (!members_.dead(other)) continue;
    dead.Add(other);
    reason = *members_.dead(other);
    if (!left_) SendFarewell(other);
  }
  left_ = true;
  // Behind large contributions it takes a moment; this process may end as soon as we return.
  const absl::Time limit = SteadyNow() + kFarewellPatience;
  while (farewells_ > 0 && SteadyNow() < limit) fabric_->WaitUntil(limit);
  return LostError(dead, arrivals_.number(), reason);
}

void HostCommunicator::SendFarewell(std::uint32_t dead) {
  for (int other = 0; other < size(); ++other) {
    if (other == rank() || members_.Lost(other)) continue;
    ++farewells_;
    fabric_->Send(members_.peer(other), kFarewellMessage, AsBytes(&dead, sizeof(dead)),
                  [this](const absl::Status&) { --farewells_; });
  }
}

void HostCommunicator::HandleFarewell(PeerId from, absl::Span<const std::byte> payload) {
  const auto leaving = members_.RankOf(from);
  std::uint32_t dead = 0;
  if (!leaving || payload.size() != sizeof(dead)) return;
  std::memcpy(&dead, payload.data(), sizeof(dead));
  if (dead >= static_cast<std::uint32_t>(size())) return;
  members_.MarkLeaving(*leaving);
  members_.MarkDead(static_cast<int>(dead), absl::StrCat("rank ", *leaving, " lost it"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> MakeHostCommunicator(std::unique_ptr<Fabric> fabric,
                                                                   int rank, int size,
                                                                   const std::string& rendezvous,
                                                                   absl::Time deadline) {
  if (size < 1 || rank < 0 || rank >= size) {
    return absl::InvalidArgumentError(absl::StrCat("there is no rank ", rank, " of ", size));
  }
  auto communicator = std::make_unique<HostCommunicator>(std::move(fabric), rank, size);
  PB_RETURN_IF_ERROR(communicator->Start(rendezvous, deadline));
  return communicator;
}

}  // namespace pinboard::transport
