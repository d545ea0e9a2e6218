// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Typed access to the fields of a config.json, with errors that name file and field.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"

namespace pinboard::engine {

/// The fields of one JSON object; null counts as absent. A target keeps its value where its field
/// is absent and not required. Refers to the object, which outlives it. InvalidArgument: a field is
/// missing, or not what the function's name says.
class ConfigFields {
 public:
  /// `path` names the file, or the file and the object inside it.
  ConfigFields(const nlohmann::json& object, std::string path)
      : object_(object), path_(std::move(path)) {}

  const nlohmann::json& object() const { return object_; }
  /// Null: absent.
  const nlohmann::json* Find(const char* name) const;
  /// The object under `name`, null where absent or empty.
  absl::Status FindObject(const char* name, const nlohmann::json** object) const;
  /// Of such an object.
  ConfigFields Inside(const char* name, const nlohmann::json& object) const;

  absl::Status Error(const std::string& problem) const;
  /// Unimplemented: "`feature` is not supported".
  absl::Status NotImplemented(const std::string& feature) const;

  absl::Status RequirePositive(const char* name, int* value) const;
  absl::Status RequirePositive(const char* name, double* value) const;
  absl::Status RequireNonNegative(const char* name, int* value) const;
  absl::Status OptionalPositive(const char* name, int* value) const;
  absl::Status OptionalPositive(const char* name, double* value) const;
  absl::Status OptionalNonNegative(const char* name, int* value) const;
  absl::Status OptionalNonNegative(const char* name, double* value) const;
  /// A whole number from `low` to `high`.
  absl::Status RequireInRange(const char* name, int low, int high, int* value) const;
  absl::Status OptionalInRange(const char* name, int low, int high, int* value) const;
  absl::Status OptionalBool(const char* name, bool* value) const;

  /// Unimplemented where the flag `name` is set.
  absl::Status RefuseIfTrue(const char* name) const;
  /// Unimplemented where `name` is there and anything but `supported`.
  absl::Status RefuseUnless(const char* name, const nlohmann::json& supported) const;

 private:
  absl::Status Require(const char* name) const;
  absl::Status ReadInt(const char* name, int low, int high, const std::string& what,
                       int* value) const;

  const nlohmann::json& object_;
  std::string path_;
};

}  // namespace pinboard::engine
