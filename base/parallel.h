// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A loop of some milliseconds on several cores at once.
#pragma once

#include <cstddef>

#include "absl/functional/function_ref.h"

namespace pinboard {

/// Calls body(i) once for each i < count, in any order, on the caller's thread and up to
/// `threads` - 1 others, and returns when all calls have. What a call writes, no other call reads
/// or writes. The others are started here, at some 20 us each, and end here; no more than the
/// machine has cores, and fewer where the system gives no more.
void ForEachInParallel(std::size_t count, int threads, absl::FunctionRef<void(std::size_t)> body);

}  // namespace pinboard
