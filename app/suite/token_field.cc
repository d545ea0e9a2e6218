// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/suite/token_field.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace pinboard::app {

absl::StatusOr<std::vector<std::int32_t>> ReadTokens(const nlohmann::json& value, const char* key,
                                                     bool starts_text,
                                                     const TokenVocabulary& vocabulary) {
  if (value.is_string()) return vocabulary.encode(value.get<std::string>(), starts_text);
  if (!value.is_array()) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, " is neither a list of token ids nor a string"));
  }
  std::vector<std::int32_t> ids;
  for (const nlohmann::json& id : value) {
    if (!id.is_number_integer()) {
      return absl::InvalidArgumentError(
          absl::StrCat(key, " holds ", id.dump(), ", which is no token id"));
    }
    if (id < 0 || id >= vocabulary.size) {
      return absl::InvalidArgumentError(absl::StrCat("token id ", id.dump(), " in ", key,
                                                     " is out of range: the model has 0 to ",
                                                     vocabulary.size - 1));
    }
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

}  // namespace pinboard::app
