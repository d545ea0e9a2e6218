// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The files by which a service knows its tenants, changed as an operator changes them.
#pragma once

#include <string>
#include <vector>

#include "cache_service/access/key_ring.h"
#include "cache_service/inventory/tenant_limits.h"
#include "tests/support/temporary_folder.h"

namespace pinboard::testing {

/// Tenants 1 to n, each with a key of the run, which is always good, and one that its clients were
/// given last. What is written is whole again, whatever was damaged before.
class TenantFiles {
 public:
  /// One for each tenant; `bytes` must be set.
  explicit TenantFiles(std::vector<cache_service::TenantLimits> limits);

  /// Of pinboardd.
  std::vector<std::string> Arguments() const;
  /// With the key that the tenant's clients were given last.
  std::string ClientKeyFile(int tenant) const;
  cache_service::Credentials OfRun(int tenant) const { return Key(tenant, kOfRun); }

  /// Takes out all keys of the tenant's clients.
  void WithdrawKeys(int tenant);
  /// Adds a key and gives it to the tenant's clients.
  void GiveKey(int tenant);
  /// Takes out all keys of the tenant's clients but the last. No effect where they had but one.
  void WithdrawOldKeys(int tenant);
  /// Whether the tenant's clients have no key that is good.
  bool AreCutOff(int tenant) const { return Of(tenant).first_key > Of(tenant).last_key; }
  /// Whether they ever had one that was taken out; the last of those.
  bool HasWithdrawn(int tenant) const { return Of(tenant).first_key > 1; }
  cache_service::Credentials Withdrawn(int tenant) const {
    return Key(tenant, Of(tenant).first_key - 1);
  }

  void SetLimits(const std::vector<cache_service::TenantLimits>& limits);
  const cache_service::TenantLimits& LimitsOf(int tenant) const { return Of(tenant).limits; }

  /// As if somebody had not finished writing.
  void DamageKeys() const;
  void DamageLimits() const;
  void Mend() const;

 private:
  static constexpr int kOfRun = 0;
  struct Tenant {
    cache_service::TenantLimits limits;
    int first_key = 1;  // of its clients: those up to the last are good
    int last_key = 1;
  };

  static cache_service::Credentials Key(int tenant, int number);
  Tenant& Of(int tenant) { return tenants_[tenant - 1]; }
  const Tenant& Of(int tenant) const { return tenants_[tenant - 1]; }
  std::string Keys() const;
  std::string Limits() const;
  void Write(const std::string& name, const std::string& text) const;
  std::string PathOf(const std::string& name) const { return folder_.path() + "/" + name; }

  const TemporaryFolder folder_;
  std::vector<Tenant> tenants_;
};

}  // namespace pinboard::testing
