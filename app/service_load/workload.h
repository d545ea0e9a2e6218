// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What `pinboard bench service` does to a service, as a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pinboard::app {

/// The keys of the file are these names; all may be left out (bench/service/workloads/README.md).
struct Workload {
  int clients = 2;                                 // each on a thread of its own
  std::vector<std::string> tenants = {"bench"};    // client c is of tenant c modulo their number
  int pages = 1024;                                // that each client publishes
  std::vector<std::int64_t> page_bytes = {65536};  // page p has the size p modulo their number
  int batch = 32;                                  // pages of one operation
  int run = 1;                                     // of these, pages of one size in a row
  bool copy = false;                               // pages that were fetched are copied out
  bool put_in_place = false;                       // pages are written where they are to lie
  double read_share = 0.9;                         // of the operations; the others publish
  double zipf = 0.99;                              // the k-th page is drawn k^-zipf times as often
  double seconds = 10;                             // after every page was published once
  std::int64_t seed = 1;
};

/// Parses one JSON object; `path` only names it in errors. InvalidArgument, one line: not JSON, an
/// unknown key, or a value of another type or out of its range.
absl::StatusOr<Workload> ParseWorkload(const std::string& text, const std::string& path);

/// The same from a file. NotFound: it cannot be opened.
absl::StatusOr<Workload> ReadWorkload(const std::string& path);

}  // namespace pinboard::app
