// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// BuildDigest and ScorePages (page_digest.h) for many pages and layers at once, on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/page_digest/page_digest.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// DigestView's arrays in device memory.
struct DeviceDigests {
  std::int8_t* centres = nullptr;
  std::uint8_t* counts = nullptr;
  float* step = nullptr;
};

/// Pages of one layer of one sequence, read where they lie in the cache. Pointers: device memory.
struct BuildDigestProblem {
  KvLayerView cache;
  const std::int32_t* block_table = nullptr;
  const std::int32_t* rows = nullptr;   // [count, kPageRows], physical
  const std::int32_t* slots = nullptr;  // [count]: where in the digests each goes
  DeviceDigests digests;                // out
  std::int32_t count = 0;               // pages
};

struct BuildDigestBatch {
  const BuildDigestProblem* problems = nullptr;  // [count], device memory
  int count = 0;
  std::int32_t most_pages = 0;  // of a problem
  KvShape shape;
  int block_size = 0;
  std::uint32_t* faults = nullptr;  // [1], grows by one for each head of a page not finite
};

/// The digests of BuildDigest, bit for bit; where key_dim is a multiple of 4, four keys lie at a
/// multiple of their size, and so do all digests' centres. A head with a key that is not finite is
/// counted and gets a digest that stands for no rows. Stream-ordered; allocates nothing, never
/// synchronises, can be captured in a graph. InvalidArgument: impossible sizes.
absl::Status LaunchBuildDigest(const BuildDigestBatch& batch, cudaStream_t stream);

/// The live pages of one layer of one sequence. Pointers: device memory.
struct ScorePagesProblem {
  DeviceDigests digests;
  const std::int32_t* pages = nullptr;  // [count], indices into the digests
  const float* queries = nullptr;       // [tokens, query_heads, key_dim]
  std::int32_t* out = nullptr;          // [count]
  std::int32_t count = 0;
};

/// Problems of a batch.
inline constexpr int kMostScoredTogether = 65535;

struct ScorePagesBatch {
  const ScorePagesProblem* problems = nullptr;  // [count], device memory
  int count = 0;
  std::int32_t most_pages = 0;  // of a problem
  KvShape shape;
  int tokens = 0;
  int query_heads = 0;
  int total_query_heads = 0;
  float attention_scale = 1.0F;
  bool joins = false;               // `out` holds the scores by other tokens: the higher one stays
  std::uint32_t* faults = nullptr;  // [1], grows by one for each token and head not finite
};

/// Bytes of device memory, 16-byte aligned, that LaunchScorePages works in: for each problem, token
/// and query head 8 bytes a page and 16 more.
std::size_t ScorePagesWorkspaceBytes(const ScorePagesBatch& batch);

/// ScorePages within the same bounds of the formula, and the same integers on every device: a query
/// is taken in steps of 2^-23 of its largest value, so its products with centres are integers, and
/// what follows has an order that depends on the shapes alone. Where key_dim is a multiple of 16,
/// centres lie at multiples of 16 bytes. A token's head that is not finite is counted and adds
/// nothing. Stream-ordered; allocates nothing, never synchronises, can be captured in a graph.
/// InvalidArgument: impossible sizes. Unimplemented: keys of more than 896 values.
absl::Status LaunchScorePages(const ScorePagesBatch& batch, void* workspace, cudaStream_t stream);

}  // namespace pinboard::kernels
