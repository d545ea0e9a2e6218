// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Command lines of pinboardd, one argument a line: addresses, sizes, policies, watermarks.
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "app/pinboardd/options.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> arguments = absl::StrSplit(text, '\n');
  const auto options = pinboard::app::ParseDaemonOptions(arguments);
  if (options.ok()) {
    pinboard::fuzz::Require(options->eviction != nullptr, "there is a policy");
    pinboard::fuzz::Require(options->watermarks.low > 0 &&
                                options->watermarks.low <= options->watermarks.high &&
                                options->watermarks.high <= 1,
                            "watermarks are in order");
  } else {
    pinboard::fuzz::Require(!options.status().message().empty(), "a mistake is named");
  }
  return 0;
}
