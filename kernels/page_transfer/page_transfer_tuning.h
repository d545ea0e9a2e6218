// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How many thread blocks move pages over the link to the host, by the size of a page.
#pragma once

#include <cstddef>

namespace pinboard::kernels {

/// The fewest of 4, 8, 12, 16 ... that fill a PCIe 5 link of 16 lanes, as bench/offload measured: a
/// block has one page in flight, so small pages take more of them. More than fill the link queue
/// up in the device's memory system and hold up all kernels beside them: next to pages of 64 KiB a
/// device copy takes 1.05 times as long where 8 blocks write to the host, 1.2 times next to 16, 2.3
/// to 3 times next to 32.
constexpr int BlocksToHost(std::size_t page_bytes) {
  return page_bytes >= std::size_t{64} << 10 ? 8 : 12;
}
/// Whatever the size of a page.
inline constexpr int kBlocksFromHost = 16;

}  // namespace pinboard::kernels
