// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/refusal.h"

#include "absl/strings/cord.h"

namespace pinboard::cache_service {
namespace {

constexpr char kPayload[] = "pinboard/refusal";

}  // namespace

const char* RefusalReasonName(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kUnauthenticated:
      return "unauthenticated";
    case RefusalReason::kWrongTenant:
      return "wrong_tenant";
    case RefusalReason::kWrongKey:
      return "wrong_key";
    case RefusalReason::kReplayed:
      return "replayed";
    case RefusalReason::kExpiredKey:
      return "expired_key";
    case RefusalReason::kExpiredNonce:
      return "expired_nonce";
    case RefusalReason::kWithdrawnKey:
      return "withdrawn_key";
    case RefusalReason::kWrongOrder:
      return "wrong_order";
    case RefusalReason::kLostConnections:
      return "lost_connections";
  }
  return "invalid";
}

absl::Status Refusal(RefusalReason reason, absl::StatusCode code, const std::string& message) {
  absl::Status status(code, message);
  status.SetPayload(kPayload, absl::Cord(std::string(1, static_cast<char>(reason))));
  return status;
}

std::optional<RefusalReason> ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return std::nullopt;
  return static_cast<RefusalReason>((*payload)[0]);
}

}  // namespace pinboard::cache_service
