// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/local/local_communicator.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/steady_condition.h"
#include "transport/collective/collective_errors.h"
#include "transport/collective/rank_order_sum.h"

namespace pinboard::transport {
namespace {

struct Contribution {
  bool present = false;
  CollectiveShape shape;
  std::vector<std::byte> bytes;
};
using Contributions = std::vector<Contribution>;  // [rank]

RankList Missing(const Contributions& contributions) {
  RankList missing;
  for (std::size_t rank = 0; rank < contributions.size(); ++rank) {
    if (!contributions[rank].present) missing.Add(static_cast<int>(rank));
  }
  return missing;
}

}  // namespace

/// The meeting place of a LocalGroup's threads. Thread-safe.
class LocalGroupState {
 public:
  explicit LocalGroupState(int size) : size_(size), passed_(size), dead_(size) {}

  int size() const { return size_; }

  /// Contributes to the rank's next collective and waits for the others'. On success calls `use`
  /// with all contributions.
  absl::Status Exchange(int rank, const CollectiveShape& shape, const void* bytes,
                        absl::Time deadline, const std::function<void(const Contributions&)>& use) {
    const absl::Time begin = SteadyNow();
    const auto* first = static_cast<const std::byte*>(bytes);
    absl::MutexLock lock(&mutex_);
    const std::uint64_t number = passed_[rank];
    Contributions& contributions = collectives_[number];
    contributions.resize(size_);
    contributions[rank] = {true, shape, std::vector<std::byte>(first, first + shape.bytes)};
    changed_.SignalAll();
    absl::Status status;
    bool late = false;
    while (!Decided(contributions, number, rank, status)) {
      if (late) {
        status = LateError(Missing(contributions), number, SteadyNow() - begin);
        break;
      }
      late = !changed_.WaitUntil(mutex_, deadline);
    }
    if (status.ok()) use(contributions);
    ++passed_[rank];
    DropFinished();
    return status;
  }

  void Leave(int rank) {
    absl::MutexLock lock(&mutex_);
    dead_[rank] = true;
    DropFinished();
    changed_.SignalAll();
  }

  std::uint64_t passed(int rank) const {
    absl::MutexLock lock(&mutex_);
    return passed_[rank];
  }

 private:
  // True when the collective is complete or cannot be; then `status` says which.
  bool Decided(const Contributions& contributions, std::uint64_t number, int rank,
               absl::Status& status) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const CollectiveShape& mine = contributions[rank].shape;
    RankList lost;
    bool complete = true;
    for (int other = 0; other < size_; ++other) {
      const Contribution& theirs = contributions[other];
      if (theirs.present && theirs.shape != mine) {
        status = MismatchError(number, other, theirs.shape, rank, mine);
        return true;
      }
      complete &= theirs.present;
      if (!theirs.present && dead_[other]) lost.Add(other);
    }
    if (!lost.empty()) status = LostError(lost, number, "its communicator was destroyed");
    return complete || !lost.empty();
  }

  // Forgets the collectives that every living rank has passed.
  void DropFinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (!collectives_.empty()) {
      const std::uint64_t oldest = collectives_.begin()->first;
      for (int rank = 0; rank < size_; ++rank) {
        if (!dead_[rank] && passed_[rank] <= oldest) return;
      }
      collectives_.erase(collectives_.begin());
    }
  }

  const int size_;
  mutable absl::Mutex mutex_;
  SteadyCondition changed_;
  std::map<std::uint64_t, Contributions> collectives_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> passed_ ABSL_GUARDED_BY(mutex_);  // collectives each rank has left
  std::vector<bool> dead_ ABSL_GUARDED_BY(mutex_);
};

namespace {

class LocalCommunicator : public Communicator {
 public:
  LocalCommunicator(std::shared_ptr<LocalGroupState> state, int rank)
      : state_(std::move(state)), rank_(rank) {}
  ~LocalCommunicator() override { state_->Leave(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return state_->size(); }
  std::uint64_t issued() const override { return state_->passed(rank_); }

  absl::Status SumInt32(absl::Span<std::int32_t> data, absl::Time deadline) override {
    return Sum(CollectiveKind::kSumInt32, data, deadline);
  }
  absl::Status SumFloat(absl::Span<float> data, absl::Time deadline) override {
    return Sum(CollectiveKind::kSumFloat, data, deadline);
  }
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time deadline) override {
    absl::Status fits = CheckGatherSize(send.size(), size(), received.size());
    const absl::Status exchanged =
        state_->Exchange(rank_, {CollectiveKind::kAllGather, send.size()}, send.data(), deadline,
                         [&](const Contributions& contributions) {
                           if (!fits.ok() || send.empty()) return;
                           for (int rank = 0; rank < size(); ++rank) {
                             std::memcpy(received.data() + send.size() * rank,
                                         contributions[rank].bytes.data(), send.size());
                           }
                         });
    PB_RETURN_IF_ERROR(exchanged);
    return fits;
  }

 private:
  template <typename T>
  absl::Status Sum(CollectiveKind kind, absl::Span<T> data, absl::Time deadline) {
    return state_->Exchange(
        rank_, {kind, data.size() * sizeof(T)}, data.data(), deadline,
        [&](const Contributions& contributions) {
          std::vector<const T*> terms;
          for (const Contribution& contribution : contributions) {
            terms.push_back(reinterpret_cast<const T*>(contribution.bytes.data()));
          }
          SumInRankOrder<T>(terms, data);
        });
  }

  // Shared with the other ranks' threads.
  std::shared_ptr<LocalGroupState> state_;
  int rank_;
};

class SoloCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::uint64_t issued() const override { return issued_; }
  absl::Status SumInt32(absl::Span<std::int32_t> /*data*/, absl::Time /*deadline*/) override {
    ++issued_;
    return absl::OkStatus();
  }
  absl::Status SumFloat(absl::Span<float> /*data*/, absl::Time /*deadline*/) override {
    ++issued_;
    return absl::OkStatus();
  }
  absl::Status AllGather(absl::Span<const std::byte> send, absl::Span<std::byte> received,
                         absl::Time /*deadline*/) override {
    ++issued_;
    PB_RETURN_IF_ERROR(CheckGatherSize(send.size(), 1, received.size()));
    if (!send.empty()) std::memcpy(received.data(), send.data(), send.size());
    return absl::OkStatus();
  }

 private:
  std::uint64_t issued_ = 0;
};

}  // namespace

LocalGroup::LocalGroup(int size) : state_(std::make_shared<LocalGroupState>(size)) {}

std::unique_ptr<Communicator> LocalGroup::Join(int rank) {
  if (state_->size() == 1) return MakeSoloCommunicator();
  return std::make_unique<LocalCommunicator>(state_, rank);
}

std::unique_ptr<Communicator> MakeSoloCommunicator() {
  return std::make_unique<SoloCommunicator>();
}

}  // namespace pinboard::transport
