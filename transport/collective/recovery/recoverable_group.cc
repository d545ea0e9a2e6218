// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/recovery/recoverable_group.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "transport/collective/collective_errors.h"

namespace pinboard::transport {
namespace {

bool IsOwnFault(const absl::Status& cause) {
  return !absl::IsDeadlineExceeded(cause) && !absl::IsUnavailable(cause);
}

}  // namespace

RecoverableGroup::RecoverableGroup(std::unique_ptr<Communicator> control, DataPlane* data)
    : control_(std::move(control)), data_(data) {}

absl::StatusOr<RecoverableGroup::Records> RecoverableGroup::Exchange(Record mine,
                                                                     absl::Time deadline) {
  static_assert(std::is_trivially_copyable_v<Record> && sizeof(Record) == 184);
  mine.number = number_;
  mine.formed = formed_ ? 1 : 0;
  const absl::Time now = SteadyNow();
  mine.since_us = absl::ToInt64Microseconds(now - last_exchange_);
  mine.patience_us = absl::ToInt64Microseconds(deadline - now);
  if (mine.purpose != Purpose::kForm) mine.id = id_;
  Records records(size());
  const absl::Status status = control_->AllGather(
      {reinterpret_cast<const std::byte*>(&mine), sizeof(mine)},
      {reinterpret_cast<std::byte*>(records.data()), sizeof(mine) * size()}, deadline);
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat(status.message(), " (the control of collective ", number_,
                                     " of the device group)"));
  }
  last_exchange_ = SteadyNow();
  return records;
}

// Returns when every rank is in this collective, or the group is to be formed.
absl::StatusOr<RecoverableGroup::Records> RecoverableGroup::Join(const Record& mine,
                                                                 absl::Time deadline) {
  while (true) {
    PB_ASSIGN_OR_RETURN(Records records, Exchange(mine, deadline));
    bool together = true;
    bool forming = false;
    RankList ahead;
    for (int other = 0; other < size(); ++other) {
      const Record& record = records[other];
      forming |= record.purpose == Purpose::kForm || record.formed == 0;
      together &= record.purpose == Purpose::kJoin && record.number == number_;
      if (record.number > number_) ahead.Add(other);
    }
    if (together || forming) return records;
    if (!ahead.empty()) {
      return absl::DeadlineExceededError(
          absl::StrCat(ahead.ToString(), ahead.plural() ? " have" : " has",
                       " gone on from collective ", number_, " of the device group"));
    }
    // The others have yet to leave the last collective.
  }
}

// A rank that comes late finds the records of those who have left: it is with them only if they say
// so again.
absl::StatusOr<RecoverableGroup::Records> RecoverableGroup::JoinThoseWhoStay(const Record& mine,
                                                                             absl::Time deadline) {
  absl::StatusOr<Records> records = Join(mine, deadline);
  const bool certain = !records.ok() || !WholeFormation(*records) || !SomeMayHaveLeft(*records);
  return certain ? records : Join(mine, deadline);
}

bool RecoverableGroup::WholeFormation(const Records& records) const {
  return formed_ && std::all_of(records.begin(), records.end(), [this](const Record& record) {
           return record.purpose == Purpose::kJoin && record.formed != 0 && record.id == id_;
         });
}

absl::Status RecoverableGroup::Mismatch(const CollectiveShape& shape,
                                        const Records& records) const {
  for (int other = 0; other < size(); ++other) {
    const Record& record = records[other];
    const CollectiveShape others{record.kind, record.bytes};
    const bool here = record.purpose == Purpose::kJoin && record.number == number_;
    if (here && !(others == shape)) {
      return MismatchError(number_, other, others, rank(), shape);
    }
  }
  return absl::OkStatus();
}

absl::Status RecoverableGroup::Divergence(std::uint64_t launched, const Records& records) const {
  RankList others;
  for (int other = 0; other < size(); ++other) {
    if (records[other].launched != launched) others.Add(other);
  }
  if (others.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("collective ", number_, " of the device group: ", others.ToString(),
                   " launched other collectives than rank ", rank()));
}

bool RecoverableGroup::SomeMayHaveLeft(const Records& records) {
  std::int64_t last_came = 0;
  std::int64_t first_leaves = std::numeric_limits<std::int64_t>::max();
  for (const Record& record : records) {
    last_came = std::max(last_came, record.since_us);
    // An eighth for what ranks differ by in when the last exchange ended.
    first_leaves = std::min(first_leaves, record.since_us + record.patience_us / 8 * 7);
  }
  return last_came >= first_leaves;
}

