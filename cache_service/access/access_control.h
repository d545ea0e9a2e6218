// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Who may use the service, and how much of it: what its operator wrote, as it is now.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/access/watched_file.h"
#include "cache_service/inventory/tenant_limits.h"

namespace pinboard::cache_service {

/// Keys and limits, read again when their files change. Thread-compatible.
class AccessControl {
 public:
  /// Without a key file there is one tenant, the default one, and everybody is it. InvalidArgument,
  /// in one line that names the file: it cannot be read or is malformed, or there are limits for a
  /// tenant without a key.
  static absl::StatusOr<AccessControl> Load(const std::string& key_file,
                                            const std::string& tenant_file);

  /// Null where everybody is let in.
  const KeyRing* keys() const { return keys_.has_value() ? &*keys_ : nullptr; }
  std::vector<std::string> tenants() const;
  /// The file's, or none for a tenant that it does not name.
  TenantLimits LimitsOf(const std::string& tenant) const;

  /// Whether anything is another than before. A changed file that Load would refuse changes
  /// nothing: one line in the log says why, once.
  bool Refresh();

 private:
  AccessControl() = default;
  absl::Status ReadKeys();
  absl::Status ReadLimits();

  std::optional<WatchedFile> key_file_;
  std::optional<WatchedFile> tenant_file_;
  std::optional<KeyRing> keys_;
  absl::flat_hash_map<std::string, TenantLimits> limits_;
};

}  // namespace pinboard::cache_service
