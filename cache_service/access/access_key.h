// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A tenant's secret, and what is computed with it.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// 32 to 64 secret bytes that a tenant and the service share. There is no way back to text, so that
/// no log or error can show one; its memory is wiped when it ends.
class AccessKey {
 public:
  /// "hex:..." or "base64:...". InvalidArgument, without the text itself, for anything else.
  static absl::StatusOr<AccessKey> Parse(const std::string& text);
  /// One that nobody knows.
  static AccessKey Random();

  AccessKey(const AccessKey&) = default;
  AccessKey& operator=(const AccessKey&) = default;
  ~AccessKey();

  /// HMAC-SHA-256 (RFC 2104, FIPS 180-4) of the bytes.
  Digest Sign(absl::Span<const std::byte> bytes) const;
  /// In constant time.
  friend bool operator==(const AccessKey& a, const AccessKey& b);

 private:
  static constexpr std::size_t kMinBytes = 32;
  static constexpr std::size_t kMaxBytes = 64;

  AccessKey() = default;

  std::array<unsigned char, kMaxBytes> bytes_{};
  std::size_t size_ = 0;
};

/// In constant time.
bool Equal(const Digest& a, const Digest& b);

/// From the operating system's generator; ends the process where that fails.
Nonce RandomNonce();

}  // namespace pinboard::cache_service
