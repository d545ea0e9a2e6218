// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A growing array in a memory space.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/memory_space.h"
#include "base/status_macros.h"

namespace pinboard {

/// A value: a copy holds the same elements, in the same memory until one of the two is written to
/// (each write reaches all of an array's memory that may be shared, so it is copied first). Spans
/// from it point into the space and are valid until the next call that is not const. Thread-
/// compatible, copies of one array included. Errors: MemorySpace's; the array is as it was.
template <typename T>
class SpaceVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit SpaceVector(MemorySpace* space = HostMemory()) : space_(space) {}

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  absl::Span<const T> view() const { return {data(), size_}; }

  /// To be written to. `size` elements: those it had, then some without a value.
  absl::StatusOr<absl::Span<T>> Resize(std::size_t size) {
    if (size > capacity_ || memory_.use_count() > 1) {
      const std::size_t capacity = size > capacity_ ? std::max(size, 2 * capacity_) : capacity_;
      PB_RETURN_IF_ERROR(Replace(capacity, view().first(std::min(size, size_))));
    }
    size_ = size;
    return absl::Span<T>(data(), size_);
  }

  /// Its first `size` elements stay, of as many or more.
  void Truncate(std::size_t size) { size_ = size; }

  /// `more`: in the same space, not in this array.
  absl::Status Append(absl::Span<const T> more) {
    const std::size_t before = size_;
    PB_ASSIGN_OR_RETURN(const absl::Span<T> all, Resize(before + more.size()));
    return Copy(all.data() + before, more);
  }

  /// Its own last `count` elements stay, with room for as many more.
  absl::Status KeepLast(std::size_t count) {
    PB_RETURN_IF_ERROR(Replace(2 * count, view().last(count)));
    size_ = count;
    return absl::OkStatus();
  }

  /// `other`: in the same space, not in this array.
  absl::Status Assign(absl::Span<const T> other) {
    size_ = 0;
    return Append(other);
  }

 private:
  T* data() const { return reinterpret_cast<T*>(memory_.get()); }
  absl::Status Copy(T* to, absl::Span<const T> from) {
    if (from.empty()) return absl::OkStatus();
    return space_->Copy(reinterpret_cast<std::byte*>(to),
                        reinterpret_cast<const std::byte*>(from.data()), from.size() * sizeof(T));
  }
  absl::Status Replace(std::size_t capacity, absl::Span<const T> kept) {
    if (capacity == 0) return absl::OkStatus();
    PB_ASSIGN_OR_RETURN(std::shared_ptr<std::byte> memory, space_->Allocate(capacity * sizeof(T)));
    PB_RETURN_IF_ERROR(Copy(reinterpret_cast<T*>(memory.get()), kept));
    memory_ = std::move(memory);
    capacity_ = capacity;
    return absl::OkStatus();
  }

  MemorySpace* space_;
  std::shared_ptr<std::byte> memory_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace pinboard
