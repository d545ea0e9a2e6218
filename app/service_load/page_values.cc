// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/service_load/page_values.h"

#include <cstdint>
#include <cstring>

namespace pinboard::app {
namespace {

using cache_service::PageHeader;
using cache_service::PageRef;

/// The finaliser of splitmix64: a bijection, so words of different counters differ.
std::uint64_t Mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::uint64_t SeedOf(const PageRef& page) {
  const std::uint64_t place = std::uint64_t{page.key.layer} << 16 | page.key.shard;
  const std::uint64_t name = std::uint64_t{page.key.page} << 32 | page.generation;
  return Mix(Mix(Mix(page.key.sequence) + place) + name);
}

}  // namespace

void FillPage(const PageRef& page, absl::Span<std::byte> memory) {
  const std::uint64_t seed = SeedOf(page);
  std::size_t offset = 0;
  for (; offset + sizeof(seed) <= memory.size(); offset += sizeof(seed)) {
    const std::uint64_t word = Mix(seed + offset);
    std::memcpy(memory.data() + offset, &word, sizeof(word));
  }
  const std::uint64_t word = Mix(seed + offset);
  if (offset < memory.size()) std::memcpy(memory.data() + offset, &word, memory.size() - offset);
}

PageHeader HeaderOf(const PageRef& page, std::size_t bytes) {
  PageHeader header{.key = page.key,
                    .generation = page.generation,
                    .bytes = static_cast<std::uint32_t>(bytes),
                    .tag = SeedOf(page)};
  header.mean_information = static_cast<std::int32_t>(header.tag >> 36);
  header.information.fill(header.mean_information);
  for (int row = 0; row < kPageRows; ++row) {
    header.positions[row] = static_cast<std::int32_t>(page.key.page) * kPageRows + row;
  }
  return header;
}

bool IsIntact(const PageRef& page, std::size_t bytes, const cache_service::FetchResult& fetched) {
  if (fetched.header != HeaderOf(page, bytes).fetched() || fetched.pin->bytes().size() != bytes) {
    return false;
  }
  const std::byte* const memory = fetched.pin->bytes().data();
  const std::uint64_t seed = SeedOf(page);
  std::uint64_t differences = 0;
  std::size_t offset = 0;
  for (; offset + sizeof(seed) <= bytes; offset += sizeof(seed)) {
    std::uint64_t word = 0;
    std::memcpy(&word, memory + offset, sizeof(word));
    differences |= word ^ Mix(seed + offset);
  }
  const std::uint64_t word = Mix(seed + offset);
  return differences == 0 && std::memcmp(memory + offset, &word, bytes - offset) == 0;
}

}  // namespace pinboard::app
