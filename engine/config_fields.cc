// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/config_fields.h"

#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

constexpr int kMaxInt = std::numeric_limits<int>::max();

}  // namespace

using nlohmann::json;

const json* ConfigFields::Find(const char* name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

absl::Status ConfigFields::FindObject(const char* name, const json** object) const {
  *object = Find(name);
  if (*object == nullptr) return absl::OkStatus();
  if (!(*object)->is_object()) return Error(absl::StrCat("\"", name, "\" must be an object"));
  if ((*object)->empty()) *object = nullptr;
  return absl::OkStatus();
}

ConfigFields ConfigFields::Inside(const char* name, const json& object) const {
  return ConfigFields(object, absl::StrCat(path_, ": ", name));
}

absl::Status ConfigFields::Error(const std::string& problem) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", problem));
}

absl::Status ConfigFields::NotImplemented(const std::string& feature) const {
  return absl::UnimplementedError(absl::StrCat(path_, ": ", feature, " is not supported"));
}

absl::Status ConfigFields::Require(const char* name) const {
  return Find(name) == nullptr ? Error(absl::StrCat("\"", name, "\" is missing"))
                               : absl::OkStatus();
}

absl::Status ConfigFields::RequirePositive(const char* name, int* value) const {
  PB_RETURN_IF_ERROR(Require(name));
  return OptionalPositive(name, value);
}

absl::Status ConfigFields::RequirePositive(const char* name, double* value) const {
  PB_RETURN_IF_ERROR(Require(name));
  return OptionalPositive(name, value);
}

absl::Status ConfigFields::RequireNonNegative(const char* name, int* value) const {
  PB_RETURN_IF_ERROR(Require(name));
  return OptionalNonNegative(name, value);
}

absl::Status ConfigFields::RequireInRange(const char* name, int low, int high, int* value) const {
  PB_RETURN_IF_ERROR(Require(name));
  return OptionalInRange(name, low, high, value);
}

absl::Status ConfigFields::ReadInt(const char* name, int low, int high, const std::string& what,
                                   int* value) const {
  const json* field = Find(name);
  if (field == nullptr) return absl::OkStatus();
  const auto number =
      field->is_number_integer() ? field->get<std::int64_t>() : std::int64_t{low} - 1;
  if (number < low || number > high) {
    return Error(absl::StrCat("\"", name, "\" must be a ", what));
  }
  *value = static_cast<int>(number);
  return absl::OkStatus();
}

absl::Status ConfigFields::OptionalPositive(const char* name, int* value) const {
  return ReadInt(name, 1, kMaxInt, "positive integer", value);
}

absl::Status ConfigFields::OptionalNonNegative(const char* name, int* value) const {
  return ReadInt(name, 0, kMaxInt, "non-negative integer", value);
}

absl::Status ConfigFields::OptionalInRange(const char* name, int low, int high, int* value) const {
  return ReadInt(name, low, high, absl::StrCat("whole number from ", low, " to ", high), value);
}

absl::Status ConfigFields::OptionalPositive(const char* name, double* value) const {
  const json* field = Find(name);
  if (field == nullptr) return absl::OkStatus();
  if (!field->is_number() || !(field->get<double>() > 0)) {
    return Error(absl::StrCat("\"", name, "\" must be a positive number"));
  }
  *value = field->get<double>();
  return absl::OkStatus();
}

absl::Status ConfigFields::OptionalNonNegative(const char* name, double* value) const {
  const json* field = Find(name);
  if (field == nullptr) return absl::OkStatus();
  if (!field->is_number() || !(field->get<double>() >= 0)) {
    return Error(absl::StrCat("\"", name, "\" must be a non-negative number"));
  }
  *value = field->get<double>();
  return absl::OkStatus();
}

absl::Status ConfigFields::OptionalBool(const char* name, bool* value) const {
  const json* field = Find(name);
  if (field == nullptr) return absl::OkStatus();
  if (!field->is_boolean()) return Error(absl::StrCat("\"", name, "\" must be true or false"));
  *value = field->get<bool>();
  return absl::OkStatus();
}

absl::Status ConfigFields::RefuseIfTrue(const char* name) const {
  bool value = false;
  PB_RETURN_IF_ERROR(OptionalBool(name, &value));
  return value ? NotImplemented(absl::StrCat("\"", name, "\"")) : absl::OkStatus();
}

absl::Status ConfigFields::RefuseUnless(const char* name, const json& supported) const {
  const json* field = Find(name);
  if (field == nullptr || *field == supported) return absl::OkStatus();
  return NotImplemented(absl::StrCat(name, " ", field->dump(), " (known: ", supported.dump(), ")"));
}

}  // namespace pinboard::engine
