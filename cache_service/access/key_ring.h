// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The keys by which tenants are known, from a file.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cache_service/access/access_key.h"

namespace pinboard::cache_service {

/// What a client shows: whose key, which of the tenant's keys, and the key.
struct Credentials {
  std::string tenant;
  std::string key_id;
  AccessKey key;
};

/// Keys by tenant and id. Text, one key a line, # begins a comment:
///
///   # tenant  key id   key                      expires, RFC 3339 (left out: never)
///   acme      2026-11  hex:9f86d081884c7d65...  2027-01-31T00:00:00Z
///   acme      2027-01  base64:n4bQgYhMfWWaL...
///
/// Tenants and key ids are 1 to 64 letters, digits, '.', '_' or '-'. Several keys of a tenant are
/// all valid: so keys are changed without a break. Immutable, so thread-safe.
class KeyRing {
 public:
  /// InvalidArgument, in one line that names the line and shows no key: it is malformed, a key id
  /// comes twice, or there is no key.
  static absl::StatusOr<KeyRing> Parse(const std::string& text);

  struct Entry {
    AccessKey key;
    absl::Time expires = absl::InfiniteFuture();
  };
  /// Null where there is none.
  const Entry* Find(const std::string& tenant, const std::string& key_id) const;
  bool HasTenant(const std::string& tenant) const;
  /// Each once, in alphabetical order.
  std::vector<std::string> tenants() const;
  /// Of the tenant's keys that have not expired, that which lasts longest. NotFound: none has not.
  absl::StatusOr<Credentials> CredentialsOf(const std::string& tenant, absl::Time now) const;
  std::size_t size() const { return keys_.size(); }

 private:
  std::map<std::pair<std::string, std::string>, Entry> keys_;
};

/// Reads the one key of a client's file, which has the form of the service's. InvalidArgument, in
/// one line that names the file: it cannot be read, others may read it, or it has not exactly one
/// key.
absl::StatusOr<Credentials> LoadCredentials(const std::string& path);

}  // namespace pinboard::cache_service
