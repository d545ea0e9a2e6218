// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The C library's heap: how much is in use, and what becomes of memory that was freed.
#pragma once

#include <malloc.h>

#include <cstdint>

namespace pinboard {

/// For programs whose messages come and go by the hundred kilobytes: the heap keeps what was freed
/// where it would go back to the system, to be asked for and cleared page by page with the next
/// message. Call it before other threads start.
inline void KeepFreedMemory() {
  constexpr int kBytes = 32 << 20;  // what the C library allows at most
  mallopt(M_MMAP_THRESHOLD, kBytes);
  mallopt(M_TRIM_THRESHOLD, 2 * kBytes);
}

/// Of all threads. Under sanitizers, which have a heap of their own, 0.
inline std::uint64_t HeapBytesInUse() {
  const struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

}  // namespace pinboard
