// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A port that is kept free for a process that is about to listen there.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace pinboard::app {

/// A TCP port of 127.0.0.1. While this exists the system gives it to nobody who asks for any port,
/// connections included; a listener that names it and sets SO_REUSEADDR gets it. Move-only.
class ReservedPort {
 public:
  /// Errors: Unavailable.
  static absl::StatusOr<ReservedPort> Reserve();
  ReservedPort(ReservedPort&& other) noexcept;
  ReservedPort& operator=(ReservedPort&&) = delete;
  ~ReservedPort();

  /// 127.0.0.1:PORT
  const std::string& address() const { return address_; }

 private:
  ReservedPort(int fd, std::string address);

  int fd_;
  std::string address_;
};

}  // namespace pinboard::app
