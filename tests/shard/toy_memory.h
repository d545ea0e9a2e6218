// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Memory that a test and the backend under test both reach by the same address, so that the same
// tests run on the host and on a device: linked once with each.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

#include "pinboard/backend.h"

namespace pinboard::testing {

Backend ToyBackend();
/// Null where there is none. On a device: pinned.
void* AllocateToyMemory(std::size_t bytes);
void FreeToyMemory(void* memory);
/// Returns when what was enqueued has been done.
void AwaitToyBackend();
/// Between any two of host memory and the backend's, at once.
void CopyToyMemory(void* to, const void* from, std::size_t bytes);

template <typename T>
struct ToyAllocator {
  using value_type = T;
  ToyAllocator() = default;
  template <typename U>
  ToyAllocator(const ToyAllocator<U>&) {}  // NOLINT(google-explicit-constructor): rebinds
  T* allocate(std::size_t count) {
    void* memory = AllocateToyMemory(count * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { FreeToyMemory(memory); }
  friend bool operator==(const ToyAllocator&, const ToyAllocator&) { return true; }
};

template <typename T>
using ToyVector = std::vector<T, ToyAllocator<T>>;

}  // namespace pinboard::testing
