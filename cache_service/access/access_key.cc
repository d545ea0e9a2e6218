// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/access/access_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"

namespace pinboard::cache_service {
namespace {

constexpr char kHex[] = "hex:";
constexpr char kBase64[] = "base64:";

bool IsHex(const std::string& digits) {
  return digits.size() % 2 == 0 && std::all_of(digits.begin(), digits.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c));
         });
}

/// Empty where the text is neither.
std::string Decode(const std::string& text) {
  std::string bytes;
  if (absl::StartsWith(text, kHex)) {
    const std::string digits = text.substr(sizeof(kHex) - 1);
    return IsHex(digits) ? absl::HexStringToBytes(digits) : "";
  }
  if (absl::StartsWith(text, kBase64) &&
      absl::Base64Unescape(text.substr(sizeof(kBase64) - 1), &bytes)) {
    return bytes;
  }
  return "";
}

void FillRandomly(unsigned char* bytes, std::size_t size) {
  if (RAND_bytes(bytes, static_cast<int>(size)) != 1) std::abort();
}

}  // namespace

absl::StatusOr<AccessKey> AccessKey::Parse(const std::string& text) {
  std::string bytes = Decode(text);
  if (bytes.size() < kMinBytes || bytes.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        "a key is hex: or base64: and 32 to 64 bytes, as from hex:$(openssl rand -hex 32)");
  }
  AccessKey key;
  key.size_ = bytes.size();
  std::copy(bytes.begin(), bytes.end(), key.bytes_.begin());
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

AccessKey AccessKey::Random() {
  AccessKey key;
  key.size_ = kMinBytes;
  FillRandomly(key.bytes_.data(), key.size_);
  return key;
}

AccessKey::~AccessKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

Digest AccessKey::Sign(absl::Span<const std::byte> bytes) const {
  Digest digest{};
  unsigned int size = digest.size();
  if (HMAC(EVP_sha256(), bytes_.data(), static_cast<int>(size_),
           reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data(),
           &size) == nullptr) {
    std::abort();  // out of memory
  }
  return digest;
}

bool operator==(const AccessKey& a, const AccessKey& b) {
  return a.size_ == b.size_ && CRYPTO_memcmp(a.bytes_.data(), b.bytes_.data(), a.size_) == 0;
}

bool Equal(const Digest& a, const Digest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Nonce RandomNonce() {
  Nonce nonce{};
  FillRandomly(nonce.data(), nonce.size());
  return nonce;
}

}  // namespace pinboard::cache_service
