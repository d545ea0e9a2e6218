// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/client_greeting.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cache_service/access/challenge.h"
#include "cache_service/protocol/negotiation.h"

namespace pinboard::cache_service {

ClientGreeting::ClientGreeting(Hello hello, std::optional<Credentials> credentials,
                               std::string address)
    : hello_(std::move(hello)),
      credentials_(std::move(credentials)),
      address_(std::move(address)) {}

absl::StatusOr<std::optional<Proof>> ClientGreeting::OnChallenge(const Challenge& challenge) {
  if (!credentials_.has_value() || welcome_.has_value() || std::exchange(challenged_, true)) {
    return absl::FailedPreconditionError("a challenge that was not offered, or a second one");
  }
  absl::StatusOr<Proof> proof = Answer(*credentials_, hello_, challenge);
  if (proof.ok()) return std::optional<Proof>(*std::move(proof));
  refused_ = proof.status();
  return std::optional<Proof>();
}

absl::Status ClientGreeting::OnWelcome(const Welcome& welcome) {
  if (welcome_.has_value()) return absl::FailedPreconditionError("Welcome came twice");
  if (credentials_.has_value() && !challenged_) {
    refused_ = absl::FailedPreconditionError(absl::StrCat(
        "the cache service at ", address_,
        " admits everybody: it was given no keys; leave --service-key out, or give it keys"));
    return absl::OkStatus();
  }
  refused_ = CheckAgreed(hello_, welcome);
  if (refused_.ok()) welcome_ = welcome;
  return absl::OkStatus();
}

}  // namespace pinboard::cache_service
