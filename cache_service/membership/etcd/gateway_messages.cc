// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/etcd/gateway_messages.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::cache_service::etcd {
namespace {

using nlohmann::json;

constexpr std::size_t kShownBytes = 200;  // of what a peer says
constexpr int kLastGrpcCode = 16;

/// Says nothing of the answer, which may hold a token.
absl::Status NoAnswer() {
  return absl::UnknownError("what came is no answer of etcd v3's JSON gateway");
}

std::string Base64(const std::string& bytes) { return absl::Base64Escape(bytes); }

/// The end of the keys that begin with `prefix`: the first that is greater than all of them.
std::string EndOf(std::string prefix) {
  ++prefix.back();
  return prefix;
}

const json& Field(const json& object, const char* name) {
  static const auto& absent = *new json();
  if (!object.is_object()) return absent;
  const auto found = object.find(name);
  return found == object.end() ? absent : *found;
}

/// 0 where it is left out.
absl::StatusOr<std::int64_t> Integer(const json& object, const char* name) {
  const json& field = Field(object, name);
  std::int64_t value = 0;
  if (field.is_null()) return value;
  if (field.is_number_integer()) return field.get<std::int64_t>();
  if (field.is_string() && absl::SimpleAtoi(field.get_ref<const std::string&>(), &value)) {
    return value;
  }
  return absl::UnknownError(absl::StrCat("etcd's ", name, " is no integer"));
}

/// Empty where it is left out.
std::string Text(const json& object, const char* name) {
  const json& field = Field(object, name);
  return field.is_string() ? field.get<std::string>() : "";
}

absl::StatusOr<std::string> Bytes(const json& object, const char* name) {
  std::string bytes;
  if (absl::Base64Unescape(Text(object, name), &bytes)) return bytes;
  return absl::UnknownError(absl::StrCat("etcd's ", name, " is not in base64"));
}

bool MeansUnauthenticated(const std::string& message) {
  return absl::StrContains(message, "user name is empty") ||
         absl::StrContains(message, "code = Unauthenticated");
}

/// The error of a call ("error", "message", "code") or of a stream ("error": {"grpc_code", ...}).
absl::Status ErrorIn(const json& answer) {
  const json& error = Field(answer, "error");
  if (error.is_null()) return absl::OkStatus();
  const bool streamed = error.is_object();
  std::string message = Text(streamed ? error : answer, "message");
  if (message.empty()) message = "an error without a message";
  const auto code = streamed ? Integer(error, "grpc_code") : Integer(answer, "code");
  if (MeansUnauthenticated(message)) return absl::UnauthenticatedError(message);
  const bool known = code.ok() && *code > 0 && *code <= kLastGrpcCode;
  return absl::Status(static_cast<absl::StatusCode>(known ? *code : 2),
                      message.substr(0, kShownBytes));
}

/// An answer that has a header and no error.
absl::StatusOr<json> Parse(const std::string& answer, bool streamed) {
  json parsed = json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return NoAnswer();
  PB_RETURN_IF_ERROR(ErrorIn(parsed));
  if (streamed) parsed = json(Field(parsed, "result"));
  if (!Field(parsed, "header").is_object()) return NoAnswer();
  return parsed;
}

absl::Status CancelOf(const json& watch) {
  PB_ASSIGN_OR_RETURN(const std::int64_t compacted, Integer(watch, "compact_revision"));
  if (compacted != 0) {
    return absl::OutOfRangeError(absl::StrCat("revisions before ", compacted, " are compacted"));
  }
  const std::string reason = Text(watch, "cancel_reason").substr(0, kShownBytes);
  if (MeansUnauthenticated(reason)) return absl::UnauthenticatedError(reason);
  if (absl::StrContains(reason, "permission denied")) return absl::PermissionDeniedError(reason);
  return absl::AbortedError(absl::StrCat("the watch was cancelled: ", reason));
}

absl::StatusOr<KeyValue> ParseKeyValue(const json& pair) {
  KeyValue parsed;
  PB_ASSIGN_OR_RETURN(parsed.key, Bytes(pair, "key"));
  PB_ASSIGN_OR_RETURN(parsed.value, Bytes(pair, "value"));
  return parsed;
}

}  // namespace

