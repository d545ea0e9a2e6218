// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Some of a band's pages, by their places in it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "absl/container/inlined_vector.h"

namespace pinboard::scheduler {

/// A bit for each place 0 ... places - 1. A value; of up to 512 places without memory of its own.
class PageSet {
 public:
  /// None of so many.
  void Clear(std::size_t places) { words_.assign((places + kBits - 1) / kBits, 0); }
  void Add(std::uint32_t place) { words_[place / kBits] |= Bit(place); }
  void Remove(std::uint32_t place) { words_[place / kBits] &= ~Bit(place); }
  bool Has(std::uint32_t place) const { return (words_[place / kBits] & Bit(place)) != 0; }
  /// `bits`, of the places from `first` on, are in it too: no more than lie in its word.
  void AddBits(std::size_t first, std::uint64_t bits) {
    words_[first / kBits] |= bits << (first % kBits);
  }

  std::size_t size() const {
    std::size_t size = 0;
    for (const std::uint64_t word : words_) size += std::popcount(word);
    return size;
  }

  /// visit(place), ascending.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i) VisitBits(i, words_[i], visit);
  }
  /// Those that `other`, of as many places, has not.
  template <typename Visit>
  void ForEachNotIn(const PageSet& other, Visit visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      VisitBits(i, words_[i] & ~other.words_[i], visit);
    }
  }

 private:
  static constexpr std::size_t kBits = 64;
  static std::uint64_t Bit(std::uint32_t place) { return std::uint64_t{1} << (place % kBits); }

  template <typename Visit>
  static void VisitBits(std::size_t index, std::uint64_t word, Visit visit) {
    for (; word != 0; word &= word - 1) {
      visit(static_cast<std::uint32_t>(index * kBits + std::countr_zero(word)));
    }
  }

  absl::InlinedVector<std::uint64_t, 8> words_;
};

}  // namespace pinboard::scheduler
