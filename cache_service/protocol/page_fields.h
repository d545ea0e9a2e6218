// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The structures that say which page, what of it and where: one description of each, which writing
// and reading follow. The order is the wire's.
#pragma once

#include <cstddef>
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
template <Is<FetchedHeader> T>
constexpr void Fields(T& v, auto& io) {
  io(v.bytes, v.tag, v.mean_information);
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
template <Is<FoundPage> T>
constexpr void Fields(T& v, auto& io) {
  io(v.index, v.location, v.header);
}

template <>
inline constexpr bool kLiesAsEncoded<PageHeader> = offsetof(PageHeader, key) == 0 &&
                                                   offsetof(PageKey, sequence) == 0 &&
                                                   offsetof(PageKey, page) == 8 &&
                                                   offsetof(PageKey, layer) == 12 &&
                                                   offsetof(PageKey, shard) == 14 &&
                                                   offsetof(PageHeader, generation) == 16 &&
                                                   offsetof(PageHeader, bytes) == 20 &&
                                                   offsetof(PageHeader, tag) == 24 &&
                                                   offsetof(PageHeader, mean_information) == 32 &&
                                                   offsetof(PageHeader, information) == 36 &&
                                                   offsetof(PageHeader, positions) == 100;

}  // namespace pinboard::cache_service
