// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/flags/flags.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

constexpr std::size_t kHelpColumn = 26;
constexpr std::size_t kHelpWidth = 72;

/// Levenshtein distance.
std::size_t Distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
    }
  }
  return row.back();
}

/// Breaks `text` at spaces into lines of at most kHelpWidth, each indented to kHelpColumn but the
/// first.
std::string Wrapped(const std::string& text) {
  std::string lines;
  std::size_t width = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (width > 0 && width + 1 + word.size() > kHelpWidth) {
      absl::StrAppend(&lines, "\n", std::string(kHelpColumn, ' '));
      width = 0;
    }
    absl::StrAppend(&lines, width > 0 ? " " : "", word);
    width += (width > 0 ? 1 : 0) + word.size();
  }
  return lines;
}

}  // namespace

void FlagTable::Section(std::string title) { section_ = std::move(title); }

void FlagTable::Add(Flag flag) {
  flag.section = section_;
  flags_.push_back(std::move(flag));
}

void FlagTable::Text(std::string name, std::string value, std::string help, std::string* target) {
  Add({std::move(name), std::move(value), std::move(help), *target, "",
       [target](const std::string& text) {
         *target = text;
         return absl::OkStatus();
       }});
}

void FlagTable::Texts(std::string name, std::string value, std::string help,
                      std::vector<std::string>* target) {
  Add({std::move(name), std::move(value), std::move(help), "", "",
       [target](const std::string& text) {
         target->push_back(text);
         return absl::OkStatus();
       }});
}

void FlagTable::Int(std::string name, std::string value, std::string help, int low, int high,
                    int* target) {
  const bool has_default = low <= *target && *target <= high;
  Add({std::move(name), std::move(value), std::move(help), has_default ? absl::StrCat(*target) : "",
       "", [low, high, target](const std::string& text) {
         int number = 0;
         if (!absl::SimpleAtoi(text, &number) || number < low || number > high) {
           return absl::InvalidArgumentError(
               absl::StrCat("'", text, "' is not a whole number from ", low, " to ", high));
         }
         *target = number;
         return absl::OkStatus();
       }});
}

void FlagTable::Real(std::string name, std::string value, std::string help, double* target) {
  Add({std::move(name), std::move(value), std::move(help), absl::StrCat(*target), "",
       [target](const std::string& text) {
         std::vector<double> numbers;
         PB_RETURN_IF_ERROR(ParseReals(text, &numbers));
         if (numbers.size() != 1) return absl::InvalidArgumentError("one number is needed");
         *target = numbers.front();
         return absl::OkStatus();
       }});
}

void FlagTable::Switch(std::string name, std::string help, bool* target) {
  Add({std::move(name), "", std::move(help), "", "", [target](const std::string&) {
         *target = true;
         return absl::OkStatus();
       }});
}

void FlagTable::Refuse(std::string name, std::string why) {
  refused_[std::move(name)] = std::move(why);
}

const FlagTable::Flag* FlagTable::Find(const std::string& name) const {
  const auto found = std::find_if(flags_.begin(), flags_.end(),
                                  [&](const Flag& flag) { return flag.name == name; });
  return found == flags_.end() ? nullptr : &*found;
}

absl::Status FlagTable::Unknown(const std::string& name) const {
  if (const auto refused = refused_.find(name); refused != refused_.end()) {
    return absl::InvalidArgumentError(absl::StrCat("--", name, ": ", refused->second));
  }
  std::string message = absl::StrCat("unknown option --", name);
  const auto nearest =
      std::min_element(flags_.begin(), flags_.end(), [&](const Flag& a, const Flag& b) {
        return Distance(a.name, name) < Distance(b.name, name);
      });
  if (nearest != flags_.end() && Distance(nearest->name, name) <= 2) {
    absl::StrAppend(&message, ": did you mean --", nearest->name, "?");
  }
  return absl::InvalidArgumentError(absl::StrCat(message, " ('", command_, " --help' lists them)"));
}

absl::Status FlagTable::Parse(absl::Span<const std::string> arguments) const {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() < 3 || argument.compare(0, 2, "--") != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", argument, "' is no option ('", command_, " --help' lists them)"));
    }
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::optional<std::string> value;
    if (equals != std::string::npos) value = argument.substr(equals + 1);
    const Flag* flag = Find(name);
    if (flag == nullptr) return Unknown(name);
    const bool is_switch = flag->value.empty();
    if (is_switch && value.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " takes no value"));
    }
    if (!is_switch && !value.has_value()) {
      if (i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", name, " needs a value: ", flag->value));
      }
      value = arguments[++i];
    }
    if (const absl::Status set = flag->set(value.value_or("")); !set.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": ", std::string(set.message())));
    }
  }
  return absl::OkStatus();
}

std::string FlagTable::Help() const {
  std::string help;
  std::string section;
  for (const Flag& flag : flags_) {
    if (flag.section != section) {
      section = flag.section;
      absl::StrAppend(&help, help.empty() ? "" : "\n", section, "\n");
    }
    std::string left = absl::StrCat("  --", flag.name, flag.value.empty() ? "" : " ", flag.value);
    if (left.size() + 2 > kHelpColumn) {
      absl::StrAppend(&left, "\n", std::string(kHelpColumn, ' '));
    } else {
      left.resize(kHelpColumn, ' ');
    }
    const std::string shown =
        flag.default_text.empty() ? "" : absl::StrCat(" [", flag.default_text, "]");
    absl::StrAppend(&help, left, Wrapped(absl::StrCat(flag.help, shown)), "\n");
  }
  return help;
}

absl::Status ParseReals(const std::string& text, std::vector<double>* numbers) {
  numbers->clear();
  for (const absl::string_view piece : absl::StrSplit(text, ',')) {
    double number = 0;
    if (!absl::SimpleAtod(piece, &number)) {
      return absl::InvalidArgumentError(absl::StrCat("'", piece, "' is not a number"));
    }
    numbers->push_back(number);
  }
  return absl::OkStatus();
}

absl::Status ParseIds(const std::string& text, std::vector<std::int32_t>* ids) {
  ids->clear();
  for (const absl::string_view piece : absl::StrSplit(text, ',')) {
    std::int32_t id = 0;
    if (!absl::SimpleAtoi(piece, &id) || id < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", piece, "' is not a token id: give them as 1,2,3"));
    }
    ids->push_back(id);
  }
  return absl::OkStatus();
}

}  // namespace pinboard::app
