// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/tenant_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pinboard::testing {
namespace {

constexpr char kKeys[] = "keys";
constexpr char kLimits[] = "tenants";
// Of any of the files.
constexpr char kHalfALine[] = "t1 half";

std::string NameOf(int tenant) { return absl::StrCat("t", tenant); }

std::string KeyText(int tenant, int number) {
  return absl::StrFormat("hex:%032x%032x", tenant, number);
}

std::string KeyLine(int tenant, int number) {
  return absl::StrCat(NameOf(tenant), " ", number, " ", KeyText(tenant, number), "\n");
}

}  // namespace

TenantFiles::TenantFiles(std::vector<cache_service::TenantLimits> limits) {
  for (const cache_service::TenantLimits& limit : limits) tenants_.push_back({limit});
  Mend();
  for (int tenant = 1; tenant <= static_cast<int>(tenants_.size()); ++tenant) {
    Write(NameOf(tenant), KeyLine(tenant, 1));
  }
}

std::vector<std::string> TenantFiles::Arguments() const {
  return {"--keys", PathOf(kKeys), "--tenants", PathOf(kLimits)};
}

std::string TenantFiles::ClientKeyFile(int tenant) const { return PathOf(NameOf(tenant)); }

cache_service::Credentials TenantFiles::Key(int tenant, int number) {
  return {NameOf(tenant), absl::StrCat(number),
          *cache_service::AccessKey::Parse(KeyText(tenant, number))};
}

void TenantFiles::WithdrawKeys(int tenant) {
  Of(tenant).first_key = Of(tenant).last_key + 1;
  Write(kKeys, Keys());
}

void TenantFiles::GiveKey(int tenant) {
  const int number = ++Of(tenant).last_key;
  Write(kKeys, Keys());
  Write(NameOf(tenant), KeyLine(tenant, number));
}

void TenantFiles::WithdrawOldKeys(int tenant) {
  if (Of(tenant).last_key == 1 && !HasWithdrawn(tenant)) return;
  Of(tenant).first_key = std::max(Of(tenant).first_key, Of(tenant).last_key);
  Write(kKeys, Keys());
}

void TenantFiles::SetLimits(const std::vector<cache_service::TenantLimits>& limits) {
  for (std::size_t i = 0; i < tenants_.size(); ++i) tenants_[i].limits = limits[i];
  Write(kLimits, Limits());
}

void TenantFiles::DamageKeys() const { Write(kKeys, Keys() + kHalfALine); }

void TenantFiles::DamageLimits() const { Write(kLimits, Limits() + kHalfALine); }

void TenantFiles::Mend() const {
  Write(kKeys, Keys());
  Write(kLimits, Limits());
}

std::string TenantFiles::Keys() const {
  std::string text;
  for (int tenant = 1; tenant <= static_cast<int>(tenants_.size()); ++tenant) {
    text += KeyLine(tenant, kOfRun);
    for (int key = Of(tenant).first_key; key <= Of(tenant).last_key; ++key) {
      text += KeyLine(tenant, key);
    }
  }
  return text;
}

std::string TenantFiles::Limits() const {
  std::string text;
  for (int tenant = 1; tenant <= static_cast<int>(tenants_.size()); ++tenant) {
    const cache_service::TenantLimits& limits = Of(tenant).limits;
    absl::StrAppend(&text, NameOf(tenant), " bytes=", *limits.bytes, " pages=", limits.pages,
                    " priority=", limits.priority, "\n");
  }
  return text;
}

void TenantFiles::Write(const std::string& name, const std::string& text) const {
  // Another file takes its place at once.
  const std::string next = PathOf("next");
  std::ofstream(next) << text;
  chmod(next.c_str(), 0600);
  std::filesystem::rename(next, PathOf(name));
}

}  // namespace pinboard::testing
