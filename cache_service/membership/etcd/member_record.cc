// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/etcd/member_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/socket_address.h"
#include "base/status_macros.h"

namespace pinboard::cache_service::etcd {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxNameBytes = 128;
constexpr char kJoined[] = "joined";
constexpr char kDraining[] = "draining";

absl::StatusOr<std::string> Text(const json& record, const char* field) {
  const auto found = record.find(field);
  if (found != record.end() && found->is_string()) return found->get<std::string>();
  return absl::InvalidArgumentError(absl::StrCat("it has no ", field));
}

bool MayBeInAName(char c) {
  return absl::ascii_isalnum(c) || absl::string_view("._-:[]").find(c) != absl::string_view::npos;
}

}  // namespace

absl::Status CheckMemberName(const std::string& name) {
  if (!name.empty() && name.size() <= kMaxNameBytes &&
      std::all_of(name.begin(), name.end(), MayBeInAName)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "a name has 1 to ", kMaxNameBytes, " letters, digits and . _ - : [ ] and nothing else"));
}

std::string MemberRecord(const Member& member) {
  return json{{"address", member.address},
              {"incarnation", absl::StrFormat("%016x", member.incarnation)},
              {"state", member.state == MemberState::kDraining ? kDraining : kJoined},
              {"weight", member.weight}}
      .dump();
}

absl::StatusOr<Member> ParseMemberRecord(const std::string& name, const std::string& record) {
  PB_RETURN_IF_ERROR(CheckMemberName(name));
  const json fields = json::parse(record, nullptr, /*allow_exceptions=*/false);
  if (!fields.is_object()) return absl::InvalidArgumentError("it is no JSON object");
  Member member{.name = name};
  PB_ASSIGN_OR_RETURN(const std::string address_text, Text(fields, "address"));
  PB_ASSIGN_OR_RETURN(const SocketAddress address, ParseSocketAddress(address_text));
  if (address.port == 0) return absl::InvalidArgumentError("its address has no port");
  member.address = address.ToString();
  PB_ASSIGN_OR_RETURN(const std::string incarnation, Text(fields, "incarnation"));
  if (!absl::SimpleHexAtoi(incarnation, &member.incarnation)) {
    return absl::InvalidArgumentError("its incarnation is no hexadecimal number of 64 bits");
  }
  const auto weight = fields.find("weight");
  if (weight == fields.end() || !weight->is_number_unsigned() ||
      weight->get<std::uint64_t>() == 0 || weight->get<std::uint64_t>() > kMaxMemberWeight) {
    return absl::InvalidArgumentError(absl::StrCat("its weight is not 1 to ", kMaxMemberWeight));
  }
  member.weight = weight->get<std::uint32_t>();
  PB_ASSIGN_OR_RETURN(const std::string state, Text(fields, "state"));
  if (state != kJoined && state != kDraining) {
    return absl::InvalidArgumentError("its state is neither joined nor draining");
  }
  if (state == kDraining) member.state = MemberState::kDraining;
  return member;
}

}  // namespace pinboard::cache_service::etcd
