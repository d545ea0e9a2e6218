// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/placement/placement.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "cache_service/placement/negative_log2.h"

namespace pinboard::cache_service {
namespace {

using ExtentBytes = std::array<unsigned char, 24>;

/// Group, sequence and name, each little-endian.
ExtentBytes BytesOf(const ExtentId& extent) {
  ExtentBytes bytes;
  std::size_t at = 0;
  for (const std::uint64_t word : {extent.group.value(), extent.sequence, extent.name.value()}) {
    for (int shift = 0; shift < 64; shift += 8) {
      bytes[at++] = static_cast<unsigned char>(word >> shift);
    }
  }
  return bytes;
}

struct Draw {
  std::uint64_t time;  // -log2 u: the member whose time / weight is the lowest comes first
  const Member* member;
};

bool Precedes(const Draw& a, const Draw& b) {
  const std::uint64_t left = a.time * b.member->weight;
  const std::uint64_t right = b.time * a.member->weight;
  return left != right ? left < right : a.member->name < b.member->name;
}

}  // namespace

std::vector<const Member*> PlacementOrder(const ExtentId& extent, const MembershipView& view) {
  const ExtentBytes bytes = BytesOf(extent);
  std::vector<Draw> draws;
  draws.reserve(view.members.size());
  for (const Member& member : view.members) {
    const XXH64_hash_t seed = XXH3_64bits(member.name.data(), member.name.size());
    const XXH64_hash_t hash = XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
    draws.push_back({.time = NegativeLog2(hash), .member = &member});
  }
  std::sort(draws.begin(), draws.end(), Precedes);
  std::vector<const Member*> order;
  order.reserve(draws.size());
  for (const Draw& draw : draws) order.push_back(draw.member);
  return order;
}

}  // namespace pinboard::cache_service