std::string AuthenticateRequest(const std::string& user, const std::string& password) {
  return json{{"name", user}, {"password", password}}.dump(-1, ' ', false,
                                                           json::error_handler_t::replace);
}

std::string GrantRequest(absl::Duration time_to_live) {
  return json{{"TTL", absl::ToInt64Seconds(time_to_live)}}.dump();
}

std::string LeaseRequest(LeaseId lease) { return json{{"ID", absl::StrCat(lease.value())}}.dump(); }

std::string PutRequest(const std::string& key, const std::string& value, LeaseId lease) {
  return json{
      {"key", Base64(key)}, {"value", Base64(value)}, {"lease", absl::StrCat(lease.value())}}
      .dump();
}

std::string RangeRequest(const std::string& prefix) {
  return json{{"key", Base64(prefix)}, {"range_end", Base64(EndOf(prefix))}}.dump();
}

std::string WatchRequest(const std::string& prefix, std::int64_t first_revision) {
  const json create = {{"key", Base64(prefix)},
                       {"range_end", Base64(EndOf(prefix))},
                       {"start_revision", absl::StrCat(first_revision)}};
  return json{{"create_request", create}}.dump();
}

absl::StatusOr<std::string> ParseToken(const std::string& answer) {
  PB_ASSIGN_OR_RETURN(const json parsed, Parse(answer, false));
  std::string token = Text(parsed, "token");
  if (token.empty() || absl::StrContains(token, "\r") || absl::StrContains(token, "\n")) {
    return absl::UnknownError("etcd's answer to the password holds no token");
  }
  return token;
}

absl::StatusOr<Lease> ParseGrant(const std::string& answer) {
  PB_ASSIGN_OR_RETURN(const json parsed, Parse(answer, false));
  PB_ASSIGN_OR_RETURN(const std::int64_t id, Integer(parsed, "ID"));
  PB_ASSIGN_OR_RETURN(const std::int64_t seconds, Integer(parsed, "TTL"));
  if (id == 0 || seconds <= 0) return NoAnswer();
  return Lease{.id = LeaseId(id), .time_to_live = absl::Seconds(seconds)};
}

absl::StatusOr<absl::Duration> ParseKeepAlive(const std::string& answer) {
  PB_ASSIGN_OR_RETURN(const json parsed, Parse(answer, true));
  PB_ASSIGN_OR_RETURN(const std::int64_t seconds, Integer(parsed, "TTL"));
  if (seconds <= 0) return absl::NotFoundError("the lease has expired");
  return absl::Seconds(seconds);
}

absl::Status ParseDone(const std::string& answer) { return Parse(answer, false).status(); }

absl::StatusOr<Range> ParseRange(const std::string& answer) {
  PB_ASSIGN_OR_RETURN(const json parsed, Parse(answer, false));
  Range range;
  PB_ASSIGN_OR_RETURN(range.revision, Integer(parsed["header"], "revision"));
  for (const json& pair : Field(parsed, "kvs")) {
    PB_ASSIGN_OR_RETURN(KeyValue parsed_pair, ParseKeyValue(pair));
    range.pairs.push_back(std::move(parsed_pair));
  }
  return range;
}

absl::StatusOr<std::vector<WatchEvent>> ParseWatch(const std::string& line) {
  PB_ASSIGN_OR_RETURN(const json parsed, Parse(line, true));
  if (Field(parsed, "canceled") == true) return CancelOf(parsed);
  std::vector<WatchEvent> events;
  for (const json& event : Field(parsed, "events")) {
    PB_ASSIGN_OR_RETURN(KeyValue pair, ParseKeyValue(Field(event, "kv")));
    const bool deleted = Text(event, "type") == "DELETE";
    events.push_back({.deleted = deleted,
                      .key = std::move(pair.key),
                      .value = deleted ? "" : std::move(pair.value)});
  }
  return events;
}

}  // namespace pinboard::cache_service::etcd
