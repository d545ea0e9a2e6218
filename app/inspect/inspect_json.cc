// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/inspect_json.h"

#include <nlohmann/json.hpp>

namespace pinboard::app {
namespace {

using Json = nlohmann::ordered_json;

Json RangeJson(const NumberRange& range) {
  if (range.lowest > range.highest) return nullptr;
  return Json::array({range.lowest, range.highest});
}

void AddHolding(const Holding& holding, Json* object) {
  (*object)["layers"] = RangeJson(holding.layers);
  (*object)["page_numbers"] = RangeJson(holding.page_numbers);
  (*object)["shards"] = RangeJson(holding.shards);
  (*object)["extents"] = holding.extents;
  (*object)["pages"] = holding.pages;
  (*object)["bytes"] = holding.bytes;
  (*object)["evicted"] = holding.evicted;
  (*object)["dropped"] = holding.dropped;
  (*object)["generations"] = RangeJson(holding.generations);
  const std::optional<double> information = holding.MeanInformation();
  (*object)["mean_information"] = information ? Json(*information) : Json(nullptr);
}

Json GroupJson(const GroupHolding& group) {
  Json object{{"group", GroupName(group.group)}};
  AddHolding(group.all, &object);
  Json& sequences = object["sequences"] = Json::array();
  for (const auto& [sequence, holding] : group.sequences) {
    Json& entry = sequences.emplace_back(Json{{"sequence", sequence}});
    AddHolding(holding, &entry);
  }
  return object;
}

}  // namespace

std::string InspectJson(const Inspection& inspection) {
  Json object{{"service", inspection.service},
              {"unix_seconds", static_cast<double>(absl::ToUnixMillis(inspection.time)) / 1000.0}};
  AddHolding(inspection.holdings.all(), &object);
  Json& groups = object["groups"] = Json::array();
  for (const GroupHolding& group : inspection.holdings.groups()) groups.push_back(GroupJson(group));
  return object.dump() + "\n";
}

}  // namespace pinboard::app
