// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What stays of an offloaded page: two centres of its keys, and how much a query wants the page.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// Centres per page and KV head (docs/adr/0004 says why two).
inline constexpr int kDigestCentres = 2;

/// Digests of many pages of one layer, structure of arrays, host memory.
struct DigestView {
  absl::Span<const std::int8_t> centres;  // [pages, kv_heads, kDigestCentres, key_dim], in steps
  absl::Span<const std::uint8_t> counts;  // [pages, kv_heads, kDigestCentres]: rows each stands for
  absl::Span<const float> step;           // [pages, kv_heads]
};

/// One page's digest, to be written.
struct DigestSlot {
  absl::Span<std::int8_t> centres;  // [kv_heads, kDigestCentres, key_dim]
  absl::Span<std::uint8_t> counts;  // [kv_heads, kDigestCentres]
  absl::Span<float> step;           // [kv_heads]
};

/// Bytes one page's digest takes.
inline std::size_t DigestBytes(const KvShape& shape) {
  return static_cast<std::size_t>(shape.kv_heads) *
         (kDigestCentres * (static_cast<std::size_t>(shape.key_dim) + 1) + sizeof(float));
}

/// Makes the digest of one page as PageGather wrote it. Per KV head, keys are taken in units of
/// step = max |k| / 127 (all 0 where that underflows), rounded to nearest, ties to even. From rows
/// 4 and 12 as first centres, Lloyd's algorithm runs six times: a row joins the centre at the least
/// squared distance, ties to the lower one; a centre becomes the mean of its rows, rounded to
/// nearest, ties up; one without rows stays where it is and stands for none. From the steps on all
/// is integer, so every device gives the same bits. `key_scales`: the cache's KvPlane::scales.
/// InvalidArgument: sizes disagree, or a key is not finite.
absl::Status BuildDigest(const KvShape& shape, absl::Span<const std::byte> page,
                         const float* key_scales, const DigestSlot& digest);

struct PageScoreArgs {
  DigestView digests;
  KvShape shape;
  absl::Span<const std::int32_t> pages;  // the live pages: indices into the digests
  absl::Span<const float> queries;       // [tokens, query_heads, key_dim]
  int tokens = 0;
  int query_heads = 0;
  int total_query_heads = 0;
  float attention_scale = 1.0F;
};

/// out[i] for page pages[i] = this rank's share of the page score, fixed point 2^30. Per head, a
/// page's mass is the sum over its centres c of count_c * exp(attention_scale * q.c), the estimate
/// of its rows' sum of exp(attention_scale * q.k); p is its share of all live pages' mass; the
/// score is the sum of p^2 over this rank's heads / total_query_heads, at its maximum over the
/// tokens. (Squared: a page that one head wants badly goes before one that all heads want a
/// little.) InvalidArgument: sizes disagree, a page has no digest, heads do not divide, or a query
/// or a digest is not finite.
absl::Status ScorePages(const PageScoreArgs& args, absl::Span<std::int32_t> out);

}  // namespace pinboard::kernels
