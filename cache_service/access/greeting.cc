// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/greeting.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cache_service/access/challenge.h"
#include "cache_service/access/refusal.h"

namespace pinboard::cache_service {
namespace {

using Code = absl::StatusCode;

absl::Status NotAdmitted(RefusalReason reason) {
  return Refusal(reason, Code::kPermissionDenied,
                 "the service does not admit this tenant with this key: compare tenant, key id and "
                 "key with the service's");
}

}  // namespace

absl::StatusOr<std::optional<Challenge>> Greeting::OnHello(const Hello& hello, const KeyRing* keys,
                                                           std::uint64_t incarnation,
                                                           absl::Time now) {
  if (std::exchange(state_, State::kRefused) != State::kSilent) {
    return Refusal(RefusalReason::kWrongOrder, Code::kFailedPrecondition, "Hello came twice");
  }
  PB_ASSIGN_OR_RETURN(agreed_,
                      Agree(hello, kMemberFeatures | (keys == nullptr ? 0 : kFeatureChallenge)));
  hello_ = hello;
  if (keys == nullptr) {
    tenant_ = kDefaultTenant;
    state_ = State::kAdmitted;
    return std::nullopt;
  }
  if ((agreed_.features & kFeatureChallenge) == 0) {
    return Refusal(RefusalReason::kUnauthenticated, Code::kUnauthenticated,
                   "this service admits only clients with a tenant's key: give --service-key FILE");
  }
  challenge_ = {agreed_.version, agreed_.features, incarnation, RandomNonce()};
  since_ = now;
  state_ = State::kChallenged;
  return challenge_;
}

absl::Status Greeting::OnProof(const Proof& proof, const KeyRing* keys, absl::Time now,
                               absl::Time wall) {
  const State before = std::exchange(state_, State::kRefused);
  if (before != State::kChallenged) {
    const bool again = shown_.has_value() && proof.service_nonce == challenge_.nonce;
    return again ? NotAdmitted(RefusalReason::kReplayed)
                 : Refusal(RefusalReason::kWrongOrder, Code::kFailedPrecondition,
                           "a proof without a challenge");
  }
  if (keys == nullptr) return NotAdmitted(RefusalReason::kWrongTenant);
  PB_RETURN_IF_ERROR(CheckProof(proof, *keys, now, wall));
  tenant_ = proof.tenant;
  state_ = State::kAdmitted;
  return absl::OkStatus();
}

absl::Status Greeting::CheckInTime(absl::Time now) const {
  if (now < since_ + kChallengeLife) return absl::OkStatus();
  if (state_ == State::kSilent) {
    return Refusal(RefusalReason::kUnauthenticated, Code::kDeadlineExceeded,
                   absl::StrCat("no Hello came within ", absl::ToInt64Seconds(kChallengeLife),
                                " s: connect again"));
  }
  return Refusal(RefusalReason::kExpiredNonce, Code::kDeadlineExceeded,
                 absl::StrCat("the challenge was not answered within ",
                              absl::ToInt64Seconds(kChallengeLife), " s: connect again"));
}

absl::Status Greeting::CheckProof(const Proof& proof, const KeyRing& keys, absl::Time now,
                                  absl::Time wall) {
  static const AccessKey nobodys = AccessKey::Random();
  if (proof.service_nonce != challenge_.nonce) return NotAdmitted(RefusalReason::kReplayed);
  PB_RETURN_IF_ERROR(CheckInTime(now));
  const KeyRing::Entry* entry = keys.Find(proof.tenant, proof.key_id);
  const AccessKey& key = entry == nullptr ? nobodys : entry->key;
  const bool proven = Equal(TranscriptMac(key, hello_, challenge_, proof), proof.mac);
  if (entry == nullptr || !proven) {
    return NotAdmitted(keys.HasTenant(proof.tenant) ? RefusalReason::kWrongKey
                                                    : RefusalReason::kWrongTenant);
  }
  if (wall >= entry->expires) {
    return Refusal(RefusalReason::kExpiredKey, Code::kUnauthenticated,
                   "this key has expired: use the tenant's newer one");
  }
  shown_ = Credentials{proof.tenant, proof.key_id, key};
  return absl::OkStatus();
}

absl::Status Greeting::CheckAdmitted() const {
  if (admitted()) return absl::OkStatus();
  return Refusal(RefusalReason::kWrongOrder, Code::kFailedPrecondition,
                 state_ == State::kChallenged ? "the challenge is to be answered first"
                                              : "the first message must be Hello");
}

absl::Status Greeting::CheckStands(const KeyRing* keys, absl::Time now) const {
  if (state_ == State::kSilent || state_ == State::kChallenged) return CheckInTime(now);
  if (!shown_.has_value()) return absl::OkStatus();
  const KeyRing::Entry* entry =
      keys == nullptr ? nullptr : keys->Find(shown_->tenant, shown_->key_id);
  if (entry != nullptr && entry->key == shown_->key) return absl::OkStatus();
  return Refusal(RefusalReason::kWithdrawnKey, Code::kUnauthenticated,
                 "the service admits this key no longer");
}

}  // namespace pinboard::cache_service
