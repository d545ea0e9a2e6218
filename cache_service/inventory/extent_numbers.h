// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Every extent of a catalog by a number, so that all are gone through while some come and go.
#pragma once

#include <cstdint>
#include <deque>

#include "cache_service/inventory/extent.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// Names an extent within its catalog.
struct ExtentAddress {
  GroupId group;
  std::uint64_t sequence = 0;
  ExtentName name;
};

/// An extent keeps its number for life; a later one gets it then. So who goes through the numbers
/// from 0 up meets each extent that is there all the while exactly once, and any other at most
/// once. Constant cost. Thread-compatible.
class ExtentNumbers {
 public:
  std::uint32_t Give(const ExtentAddress& extent) {
    ++given_;
    if (first_free_ == kNone) {
      addresses_.push_back(extent);
      return end() - 1;
    }
    const std::uint32_t number = first_free_;
    first_free_ = static_cast<std::uint32_t>(addresses_[number].sequence);
    addresses_[number] = extent;
    return number;
  }
  void TakeBack(std::uint32_t number) {
    if (--given_ == 0) {
      addresses_.clear();
      first_free_ = kNone;
      return;
    }
    addresses_[number] = {.sequence = first_free_, .name = kNobody};
    first_free_ = number;
  }

  /// Above every number.
  std::uint32_t end() const { return static_cast<std::uint32_t>(addresses_.size()); }
  /// Null where the number is nobody's now. Requires it to be below end().
  const ExtentAddress* Find(std::uint32_t number) const {
    const ExtentAddress& address = addresses_[number];
    return address.name == kNobody ? nullptr : &address;
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr ExtentName kNobody{~std::uint64_t{0}};  // of no page: the upper bits are page/16

  std::deque<ExtentAddress> addresses_;  // of a number that is free `sequence` is the next such one
  std::uint32_t first_free_ = kNone;
  std::uint32_t given_ = 0;
};

}  // namespace pinboard::cache_service
