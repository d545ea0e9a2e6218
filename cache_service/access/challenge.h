// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How a client proves that it has a tenant's key without showing it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cache_service/access/access_key.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// With `key`, over all that the two sides have said: the text "pinboard-challenge-1" and the
/// Hello, the Challenge and the Proof as they are sent, with request id 0 and the Proof's mac zero.
/// So a proof holds for one nonce, tenant, group, process, version, set of features and
/// incarnation.
Digest TranscriptMac(const AccessKey& key, const Hello& hello, const Challenge& challenge,
                     const Proof& proof);

/// The client's half, with a nonce of its own. FailedPrecondition: the challenge is not within what
/// `hello` offered.
absl::StatusOr<Proof> Answer(const Credentials& credentials, const Hello& hello,
                             const Challenge& challenge);

}  // namespace pinboard::cache_service
