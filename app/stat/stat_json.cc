// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/stat/stat_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace pinboard::app {
namespace {

using Json = nlohmann::ordered_json;

/// Where "pinboard_service_slabs{state=\"leased\"}" belongs: under "slabs", "leased"; each further
/// label is a level below.
Json& Place(const std::string& name, Json* object) {
  const absl::string_view plain = absl::StripPrefix(name, "pinboard_service_");
  const std::pair<std::string, std::string> parts = absl::StrSplit(plain, absl::MaxSplits('{', 1));
  Json* place = &(*object)[parts.first];
  const std::vector<std::string> labels = absl::StrSplit(parts.second, '"');
  for (std::size_t i = 1; i < labels.size(); i += 2) place = &(*place)[labels[i]];
  return *place;
}

bool IsCounter(const std::string& name) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(name, absl::MaxSplits('{', 1));
  return absl::EndsWith(parts.first, "_total");
}

Json Rates(const ServiceSample* before, const ServiceSample& now) {
  if (before == nullptr) return nullptr;
  Json rates = Json::object();
  for (const auto& entry : now.entries) {
    if (!IsCounter(entry.name)) continue;
    const auto rate = RateOf(before, now, entry.name);
    Place(entry.name, &rates) = rate ? Json(*rate) : Json(nullptr);
  }
  return rates;
}

}  // namespace

std::string StatJson(const ServiceSample* before, const ServiceSample& now) {
  Json object{{"service", now.service},
              {"unix_seconds", static_cast<double>(absl::ToUnixMillis(now.time)) / 1000.0}};
  for (const auto& entry : now.entries) Place(entry.name, &object) = entry.value;
  object["per_second"] = Rates(before, now);
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pinboard::app
