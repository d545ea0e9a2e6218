// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/stream_copies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <random>
#include <thread>
#include <vector>

namespace pinboard {
namespace {

std::vector<std::byte> RandomBytes(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(StreamCopies, CopyTheBytesAndNoOthersWhateverSizeAndAlignment) {
  constexpr std::size_t kMargin = 160;
  const std::vector<std::byte> source = RandomBytes(10000 + kMargin, 1);
  std::vector<std::size_t> sizes = {0, 1, 63, 64, 1023, 1024, 1025, 1087, 1088, 1152, 4096, 9999};
  for (const std::size_t size : sizes) {
    for (std::size_t to = 0; to < 64; to += 3) {
      for (const std::size_t from : {0, 1, 16, 63}) {
        std::vector<std::byte> expected = RandomBytes(size + kMargin, 2);
        std::vector<std::byte> copied = expected;
        std::copy_n(source.data() + from, size, expected.data() + to);
        { StreamCopies().Copy(copied.data() + to, source.data() + from, size); }
        ASSERT_EQ(copied, expected) << size << " bytes from " << from << " to " << to;
      }
    }
  }
}

// Without the order that they promise another thread could see the flag before the bytes.
TEST(StreamCopies, AreSeenByWhoIsToldOfThem) {
  constexpr std::size_t kBytes = 1 << 20;
  const std::vector<std::byte> ones(kBytes, std::byte{1}), twos(kBytes, std::byte{2});
  std::vector<std::byte> shared(kBytes);
  std::atomic<int> told{0}, seen{0};
  std::thread reader([&] {
    for (int round = 1; round <= 200; ++round) {
      while (told.load(std::memory_order_acquire) < round) std::this_thread::yield();
      EXPECT_EQ(shared, round % 2 == 1 ? ones : twos) << round;
      seen.store(round, std::memory_order_release);
    }
  });
  for (int round = 1; round <= 200; ++round) {
    {
      StreamCopies copies;
      const std::vector<std::byte>& from = round % 2 == 1 ? ones : twos;
      for (std::size_t at = 0; at < kBytes; at += 4096) {
        copies.Copy(shared.data() + at, from.data() + at, 4096);
      }
    }
    told.store(round, std::memory_order_release);
    while (seen.load(std::memory_order_acquire) < round) std::this_thread::yield();
  }
  reader.join();
}

}  // namespace
}  // namespace pinboard
