// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The edge between absl::Status, used inside, and pinboard::Status, installed.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pinboard/status.h"

namespace pinboard {

static_assert(static_cast<int>(StatusCode::kOk) == static_cast<int>(absl::StatusCode::kOk));
static_assert(static_cast<int>(StatusCode::kUnauthenticated) ==
              static_cast<int>(absl::StatusCode::kUnauthenticated));

/// Codes have the same numbers on both sides; messages are copied, payloads are not.
inline Status ToPublicStatus(const absl::Status& status) {
  if (status.ok()) return Status();
  return Status(static_cast<StatusCode>(status.raw_code()), std::string(status.message()));
}

inline absl::Status ToAbslStatus(const Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.code()), status.message());
}

template <typename T>
Result<T> ToPublicResult(absl::StatusOr<T> result) {
  if (!result.ok()) return ToPublicStatus(result.status());
  return *std::move(result);
}

template <typename T>
absl::StatusOr<T> ToAbslStatusOr(Result<T> result) {
  if (!result.ok()) return ToAbslStatus(result.status());
  return std::move(result).value();
}

}  // namespace pinboard
