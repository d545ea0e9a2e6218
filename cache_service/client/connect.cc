// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/connect.h"

#include "absl/strings/str_cat.h"

namespace pinboard::cache_service {

absl::StatusOr<transport::PeerId> ConnectToService(transport::Fabric& fabric,
                                                   const std::string& address,
                                                   absl::Time deadline) {
  absl::StatusOr<transport::PeerId> connected = fabric.Connect(address, deadline);
  if (absl::IsInvalidArgument(connected.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat("what listens at ", address, " is no pinboardd of this version: ",
                     connected.status().message(), "; give the address of a pinboardd's --listen"));
  }
  if (!absl::IsUnavailable(connected.status())) return connected;
  return absl::UnavailableError(
      absl::StrCat(connected.status().message(), ": start pinboardd there first"));
}

absl::Status DoesNotAnswer(const std::string& address) {
  return absl::DeadlineExceededError(absl::StrCat("the cache service at ", address,
                                                  " accepted the connection but does not answer"));
}

}  // namespace pinboard::cache_service
