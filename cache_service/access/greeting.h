// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How one connection is let in: the service's half of the handshake, without any I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/negotiation.h"

namespace pinboard::cache_service {

/// Whose clients they are where the service has no keys.
inline constexpr char kDefaultTenant[] = "default";

/// How long a challenge can be answered.
inline constexpr absl::Duration kChallengeLife = absl::Seconds(10);

///            Hello, no keys
///   silent ------------------------------> admitted --> left
///      |      Hello              Proof        ^
///      +-------------> challenged ------------+
///
/// Everything else is refused, with a RefusalReason where it is about access, and a refused
/// greeting stays refused: the connection is to be closed. A nonce is good for one proof.
///
/// Code and message are the same for an unknown tenant, an unknown key id and a wrong key, and the
/// same work is done: nobody learns which tenants there are. That a key has expired is told only to
/// who has it. Thread-compatible.
class Greeting {
 public:
  /// Admits, or returns the challenge to be sent. `keys` null: everybody is the default tenant.
  absl::StatusOr<std::optional<Challenge>> OnHello(const Hello& hello, const KeyRing* keys,
                                                   std::uint64_t incarnation, absl::Time now);
  /// Admits. `keys` may be others than OnHello's; they expire by the wall clock.
  absl::Status OnProof(const Proof& proof, const KeyRing* keys, absl::Time now, absl::Time wall);
  /// A connection is there from `now` on: it has as long to say Hello as to answer a challenge.
  void Begin(absl::Time now) { since_ = now; }
  /// The connection is being closed: nothing more is said of it.
  void Refuse() {
    state_ = State::kRefused;
    shown_.reset();
  }
  /// The client says that it goes; it stays connected for a while.
  void Leave() { state_ = State::kLeft; }

  bool admitted() const { return state_ == State::kAdmitted; }
  /// FailedPrecondition, for a message that came before it was admitted, or after it left.
  absl::Status CheckAdmitted() const;

  /// Of who is admitted.
  const Hello& hello() const { return hello_; }
  const Agreement& agreed() const { return agreed_; }
  const std::string& tenant() const { return tenant_; }
  /// Refused after all: the key by which it came in is no longer in the ring, or neither Hello nor
  /// the answer to a challenge came in time. An expired key only admits nobody new.
  absl::Status CheckStands(const KeyRing* keys, absl::Time now) const;

 private:
  enum class State : std::uint8_t { kSilent, kChallenged, kAdmitted, kLeft, kRefused };

  absl::Status CheckInTime(absl::Time now) const;
  absl::Status CheckProof(const Proof& proof, const KeyRing& keys, absl::Time now, absl::Time wall);

  State state_ = State::kSilent;
  Hello hello_;
  Agreement agreed_;
  Challenge challenge_;
  absl::Time since_ = absl::InfiniteFuture();  // it is silent, or challenged
  std::string tenant_;
  std::optional<Credentials> shown_;  // absent where the service had no keys
};

}  // namespace pinboard::cache_service
