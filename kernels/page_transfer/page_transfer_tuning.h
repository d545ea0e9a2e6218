// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How many thread blocks move pages over the link to the host, by the size of a page.
#pragma once

#include <cstddef>

namespace pinboard::kernels {

/// The fewest of 2, 4, 8, 16 ... that fill a PCIe 5 link of 16 lanes, as bench/offload measured: a
/// block has one page in flight, so small pages take more of them. More than fill the link queue
/// up in the device's memory system and hold up all kernels beside them (a device copy takes 1.2
/// times as long beside 16 blocks that write to the host, 2.3 times beside 32).
constexpr int BlocksToHost(std::size_t page_bytes) {
  return page_bytes >= std::size_t{64} << 10 ? 8 : 16;
}
/// Whatever the size of a page.
inline constexpr int kBlocksFromHost = 16;

}  // namespace pinboard::kernels
