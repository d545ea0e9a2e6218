// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The options of one command: a table from which both the parser and --help are made.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::app {

/// Options are --name VALUE or --name=VALUE; a value may be "-". Targets keep their value where the
/// option is not given, and --help shows that value as the default. Targets outlive the table.
///
///   FlagTable flags("pinboard eval");
///   flags.Text("model", "DIR", "Hugging Face directory", &options.model);
///   flags.Int("tp", "N", "ranks", 1, 64, &options.tp);
///   PB_RETURN_IF_ERROR(flags.Parse(arguments));
class FlagTable {
 public:
  /// `command` is how --help is reached, for error messages.
  explicit FlagTable(std::string command) : command_(std::move(command)) {}

  /// Starts a titled group in --help.
  void Section(std::string title);
  void Text(std::string name, std::string value, std::string help, std::string* target);
  /// May be given more than once; each adds to `target`.
  void Texts(std::string name, std::string value, std::string help,
             std::vector<std::string>* target);
  /// A target outside [low, high] is no default, and --help shows none.
  void Int(std::string name, std::string value, std::string help, int low, int high, int* target);
  /// Bounds are checked where the value is used: the ranges of the method are the scheduler's.
  void Real(std::string name, std::string value, std::string help, double* target);
  void Switch(std::string name, std::string help, bool* target);
  /// An option of another command that has no sense in this one: refused with `why`, which names
  /// what to use, and not in --help.
  void Refuse(std::string name, std::string why);

  /// InvalidArgument, one line: an unknown option (with the nearest known one), a value that is
  /// missing, malformed or out of range, or an argument that is no option.
  absl::Status Parse(absl::Span<const std::string> arguments) const;

  /// One entry per option: its name, what it does, its default.
  std::string Help() const;

 private:
  struct Flag {
    std::string name;
    std::string value;  // how --help names it; empty: a switch
    std::string help;
    std::string default_text;
    std::string section;
    std::function<absl::Status(const std::string&)> set;
  };

  void Add(Flag flag);
  const Flag* Find(const std::string& name) const;
  absl::Status Unknown(const std::string& name) const;

  std::string command_;
  std::string section_;
  std::vector<Flag> flags_;
  std::map<std::string, std::string> refused_;  // why, by name
};

/// "0.1,0.2" as numbers. InvalidArgument names the piece that is none.
absl::Status ParseReals(const std::string& text, std::vector<double>* numbers);

/// "1,2,3" as token ids. InvalidArgument names the piece that is none.
absl::Status ParseIds(const std::string& text, std::vector<std::int32_t>* ids);

}  // namespace pinboard::app
