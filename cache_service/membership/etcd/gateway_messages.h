// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Bodies of etcd v3's JSON gateway: protocol buffers in JSON, so 64-bit integers are strings, bytes
// are base64, and what has its default value is left out. Source: etcd's rpc.proto, and the answers
// of etcd 3.4.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/strong_id.h"

namespace pinboard::cache_service::etcd {

using LeaseId = StrongId<struct LeaseIdTag, std::int64_t>;

/// etcd's lease: its keys go with it unless it is kept alive within `time_to_live`.
struct Lease {
  LeaseId id;
  absl::Duration time_to_live;
};

struct KeyValue {
  std::string key;
  std::string value;
};

/// Keys as they were at a revision of the store.
struct Range {
  std::int64_t revision = 0;
  std::vector<KeyValue> pairs;
};

struct WatchEvent {
  bool deleted = false;
  std::string key;
  std::string value;  // empty where deleted
};

std::string AuthenticateRequest(const std::string& user, const std::string& password);
std::string GrantRequest(absl::Duration time_to_live);
std::string LeaseRequest(LeaseId lease);  // to keep it alive, or to revoke it
std::string PutRequest(const std::string& key, const std::string& value, LeaseId lease);
/// All keys that begin with `prefix`, which must not be empty nor end with byte 255.
std::string RangeRequest(const std::string& prefix);
/// The changes of these keys from `first_revision` on.
std::string WatchRequest(const std::string& prefix, std::int64_t first_revision);

// Each reads one answer. An error that it holds keeps its gRPC code and message, but
// Unauthenticated stands for a missing user name too. Unknown: not such an answer.

absl::StatusOr<std::string> ParseToken(const std::string& answer);
absl::StatusOr<Lease> ParseGrant(const std::string& answer);
/// The time to live from now on; NotFound: there is no such lease any more.
absl::StatusOr<absl::Duration> ParseKeepAlive(const std::string& answer);
/// Of a put, or of the end of a lease.
absl::Status ParseDone(const std::string& answer);
absl::StatusOr<Range> ParseRange(const std::string& answer);
/// One line of a watch, in the order in which the changes were made; a line may hold none.
/// OutOfRange: the revisions asked for have been compacted. Any error ends the watch.
absl::StatusOr<std::vector<WatchEvent>> ParseWatch(const std::string& line);

}  // namespace pinboard::cache_service::etcd
