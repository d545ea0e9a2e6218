// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Why somebody is not let in, or not let on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace pinboard::cache_service {

/// For the operator's counts and log. Who is refused is told less: see Greeting.
enum class RefusalReason : std::uint8_t {
  kUnauthenticated,  // the service has keys, and the client offers none
  kWrongTenant,      // no key of this id is this tenant's: it, or its key, is another's or nobody's
  kWrongKey,         // the tenant has a key of this id, and it is another
  kReplayed,         // a proof for another challenge, or a second one for this
  kExpiredKey,       // the right key, after its time
  kExpiredNonce,     // the challenge was answered too late
  kWithdrawnKey,     // the key was taken out of the service's file while the client was connected
  kWrongOrder,       // a message at the wrong point of the handshake
  kLostConnections,  // too many that its process has lost hold memory
};
inline constexpr int kRefusalReasons = 9;
/// "wrong_key": as in the label of a metric.
const char* RefusalReasonName(RefusalReason reason);

/// A status that carries its reason, which stays here: only code and message are sent.
absl::Status Refusal(RefusalReason reason, absl::StatusCode code, const std::string& message);
std::optional<RefusalReason> ReasonOf(const absl::Status& status);

}  // namespace pinboard::cache_service
