// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What stays of an offloaded page: a box around its keys, and how well a query fits it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// Digests of many pages of one layer, structure of arrays, host memory. Per page, KV head and key
/// dimension: centre = (min + max) / 2 as bf16, mean radius = mean |centre - k| in 8 bits with one
/// scale per (page, head), rounded up so that the box never shrinks.
struct DigestView {
  absl::Span<const std::uint16_t> centre;  // [pages, kv_heads, key_dim]
  absl::Span<const std::uint8_t> radius;   // [pages, kv_heads, key_dim]
  absl::Span<const float> radius_scale;    // [pages, kv_heads]
};

/// Bytes one page's digest takes.
inline std::size_t DigestBytes(const KvShape& shape) {
  return static_cast<std::size_t>(shape.kv_heads) * (shape.key_dim * 3 + sizeof(float));
}

/// Makes the digest of one page as PageGather wrote it. centre, radius [kv_heads, key_dim];
/// radius_scale [kv_heads].
absl::Status BuildDigest(const KvShape& shape, absl::Span<const std::byte> page,
                         absl::Span<std::uint16_t> centre, absl::Span<std::uint8_t> radius,
                         absl::Span<float> radius_scale);

struct PageScoreArgs {
  DigestView digests;
  KvShape shape;
  absl::Span<const std::int32_t> pages;  // the live pages: indices into the digests
  absl::Span<const float> queries;       // [tokens, query_heads, key_dim]
  int tokens = 0;
  int query_heads = 0;
  int total_query_heads = 0;
  float scale = 1.0F;
};

/// out[i] for page pages[i] = this rank's share of the page score, fixed point 2^30 (method.md
/// section 4): per head s_p = scale * (q.centre + |q|.radius) = scale * sum_d max(q_d lo_d, q_d
/// hi_d); softmax over the live pages; sum over this rank's heads / total_query_heads; the maximum
/// over the tokens.
absl::Status ScorePages(const PageScoreArgs& args, absl::Span<std::int32_t> out);

}  // namespace pinboard::kernels
