// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the C library does with memory that was freed.
#pragma once

#include <malloc.h>

namespace pinboard {

/// For programs whose messages come and go by the hundred kilobytes: the heap keeps what was freed
/// where it would go back to the system, to be asked for and cleared page by page with the next
/// message. Call it before other threads start.
inline void KeepFreedMemory() {
  constexpr int kBytes = 32 << 20;  // what the C library allows at most
  mallopt(M_MMAP_THRESHOLD, kBytes);
  mallopt(M_TRIM_THRESHOLD, 2 * kBytes);
}

}  // namespace pinboard