absl::Status RecoverableGroup::Run(const CollectiveShape& shape, absl::Time deadline, Work work) {
  number_ = next_++;
  while (true) {
    PB_ASSIGN_OR_RETURN(const Records records,
                        JoinThoseWhoStay({.bytes = shape.bytes, .kind = shape.kind}, deadline));
    PB_RETURN_IF_ERROR(Mismatch(shape, records));
    if (WholeFormation(records)) return Finish(deadline, work);
    PB_RETURN_IF_ERROR(Form(deadline));
  }
}

absl::Status RecoverableGroup::Confirm(std::uint64_t launched, absl::Time deadline, Work work) {
  number_ = next_++;
  if (!formed_) return GivenUpError();
  const absl::StatusOr<Records> records = JoinThoseWhoStay({.launched = launched}, deadline);
  absl::Status status = records.status();
  if (status.ok() && !WholeFormation(*records)) {
    status = absl::DeadlineExceededError(
        absl::StrCat("another rank has given up the device group before collective ", number_));
  }
  if (status.ok()) status = Divergence(launched, *records);
  if (status.ok()) return Finish(deadline, work);
  Abandon();
  return status;
}

absl::Status RecoverableGroup::Finish(absl::Time deadline, Work work) {
  const absl::Status status = work(BeforeBlame(deadline));
  return status.ok() ? status : GiveUp(status, deadline);
}

absl::Status RecoverableGroup::GiveUp(const absl::Status& cause, absl::Time deadline) {
  Abandon();
  PB_RETURN_IF_ERROR(Exchange({.purpose = Purpose::kBlame}, deadline).status());
  if (IsOwnFault(cause)) return cause;
  return absl::DeadlineExceededError(absl::StrCat("collective ", number_,
                                                  " of the device group was given up, though no "
                                                  "rank is missing: ",
                                                  cause.message()));
}

void RecoverableGroup::Abandon() {
  if (std::exchange(formed_, false)) data_->Abort();
}

// A rank that fails leaves the others hanging in the formation: so nothing is begun that a rank
// cannot take part in, and an attempt lasts no longer than the shortest patience.
absl::Status RecoverableGroup::Form(absl::Time deadline) {
  Abandon();
  const absl::Time last = BeforeBlame(deadline);
  while (true) {
    PB_RETURN_IF_ERROR(data_->AwaitAborted(deadline));
    PB_ASSIGN_OR_RETURN(const Attempt attempt, AgreeOnAttempt(deadline));
    const absl::Status status = data_->Form(attempt.id, attempt.deadline);
    if (status.ok()) {
      formed_ = true;
      id_ = attempt.id;
      ++formation_;
      return absl::OkStatus();
    }
    if (IsOwnFault(status) || SteadyNow() >= last) return GiveUp(status, deadline);
  }
}

// An id is agreed on when every rank says it in the same exchange. Rank 0 makes one once all have
// come, the others repeat what they heard of it last; so a rank that completes exchanges which the
// others have abandoned hears no id there, or one that it does not get confirmed.
absl::StatusOr<RecoverableGroup::Attempt> RecoverableGroup::AgreeOnAttempt(absl::Time deadline) {
  constexpr FormationId kNone = {};
  FormationId id = kNone;
  while (true) {
    PB_ASSIGN_OR_RETURN(const Records records,
                        Exchange({.purpose = Purpose::kForm, .id = id}, deadline));
    bool all_here = true;
    bool all_agree = id != kNone;
    std::int64_t patience_us = std::numeric_limits<std::int64_t>::max();
    for (const Record& record : records) {
      all_here &= record.purpose == Purpose::kForm;
      all_agree &= record.id == id;
      patience_us = std::min(patience_us, record.patience_us);
    }
    if (all_here && all_agree) {
      return Attempt{id, BeforeBlame(SteadyNow() + absl::Microseconds(patience_us))};
    }
    if (rank() != 0) {
      id = records[0].purpose == Purpose::kForm ? records[0].id : kNone;
    } else if (all_here && id == kNone) {
      PB_ASSIGN_OR_RETURN(id, data_->NewFormation());
    }
  }
}

}  // namespace pinboard::transport
