// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/challenge.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cache_service/protocol/negotiation.h"

namespace pinboard::cache_service {
namespace {

const std::string kLabel = "pinboard-challenge-1";

}  // namespace

Digest TranscriptMac(const AccessKey& key, const Hello& hello, const Challenge& challenge,
                     const Proof& proof) {
  Proof unsigned_proof = proof;
  unsigned_proof.mac = {};
  ByteWriter transcript;
  transcript(kLabel);
  std::vector<std::byte> bytes = transcript.Take();
  for (const std::vector<std::byte>& message :
       {EncodeMessage(0, hello), EncodeMessage(0, challenge), EncodeMessage(0, unsigned_proof)}) {
    bytes.insert(bytes.end(), message.begin(), message.end());
  }
  return key.Sign(bytes);
}

absl::StatusOr<Proof> Answer(const Credentials& credentials, const Hello& hello,
                             const Challenge& challenge) {
  PB_RETURN_IF_ERROR(
      CheckAgreed(hello, {.version = challenge.version, .features = challenge.features}));
  Proof proof{.service_nonce = challenge.nonce,
              .client_nonce = RandomNonce(),
              .tenant = credentials.tenant,
              .key_id = credentials.key_id};
  proof.mac = TranscriptMac(credentials.key, hello, challenge, proof);
  return proof;
}

}  // namespace pinboard::cache_service
