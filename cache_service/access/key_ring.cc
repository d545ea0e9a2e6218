// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/key_ring.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cache_service/access/config_lines.h"
#include "cache_service/access/watched_file.h"

namespace pinboard::cache_service {
namespace {

constexpr char kForm[] = "TENANT KEY-ID KEY [EXPIRES]";

struct NamedEntry {
  std::pair<std::string, std::string> name;
  KeyRing::Entry entry;
};

absl::StatusOr<NamedEntry> ParseLine(const std::vector<std::string>& words) {
  if (words.size() < 3 || words.size() > 4) {
    return absl::InvalidArgumentError(
        absl::StrCat(words.size(), " words where ", kForm, " are expected"));
  }
  PB_RETURN_IF_ERROR(CheckName("tenant", words[0]));
  PB_RETURN_IF_ERROR(CheckName("key id", words[1]));
  PB_ASSIGN_OR_RETURN(AccessKey key, AccessKey::Parse(words[2]));
  absl::Time expires = absl::InfiniteFuture();
  std::string error;
  if (words.size() == 4 && !absl::ParseTime(absl::RFC3339_full, words[3], &expires, &error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", words[3], "\" is no time such as 2027-01-31T00:00:00Z"));
  }
  return NamedEntry{{words[0], words[1]}, {key, expires}};
}

}  // namespace

absl::StatusOr<KeyRing> KeyRing::Parse(const std::string& text) {
  KeyRing ring;
  for (const ConfigLine& line : SplitConfig(text)) {
    const auto parsed = ParseLine(line.words);
    if (!parsed.ok()) return InLine(line, parsed.status());
    if (!ring.keys_.emplace(parsed->name, parsed->entry).second) {
      return InLine(line, absl::InvalidArgumentError(absl::StrCat(
                              "tenant ", parsed->name.first, " has a key ", parsed->name.second,
                              " already: give this one another id")));
    }
  }
  if (ring.keys_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("no key: a line is ", kForm));
  }
  return ring;
}

const KeyRing::Entry* KeyRing::Find(const std::string& tenant, const std::string& key_id) const {
  const auto found = keys_.find({tenant, key_id});
  return found == keys_.end() ? nullptr : &found->second;
}

bool KeyRing::HasTenant(const std::string& tenant) const {
  const auto first = keys_.lower_bound({tenant, ""});
  return first != keys_.end() && first->first.first == tenant;
}

std::vector<std::string> KeyRing::tenants() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : keys_) {
    if (names.empty() || names.back() != name.first) names.push_back(name.first);
  }
  return names;
}

absl::StatusOr<Credentials> KeyRing::CredentialsOf(const std::string& tenant,
                                                   absl::Time now) const {
  auto longest = keys_.end();
  for (auto key = keys_.lower_bound({tenant, ""}); key != keys_.end() && key->first.first == tenant;
       ++key) {
    if (key->second.expires <= now) continue;
    if (longest == keys_.end() || key->second.expires > longest->second.expires) longest = key;
  }
  if (longest == keys_.end()) {
    return absl::NotFoundError(absl::StrCat("tenant ", tenant, " has no key that is valid"));
  }
  return Credentials{tenant, longest->first.second, longest->second.key};
}

absl::StatusOr<Credentials> LoadCredentials(const std::string& path) {
  PB_ASSIGN_OR_RETURN(const std::string text, WatchedFile(path, WatchedFile::kSecret).Read());
  const absl::StatusOr<KeyRing> ring = KeyRing::Parse(text);
  if (!ring.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", std::string(ring.status().message())));
  }
  if (ring->size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has ", ring->size(), " keys: a client's file has one"));
  }
  return ring->CredentialsOf(ring->tenants().front(), absl::InfinitePast());
}

}  // namespace pinboard::cache_service
