// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/collective/collective_errors.h"

#include "absl/strings/str_cat.h"

namespace pinboard::transport {

absl::Status LostError(const RankList& lost, std::uint64_t number, const std::string& reason) {
  return absl::UnavailableError(absl::StrCat(lost.ToString(), lost.plural() ? " are" : " is",
                                             " lost in collective ", number, ": ", reason));
}

absl::Status LateError(const RankList& missing, std::uint64_t number, absl::Duration waited) {
  return absl::DeadlineExceededError(absl::StrCat(
      missing.ToString(), missing.plural() ? " have" : " has", " not joined collective ", number,
      " in ", absl::ToInt64Milliseconds(waited), " ms"));
}

absl::Status MismatchError(std::uint64_t number, int other, const CollectiveShape& others, int rank,
                           const CollectiveShape& mine) {
  return absl::FailedPreconditionError(absl::StrCat("collective ", number, ": rank ", other,
                                                    " issued ", ToString(others), ", rank ", rank,
                                                    " ", ToString(mine)));
}

absl::Status GivenUpError() {
  return absl::FailedPreconditionError(
      "the device group has been given up: form it anew before the next collective");
}

absl::Status CheckGatherSize(std::size_t send_bytes, int size, std::size_t received_bytes) {
  if (received_bytes == send_bytes * size) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("an all-gather of ", send_bytes, " bytes by ",
                                                 size, " ranks does not fill ", received_bytes,
                                                 " bytes"));
}

}  // namespace pinboard::transport
