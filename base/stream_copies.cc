// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/stream_copies.h"

#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace pinboard {

#ifdef __SSE2__

namespace {

constexpr std::size_t kLineBytes = 64;
constexpr std::size_t kLeastBytes = 1024;  // 512 bytes take as long either way
constexpr std::size_t kAheadBytes = 4096;  // of the source, which the processor fetches too late

void StreamLine(std::byte* to, const std::byte* from) {
  auto* const into = reinterpret_cast<__m128i*>(to);
  const auto* const pieces = reinterpret_cast<const __m128i*>(from);
  for (int i = 0; i < 4; ++i) _mm_stream_si128(into + i, _mm_loadu_si128(pieces + i));
}

}  // namespace

StreamCopies::~StreamCopies() { _mm_sfence(); }

void StreamCopies::Copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes < kLeastBytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
    return;
  }
  std::size_t done = -reinterpret_cast<std::uintptr_t>(to) % kLineBytes;
  std::memcpy(to, from, done);
  for (; done + kLineBytes <= bytes; done += kLineBytes) {
    __builtin_prefetch(from + done + kAheadBytes);  // beyond the end it does nothing
    StreamLine(to + done, from + done);
  }
  std::memcpy(to + done, from + done, bytes - done);
}

#else

StreamCopies::~StreamCopies() = default;

void StreamCopies::Copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

#endif

}  // namespace pinboard
