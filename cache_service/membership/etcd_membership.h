// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members that keep themselves in etcd, each under a lease of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "cache_service/membership/etcd/etcd_client.h"
#include "cache_service/membership/etcd/http_client.h"
#include "cache_service/membership/membership.h"

namespace pinboard::cache_service {

struct EtcdOptions {
  std::vector<std::string> endpoints;  // as ParseEndpoint gives them; at least one
  etcd::TlsFiles tls;
  etcd::Credentials credentials;
  std::string prefix = "/pinboard/default/members/";  // of the members' keys; ends with /
  /// A member that has not been heard of for so long is no member any more. Whole seconds, at
  /// least 2; etcd may give more.
  absl::Duration time_to_live = absl::Seconds(10);
};

/// A thread of its own talks to etcd, one endpoint after another, each call with a deadline of a
/// third of the time to live. Whatever fails, it begins anew (connect, list, watch) after a pause
/// of up to as much; the members last known stay in the view until etcd is there again. A lease
/// that is lost, or a key that somebody deletes, is put again. A name whose record tells of another
/// incarnation is left to whoever put it, which is logged.
///
/// Leave ends the lease; destroyed without it, the member is forgotten when its time to live is
/// over. `metrics` must outlive it. Errors: Internal, where libcurl cannot start.
absl::StatusOr<std::unique_ptr<Membership>> MakeEtcdMembership(const EtcdOptions& options,
                                                               MetricRegistry& metrics);

/// The same over `http`, which was given no other work.
std::unique_ptr<Membership> MakeEtcdMembership(const EtcdOptions& options,
                                               std::unique_ptr<etcd::HttpClient> http,
                                               MetricRegistry& metrics);

}  // namespace pinboard::cache_service
