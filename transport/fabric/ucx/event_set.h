// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The file descriptors a reactor sleeps on, and a way to wake it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "transport/fabric/ucx/unique_fd.h"

namespace pinboard::transport {

/// An epoll set. Thread-compatible but for Wake, which is thread-safe.
class EventSet {
 public:
  enum class Interest { kRead, kWrite };

  EventSet();

  void Add(int fd, std::uint64_t token, Interest interest);
  void ChangeToRead(int fd, std::uint64_t token);
  void Remove(int fd);

  /// Makes this or the next Wait return.
  void Wake();
  /// Sleeps at most `timeout` (zero: not at all); gives the tokens that are ready, valid until the
  /// next call. Wake is not a token: see TakeWoken.
  const std::vector<std::uint64_t>& Wait(absl::Duration timeout);
  /// Whether Wake has been called since the last time this was asked.
  bool TakeWoken();

 private:
  UniqueFd epoll_;
  UniqueFd wake_;
  bool woken_ = false;
  std::vector<std::uint64_t> ready_;
};

}  // namespace pinboard::transport
