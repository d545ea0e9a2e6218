// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The calls of etcd v3 that membership is made of.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cache_service/membership/etcd/gateway_messages.h"
#include "cache_service/membership/etcd/http_client.h"

namespace pinboard::cache_service::etcd {

/// How etcd knows who asks.
struct Credentials {
  std::string user;           // empty: nobody in particular
  std::string password_file;  // its first line; read anew each time, and never shown
};

/// One endpoint at a time. Thread-compatible. Every call ends within `call_timeout`. Errors are
/// those of HttpClient and of etcd (gateway_messages.h); Unauthenticated: connect again.
class EtcdClient {
 public:
  /// `http` must outlive the client.
  EtcdClient(HttpClient& http, Credentials credentials, absl::Duration call_timeout)
      : http_(http), credentials_(std::move(credentials)), call_timeout_(call_timeout) {}

  /// From now on calls go to `endpoint` ("https://10.0.0.1:2379"), with a new token where there is
  /// a user. Ends the watch.
  absl::Status Connect(const std::string& endpoint);

  absl::StatusOr<Lease> Grant(absl::Duration time_to_live);
  /// NotFound: the lease is lost.
  absl::StatusOr<absl::Duration> KeepAlive(LeaseId lease);
  /// Its keys are deleted. Ok also where there is no such lease.
  absl::Status Revoke(LeaseId lease);
  /// NotFound: the lease is lost.
  absl::Status Put(const std::string& key, const std::string& value, LeaseId lease);
  absl::StatusOr<Range> List(const std::string& prefix);

  /// Begins to watch; replaces an earlier watch.
  void Watch(const std::string& prefix, std::int64_t first_revision);
  void EndWatch() { http_.CloseStream(); }
  /// The next changes; nothing after a wake of the HttpClient or `timeout`. An error ends the
  /// watch. Requires one.
  absl::StatusOr<std::optional<std::vector<WatchEvent>>> NextEvents(absl::Duration timeout);

 private:
  HttpRequest RequestOf(const char* path, std::string body) const;
  absl::StatusOr<std::string> Call(const char* path, std::string body);

  HttpClient& http_;
  const Credentials credentials_;
  const absl::Duration call_timeout_;
  std::string endpoint_;
  std::string token_;
};

/// The first line of a file of one password, which others than its owner and group may not read.
/// Errors name the file, and never what is in it.
absl::StatusOr<std::string> ReadPassword(const std::string& path);

/// Reads http:// or https://, a host (an IP literal, in brackets where IPv6, or a name) and a
/// port, perhaps with a / after it, which is left out. InvalidArgument: anything else.
absl::StatusOr<std::string> ParseEndpoint(const std::string& text);

}  // namespace pinboard::cache_service::etcd
