// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/etcd/etcd_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "cache_service/access/watched_file.h"

namespace pinboard::cache_service::etcd {
namespace {

constexpr long kHttpOk = 200;

bool MayBeInAName(char c) { return absl::ascii_isalnum(c) || c == '.' || c == '-'; }
bool MayBeInIpv6(char c) { return absl::ascii_isxdigit(c) || c == '.' || c == ':'; }

bool IsHost(absl::string_view host) {
  if (absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]")) {
    return !host.empty() && std::all_of(host.begin(), host.end(), MayBeInIpv6);
  }
  return !host.empty() && std::all_of(host.begin(), host.end(), MayBeInAName);
}

}  // namespace

absl::Status EtcdClient::Connect(const std::string& endpoint) {
  http_.CloseStream();
  endpoint_ = endpoint;
  token_.clear();
  if (credentials_.user.empty()) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(const std::string password, ReadPassword(credentials_.password_file));
  PB_ASSIGN_OR_RETURN(
      const std::string answer,
      Call("/v3/auth/authenticate", AuthenticateRequest(credentials_.user, password)));
  PB_ASSIGN_OR_RETURN(token_, ParseToken(answer));
  return absl::OkStatus();
}

HttpRequest EtcdClient::RequestOf(const char* path, std::string body) const {
  return {.url = endpoint_ + path, .authorization = token_, .body = std::move(body)};
}

absl::StatusOr<std::string> EtcdClient::Call(const char* path, std::string body) {
  auto answer = http_.Post(RequestOf(path, std::move(body)), call_timeout_);
  if (!answer.ok()) return answer.status();
  const bool json = absl::StartsWith(answer->body, "{");
  if (answer->status == kHttpOk || json) return std::move(answer->body);
  return absl::UnavailableError(absl::StrCat(path, " is answered with HTTP status ", answer->status,
                                             ": etcd 3.4 or later is needed"));
}

absl::StatusOr<Lease> EtcdClient::Grant(absl::Duration time_to_live) {
  PB_ASSIGN_OR_RETURN(const std::string answer,
                      Call("/v3/lease/grant", GrantRequest(time_to_live)));
  return ParseGrant(answer);
}

absl::StatusOr<absl::Duration> EtcdClient::KeepAlive(LeaseId lease) {
  PB_ASSIGN_OR_RETURN(const std::string answer, Call("/v3/lease/keepalive", LeaseRequest(lease)));
  return ParseKeepAlive(answer);
}

absl::Status EtcdClient::Revoke(LeaseId lease) {
  PB_ASSIGN_OR_RETURN(const std::string answer, Call("/v3/lease/revoke", LeaseRequest(lease)));
  const absl::Status revoked = ParseDone(answer);
  return absl::IsNotFound(revoked) ? absl::OkStatus() : revoked;
}

absl::Status EtcdClient::Put(const std::string& key, const std::string& value, LeaseId lease) {
  PB_ASSIGN_OR_RETURN(const std::string answer, Call("/v3/kv/put", PutRequest(key, value, lease)));
  return ParseDone(answer);
}

absl::StatusOr<Range> EtcdClient::List(const std::string& prefix) {
  PB_ASSIGN_OR_RETURN(const std::string answer, Call("/v3/kv/range", RangeRequest(prefix)));
  return ParseRange(answer);
}

void EtcdClient::Watch(const std::string& prefix, std::int64_t first_revision) {
  http_.OpenStream(RequestOf("/v3/watch", WatchRequest(prefix, first_revision)));
}

absl::StatusOr<std::optional<std::vector<WatchEvent>>> EtcdClient::NextEvents(
    absl::Duration timeout) {
  PB_ASSIGN_OR_RETURN(const std::optional<std::string> line, http_.NextLine(timeout));
  if (!line) return std::optional<std::vector<WatchEvent>>();
  PB_ASSIGN_OR_RETURN(std::vector<WatchEvent> events, ParseWatch(*line));
  return std::optional<std::vector<WatchEvent>>(std::move(events));
}

absl::StatusOr<std::string> ReadPassword(const std::string& path) {
  PB_ASSIGN_OR_RETURN(const std::string content, WatchedFile(path, WatchedFile::kSecret).Read());
  std::string password(*absl::StrSplit(content, '\n').begin());
  absl::StripTrailingAsciiWhitespace(&password);
  if (password.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " holds no password in its first line"));
  }
  return password;
}

absl::StatusOr<std::string> ParseEndpoint(const std::string& text) {
  absl::string_view rest = text;
  const bool has_scheme =
      absl::ConsumePrefix(&rest, "http://") || absl::ConsumePrefix(&rest, "https://");
  absl::ConsumeSuffix(&rest, "/");
  const auto colon = rest.rfind(':');
  int port = 0;
  if (!has_scheme || colon == absl::string_view::npos || !IsHost(rest.substr(0, colon)) ||
      !absl::SimpleAtoi(rest.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot read the endpoint '", text, "': write http://HOST:PORT or https://HOST:PORT"));
  }
  return std::string(absl::StripSuffix(text, "/"));
}

}  // namespace pinboard::cache_service::etcd
