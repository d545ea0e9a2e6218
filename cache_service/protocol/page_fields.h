// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The structures that say which page, what of it and where: one description of each, which writing
// and reading follow. The order is the wire's.
#pragma once

#include <type_traits>

#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

template <typename T, typename U>
concept Is = std::is_same_v<std::remove_const_t<T>, U>;

template <Is<PageKey> T>
constexpr void Fields(T& v, auto& io) {
  io(v.sequence, v.page, v.layer, v.shard);
}
template <Is<PageRef> T>
constexpr void Fields(T& v, auto& io) {
  io(v.key, v.generation);
}
template <Is<PageHeader> T>
constexpr void Fields(T& v, auto& io) {
  io(v.key, v.generation, v.bytes, v.tag, v.mean_information, v.information, v.positions);
}
template <Is<SlabLocation> T>
constexpr void Fields(T& v, auto& io) {
  io(v.slab, v.segment, v.offset);
}
template <Is<PublishedPage> T>
constexpr void Fields(T& v, auto& io) {
  io(v.slab, v.header);
}
template <Is<FetchedPage> T>
constexpr void Fields(T& v, auto& io) {
  io(v.index, v.miss, v.location, v.header);
}

}  // namespace pinboard::cache_service
