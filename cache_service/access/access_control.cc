// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/access_control.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cache_service/access/greeting.h"
#include "cache_service/access/tenant_file.h"

namespace pinboard::cache_service {
namespace {

absl::Status InFile(const WatchedFile& file, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(file.path(), ": ", std::string(status.message())));
}

}  // namespace

absl::StatusOr<AccessControl> AccessControl::Load(const std::string& key_file,
                                                  const std::string& tenant_file) {
  AccessControl access;
  if (key_file.empty()) {
    if (tenant_file.empty()) return access;
    return absl::InvalidArgumentError(
        absl::StrCat(tenant_file, " limits tenants, and without keys there are none: give keys"));
  }
  access.key_file_.emplace(key_file, WatchedFile::kSecret);
  PB_RETURN_IF_ERROR(access.ReadKeys());
  if (tenant_file.empty()) return access;
  access.tenant_file_.emplace(tenant_file, WatchedFile::kPublic);
  PB_RETURN_IF_ERROR(access.ReadLimits());
  return access;
}

absl::Status AccessControl::ReadKeys() {
  PB_ASSIGN_OR_RETURN(const std::string text, key_file_->Read());
  absl::StatusOr<KeyRing> keys = KeyRing::Parse(text);
  if (!keys.ok()) return InFile(*key_file_, keys.status());
  keys_ = *std::move(keys);
  return absl::OkStatus();
}

absl::Status AccessControl::ReadLimits() {
  PB_ASSIGN_OR_RETURN(const std::string text, tenant_file_->Read());
  auto limits = ParseTenantFile(text);
  if (!limits.ok()) return InFile(*tenant_file_, limits.status());
  for (const auto& [tenant, limit] : *limits) {
    if (keys_->HasTenant(tenant)) continue;
    return InFile(*tenant_file_, absl::InvalidArgumentError(absl::StrCat(
                                     "tenant ", tenant, " has no key in ", key_file_->path())));
  }
  limits_ = *std::move(limits);
  return absl::OkStatus();
}

bool AccessControl::Refresh() {
  bool changed = false;
  const auto refresh = [&](std::optional<WatchedFile>& file, bool due,
                           absl::Status (AccessControl::*read)()) {
    if (!file.has_value() || !(due || file->HasChanged())) return;
    if (const absl::Status status = (this->*read)(); !status.ok()) {
      LogError("what was read before stays: ", std::string(status.message()));
      return;
    }
    LogInfo("read ", file->path(), " again");
    changed = true;
  };
  refresh(key_file_, false, &AccessControl::ReadKeys);
  // Limits that named a tenant before its key came were refused then.
  refresh(tenant_file_, changed, &AccessControl::ReadLimits);
  return changed;
}

std::vector<std::string> AccessControl::tenants() const {
  return keys_.has_value() ? keys_->tenants() : std::vector<std::string>{kDefaultTenant};
}

TenantLimits AccessControl::LimitsOf(const std::string& tenant) const {
  const auto found = limits_.find(tenant);
  return found == limits_.end() ? TenantLimits{} : found->second;
}

}  // namespace pinboard::cache_service
