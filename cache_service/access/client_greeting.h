// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How one connection is let in: the client's half of the handshake, without any I/O.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

///   greeted --> [challenged] --> welcome
///
/// What the service may not say then is FailedPrecondition: it broke the protocol. A service that
/// keeps to it and cannot be used nevertheless is refused(). Thread-compatible.
class ClientGreeting {
 public:
  /// With `credentials`, `hello` offers kFeatureChallenge, and a service that does not ask for
  /// them is refused. `address` is for messages.
  ClientGreeting(Hello hello, std::optional<Credentials> credentials, std::string address);

  /// The first message.
  const Hello& hello() const { return hello_; }
  /// The proof to be sent; none where the service is refused.
  absl::StatusOr<std::optional<Proof>> OnChallenge(const Challenge& challenge);
  absl::Status OnWelcome(const Welcome& welcome);

  /// Once it came from a service that is not refused.
  const std::optional<Welcome>& welcome() const { return welcome_; }
  /// Why the service is not to be used; ok: nothing speaks against it so far.
  const absl::Status& refused() const { return refused_; }

 private:
  const Hello hello_;
  const std::optional<Credentials> credentials_;
  const std::string address_;
  bool challenged_ = false;
  std::optional<Welcome> welcome_;
  absl::Status refused_;
};

}  // namespace pinboard::cache_service
