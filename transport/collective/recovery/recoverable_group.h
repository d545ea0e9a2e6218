// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What makes a group of a library that can only hang or abort (NCCL) keep the liveness contract.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "transport/collective/collective_kind.h"
#include "transport/collective/communicator.h"

namespace pinboard::transport {

/// Names one formation of a group; opaque (an ncclUniqueId). All zero: none.
using FormationId = std::array<std::byte, 128>;

/// Until when to wait for work of the device: of the time that is left before `deadline`, the last
/// part is kept for finding out who is missing.
inline absl::Time BeforeBlame(absl::Time deadline) {
  return deadline - (deadline - SteadyNow()) / 8;
}

/// What carries the data of a group and can be formed anew: NCCL, or a test's stand-in.
class DataPlane {
 public:
  virtual ~DataPlane() = default;
  /// Names a new formation. Called on rank 0 only.
  virtual absl::StatusOr<FormationId> NewFormation() = 0;
  /// Meets the other ranks in formation `id`. After an error nothing is formed.
  virtual absl::Status Form(const FormationId& id, absl::Time deadline) = 0;
  /// Ends what is under way; the formation carries nothing any more. May return before all of it
  /// has ended.
  virtual void Abort() = 0;
  /// Returns when what was aborted has ended.
  virtual absl::Status AwaitAborted(absl::Time deadline) = 0;
};

/// A data plane beside a `control` group of the same ranks (the host communicator), which knows who
/// is late and who is lost. Ranks meet on `control` before they depend on each other's data: each
/// contributes a record (its collective's number and shape, its formation) to an all-gather. All
/// ranks see the same records and so decide alike:
///
///   formed --(work failed, or a rank did not come)--> given up --(all agree on a new id)--> formed
///
/// An exchange may end for a late rank with what the others had sent before they gave up, and a
/// device whose collective was aborted may hand on what is no sum. So where a record came that
/// late, the end of what was launched is confirmed twice.
///
/// A rank that gives up aborts its data plane, asks `control` who is missing, and says in its next
/// record that it is no longer formed; the others then give up too. Nothing is decided by time
/// alone but a rank's own giving up. Group size at least 2. Thread-compatible.
class RecoverableGroup {
 public:
  /// Runs what was agreed on until `until`, which leaves time to find out who is missing.
  /// DeadlineExceeded, Unavailable: the work did not end; any other error: this rank's own fault.
  using Work = absl::FunctionRef<absl::Status(absl::Time until)>;

  RecoverableGroup(std::unique_ptr<Communicator> control, DataPlane* data);

  int rank() const { return control_->rank(); }
  int size() const { return control_->size(); }

  /// Gives up what there is, meets all ranks and forms the group with them; tries again while there
  /// is time.
  absl::Status Form(absl::Time deadline);
  bool formed() const { return formed_; }
  std::uint64_t formation() const { return formation_; }

  /// One collective that ranks agree on before they run it: forms the group where it is not, then
  /// runs `work`. Errors as Communicator documents them. A deadline that passes before all ranks
  /// have come does the formation no harm.
  absl::Status Run(const CollectiveShape& shape, absl::Time deadline, Work work);

  /// The end of what this rank has launched already, of which `launched` is a digest: meets the
  /// other ranks, then runs `work`. Never forms: the group is given up where anything is amiss.
  absl::Status Confirm(std::uint64_t launched, absl::Time deadline, Work work);

  /// A launch failed: gives the group up and returns the status that names who is missing.
  absl::Status GiveUp(const absl::Status& cause, absl::Time deadline);

 private:
  enum class Purpose : std::uint64_t { kJoin, kForm, kBlame };
  struct Record {
    std::uint64_t number = 0;      // of the collective that the rank is in
    std::uint64_t bytes = 0;       // CollectiveShape
    std::uint64_t launched = 0;    // digest
    std::int64_t since_us = 0;     // from the rank's last exchange to this one
    std::int64_t patience_us = 0;  // from then to its deadline
    Purpose purpose = Purpose::kJoin;
    CollectiveKind kind = CollectiveKind::kSumInt32;
    std::uint8_t formed = 0;
    std::uint8_t unused[6] = {};
    FormationId id = {};
  };
  using Records = std::vector<Record>;  // [rank]
  struct Attempt {
    FormationId id;
    absl::Time deadline;
  };

  absl::StatusOr<Records> Exchange(Record mine, absl::Time deadline);
  absl::StatusOr<Records> Join(const Record& mine, absl::Time deadline);
  absl::StatusOr<Records> JoinThoseWhoStay(const Record& mine, absl::Time deadline);
  absl::StatusOr<Attempt> AgreeOnAttempt(absl::Time deadline);
  bool WholeFormation(const Records& records) const;
  absl::Status Mismatch(const CollectiveShape& shape, const Records& records) const;
  absl::Status Divergence(std::uint64_t launched, const Records& records) const;
  /// Whether some rank came when another's patience was at its end, or nearly: the same on all.
  static bool SomeMayHaveLeft(const Records& records);
  absl::Status Finish(absl::Time deadline, Work work);
  void Abandon();

  std::unique_ptr<Communicator> control_;
  DataPlane* data_;
  std::uint64_t number_ = 0;  // of the collective under way, or of the last one
  std::uint64_t next_ = 0;
  std::uint64_t formation_ = 0;
  bool formed_ = false;
  FormationId id_ = {};
  absl::Time last_exchange_ = SteadyNow();
};

}  // namespace pinboard::transport
