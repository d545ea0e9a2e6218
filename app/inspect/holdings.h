// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a service has, added up by group and sequence.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::app {

/// From the lowest to the highest, both of it.
struct NumberRange {
  std::uint64_t lowest = UINT64_MAX;
  std::uint64_t highest = 0;

  void Include(std::uint64_t low, std::uint64_t high) {
    lowest = std::min(lowest, low);
    highest = std::max(highest, high);
  }
};

/// Of one extent or more; ranges are of all pages that are, or were, there.
struct Holding {
  NumberRange layers;
  NumberRange page_numbers;
  NumberRange shards;
  NumberRange generations;
  std::uint64_t extents = 0;
  std::uint64_t evicted = 0;
  std::uint64_t dropped = 0;
  std::uint64_t pages = 0;  // that can be fetched
  std::uint64_t bytes = 0;
  double information = 0;  // sum over these pages, as the service keeps it

  void Add(const Holding& other);
  /// Of a page, as the method's E. Nothing where no page can be fetched.
  std::optional<double> MeanInformation() const;
};

struct GroupHolding {
  std::uint64_t group = 0;
  Holding all;
  std::map<std::uint64_t, Holding> sequences;
};

/// What one walk of a service told.
class Holdings {
 public:
  void Add(absl::Span<const cache_service::InspectedExtent> extents);

  /// Those with most bytes first.
  std::vector<GroupHolding> groups() const;
  Holding all() const;

 private:
  std::map<std::uint64_t, std::map<std::uint64_t, Holding>> groups_;
};

/// As every text has it: 16 hexadecimal digits.
std::string GroupName(std::uint64_t group);

/// A walk that has ended, for a report.
struct Inspection {
  std::string service;  // HOST:PORT
  absl::Time time;
  Holdings holdings;
};

}  // namespace pinboard::app
