// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Copies to memory that nobody on this core reads soon.
#pragma once

#include <cstddef>

namespace pinboard {

/// Copies past the caches where the processor can (x86-64): what is written is not read into them
/// first, and drives nothing out of them. For pages on their way into leases; slower than memcpy
/// where the copy is read again soon. Other threads and processes may be told of the copies once
/// this has ended: then they are ordered before all that follows, as a memcpy is. One thread.
///
///   {
///     StreamCopies copies;
///     for (...) copies.Copy(lease.memory().data(), page.data(), page.size());
///   }
///   store.Publish(...);
class StreamCopies {
 public:
  StreamCopies() = default;
  ~StreamCopies();
  StreamCopies(const StreamCopies&) = delete;
  StreamCopies& operator=(const StreamCopies&) = delete;

  /// As memcpy; small copies are one.
  void Copy(std::byte* to, const std::byte* from, std::size_t bytes);
};

}  // namespace pinboard
