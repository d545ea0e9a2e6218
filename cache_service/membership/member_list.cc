// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/membership/member_list.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/socket_address.h"
#include "base/status_macros.h"

namespace pinboard::cache_service {
namespace {

absl::Status Append(absl::string_view text, std::vector<Member>& members) {
  PB_ASSIGN_OR_RETURN(Member member, ParseMember(text));
  const auto same = [&member](const Member& other) { return other.name == member.name; };
  if (std::any_of(members.begin(), members.end(), same)) {
    return absl::InvalidArgumentError(absl::StrCat(member.name, " is listed twice"));
  }
  members.push_back(std::move(member));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Member> ParseMember(absl::string_view text) {
  const auto equals = text.find('=');
  PB_ASSIGN_OR_RETURN(const SocketAddress address, ParseSocketAddress(text.substr(0, equals)));
  if (address.port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' has no port that others could reach: write the member's own"));
  }
  Member member{.name = address.ToString(), .address = address.ToString()};
  if (equals == absl::string_view::npos) return member;
  if (!absl::SimpleAtoi(text.substr(equals + 1), &member.weight) || member.weight == 0 ||
      member.weight > kMaxMemberWeight) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the weight of '", text, "' is not a whole number of 1 to ", kMaxMemberWeight));
  }
  return member;
}

absl::StatusOr<std::vector<Member>> ParseMemberList(absl::string_view text) {
  std::vector<Member> members;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    PB_RETURN_IF_ERROR(Append(absl::StripAsciiWhitespace(part), members));
  }
  return members;
}

absl::StatusOr<std::vector<Member>> ParseMemberLines(absl::string_view text) {
  std::vector<Member> members;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    if (const absl::Status appended = Append(line, members); !appended.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", std::string(appended.message())));
    }
  }
  if (members.empty()) return absl::InvalidArgumentError("no member is listed");
  return members;
}

}  // namespace pinboard::cache_service
