// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a word contributes to the tag of a page.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "kernels/page_transfer/page_transfer.h"
#include "kernels/splitmix64.h"

namespace pinboard::kernels {

/// A hash of all fields of the identity.
PB_HOST_DEVICE inline std::uint64_t IdentitySeed(const PageIdentity& identity) {
  std::uint64_t seed = SplitMix64(identity.key.sequence);
  seed = SplitMix64(seed + ((std::uint64_t{identity.key.page} << 32U) | identity.generation));
  return SplitMix64(seed + ((std::uint64_t{identity.key.layer} << 16U) | identity.key.shard));
}

/// The term of word `index` of a page whose identity hashes to `seed`.
PB_HOST_DEVICE inline std::uint64_t TagTerm(std::uint64_t word, std::uint64_t index,
                                            std::uint64_t seed) {
  return SplitMixFinish(word ^ (seed + index * kSplitMixIncrement));
}

}  // namespace pinboard::kernels
