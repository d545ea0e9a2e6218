// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/service_load/workload.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/json_file.h"

namespace pinboard::app {
namespace {

using nlohmann::json;

/// A number within its range.
template <typename Number>
absl::Status Take(const json& value, Number low, Number high, Number* target) {
  const bool fits =
      std::is_floating_point_v<Number> ? value.is_number() : value.is_number_integer();
  if (fits && value >= low && value <= high) {
    *target = value.get<Number>();
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a number from ", low, " to ", high, " is needed"));
}

absl::Status TakeSizes(const json& value, std::vector<std::int64_t>* sizes) {
  if (!value.is_array() || value.empty() || value.size() > 16) {
    return absl::InvalidArgumentError("a list of 1 to 16 sizes is needed");
  }
  sizes->clear();
  for (const json& size : value) {
    PB_RETURN_IF_ERROR(Take<std::int64_t>(size, 1, 2 << 20, &sizes->emplace_back()));
  }
  return absl::OkStatus();
}

absl::Status TakeSwitch(const json& value, bool* target) {
  if (!value.is_boolean()) return absl::InvalidArgumentError("true or false is needed");
  *target = value.get<bool>();
  return absl::OkStatus();
}

absl::Status TakeNames(const json& value, std::vector<std::string>* names) {
  if (!value.is_array() || value.empty() || value.size() > 256) {
    return absl::InvalidArgumentError("a list of 1 to 256 names is needed");
  }
  names->clear();
  for (const json& name : value) {
    if (!name.is_string() || name.get<std::string>().empty()) {
      return absl::InvalidArgumentError("each name is a text that is not empty");
    }
    names->push_back(name.get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status TakeKey(const std::string& key, const json& value, Workload* workload) {
  if (key == "clients") return Take(value, 1, 256, &workload->clients);
  if (key == "tenants") return TakeNames(value, &workload->tenants);
  if (key == "pages") return Take(value, 1, 1 << 24, &workload->pages);
  if (key == "page_bytes") return TakeSizes(value, &workload->page_bytes);
  if (key == "batch") return Take(value, 1, 4096, &workload->batch);
  if (key == "run") return Take(value, 1, 4096, &workload->run);
  if (key == "copy") return TakeSwitch(value, &workload->copy);
  if (key == "put_in_place") return TakeSwitch(value, &workload->put_in_place);
  if (key == "read_share") return Take(value, 0.0, 1.0, &workload->read_share);
  if (key == "zipf") return Take(value, 0.0, 5.0, &workload->zipf);
  if (key == "seconds") return Take(value, 0.0, 86400.0, &workload->seconds);
  if (key == "seed") return Take<std::int64_t>(value, 0, INT64_MAX, &workload->seed);
  return absl::InvalidArgumentError(
      "unknown; there are clients, tenants, pages, page_bytes, batch, run, copy, put_in_place, "
      "read_share, zipf, seconds and seed");
}

}  // namespace

absl::StatusOr<Workload> ParseWorkload(const std::string& text, const std::string& path) {
  PB_ASSIGN_OR_RETURN(const json object, engine::ParseJsonObject(text, path));
  Workload workload;
  for (const auto& [key, value] : object.items()) {
    const absl::Status taken = TakeKey(key, value, &workload);
    if (taken.ok()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", absl::Utf8SafeCEscape(key), ": ", std::string(taken.message())));
  }
  if (workload.pages < static_cast<int>(workload.page_bytes.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": pages: at least one of each of the page_bytes is needed"));
  }
  if (workload.tenants.size() > static_cast<std::size_t>(workload.clients)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": tenants: each needs a client, and there are ", workload.clients));
  }
  return workload;
}

absl::StatusOr<Workload> ReadWorkload(const std::string& path) {
  PB_ASSIGN_OR_RETURN(const std::string text,
                      engine::ReadFile(path, "--workload names a JSON file"));
  return ParseWorkload(text, path);
}

}  // namespace pinboard::app
