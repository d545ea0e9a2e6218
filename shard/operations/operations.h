// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The operations of kernels/ where the engine's tensors and cache lie: on the host or on a device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/memory_space.h"
#include "kernels/attention_score/attention_score.h"
#include "kernels/compact/compact.h"
#include "kernels/evicted_attention/evicted_attention.h"
#include "kernels/expected_attention/expected_attention.h"
#include "kernels/influence/influence.h"
#include "kernels/key_redundancy/key_redundancy.h"
#include "kernels/page_digest/page_digest.h"
#include "kernels/page_transfer/page_transfer.h"
#include "kernels/select/select.h"
#include "shard/digest_table.h"
#include "shard/operations/page_intake.h"

namespace pinboard {

/// Ranks whose candidates are merged at once.
inline constexpr int kMostParts = 16;

/// Pages of one layer of a sequence whose scores are wanted.
struct PagesToScore {
  kernels::PageScoreArgs args;
  absl::Span<std::int32_t> out;  // in memory()
};

/// One layer of a sequence whose rows' attention is wanted.
struct RowsToScore {
  kernels::AttentionScoreArgs args;
  absl::Span<std::int32_t> out;  // in memory()
};

/// New tokens of a sequence whose information is wanted in all its layers.
struct TokensToInform {
  std::vector<absl::Span<const float>> shift;  // [layers] of [tokens]
  absl::Span<const float> entropy;             // [tokens]
  double tau = 1.0;
  absl::Span<std::int32_t> out;  // [layers, tokens], in memory()
};

/// One layer of a sequence whose rows are scored by two rules.
struct RowsToFuse {
  /// With the rule for what is kept. All have `information`, which lies on the host like the
  /// positions; attention and redundancy lie in memory().
  kernels::FuseArgs args;
  ScoreRule band = ScoreRule::kInformation;  // the rule for the band
};

/// How many rows a layer has in a selection, and how many of each class there are to be:
/// kernels::SelectArgs.
struct RowsToSelect {
  int rows = 0;
  int keep = 0;
  int near = 0;
  int far = 0;
};

/// A page on its way out: gathered from `rows` of a layer into `bytes`, its tag to `*tag`.
struct PageOut {
  kernels::PageCopyArgs from;
  absl::Span<const std::int32_t> rows;  // [kPageRows], physical
  kernels::PageIdentity identity;
  absl::Span<std::byte> bytes;  // on the host, or in memory()
  std::uint64_t* tag = nullptr;
};

/// A page on its way in: into kPageRows physical rows of a layer from `first_row` on.
struct PageIn {
  kernels::PageCopyArgs to;
  int first_row = 0;
  kernels::PageIdentity identity;
  std::uint64_t tag = 0;
  absl::Span<const std::byte> bytes;  // in memory()
  std::shared_ptr<const void> owner;  // of the bytes, kept until Finish
};

/// Within memory(); the two do not overlap.
struct FloatCopy {
  absl::Span<const float> from;
  float* to = nullptr;
};

/// New digests of a layer: rows [slots, kPageRows] are of the page whose digest goes to slots[i].
struct DigestsToBuild {
  kernels::PageCopyArgs from;
  absl::Span<const std::int32_t> rows;
  absl::Span<const std::int32_t> slots;
  DigestArrays digests;
};

/// A queue of operations, done in the order of the calls and of the engine's own work on its
/// tensors and cache. Results and errors are there when Finish has returned and not before: what is
/// written on the host stays where it is until then. Inputs on the host are taken during the call.
/// Shapes, units and errors are those of the functions of kernels/ after which the methods are
/// named; tensors, queries, digests, candidates and caches lie in memory(), all other spans on the
/// host unless said otherwise. What takes many problems at once does so for the device's sake: give
/// it all layers and sequences that there are. Thread-compatible.
class Operations {
 public:
  virtual ~Operations() = default;

  virtual MemorySpace* memory() = 0;
  /// That the round's and the step's operations take rows of this shape, and pages of them where
  /// there are any. Unimplemented: they are larger than a device works on. The host takes all.
  virtual absl::Status CheckRows(const KvShape& /*shape*/, int /*block_size*/, bool /*has_pages*/) {
    return absl::OkStatus();
  }
  /// For pages of this size; independent of the queue.
  virtual std::unique_ptr<PageIntake> MakePageIntake(std::size_t page_bytes) = 0;

  // A step.
  virtual absl::Status CopyAll(absl::Span<const FloatCopy> copies) = 0;
  /// values, ids: in memory().
  virtual absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                                  int vocab_begin, int k, absl::Span<float> values,
                                  absl::Span<std::int32_t> ids) = 0;
  /// In nats, of at most kMostParts parts; values: in memory().
  virtual absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                                     absl::Span<float> entropy) = 0;
  /// What memory() holds to the host.
  virtual absl::Status Read(absl::Span<const std::byte> from, absl::Span<std::byte> to) = 0;
  /// What the host holds to memory().
  virtual absl::Status Write(absl::Span<const std::byte> from, absl::Span<std::byte> to) = 0;
  /// Of one layer or of several.
  virtual absl::Status RepresentationShift(absl::Span<const float> hidden,
                                           absl::Span<const float> final_hidden, int tokens,
                                           int dim, absl::Span<float> shift) = 0;
  /// By the signs of kernels::SketchMatrix(dim, width).
  virtual absl::Status ProjectionSketch(absl::Span<const float> hidden, int tokens, int dim,
                                        int width, absl::Span<float> sketch) = 0;
  virtual absl::Status ScorePages(absl::Span<const PagesToScore> layers) = 0;
  virtual absl::Status EvictedAttention(const kernels::EvictedAttentionArgs& args,
                                        kernels::EvictedAttentionResult* out) = 0;
  /// No two pages have a row in common.
  virtual absl::Status ScatterPages(absl::Span<const PageIn> pages) = 0;

  // A round. Its signals are written to memory().
  /// log_sum_exp lies in memory(), as the queries do.
  virtual absl::Status AttentionScore(absl::Span<const RowsToScore> layers) = 0;
  virtual absl::Status ExpectedAttention(const kernels::ExpectedAttentionArgs& args,
                                         absl::Span<std::int32_t> out) = 0;
  virtual absl::Status KeyRedundancy(const kernels::KeyRedundancyArgs& args,
                                     absl::Span<std::int32_t> out) = 0;
  virtual absl::Status Information(const TokensToInform& tokens) = 0;
  /// Adds to totals[i] the values information[first[i]] ... information[first[i + 1] - 1], which
  /// lie in memory().
  virtual absl::Status AddInformation(absl::Span<const std::int32_t> information,
                                      absl::Span<const std::int64_t> first,
                                      absl::Span<kernels::InformationTotals> totals) = 0;
  /// Scores of the layers' rows, one layer's behind the other's, in memory().
  virtual absl::Status Fuse(absl::Span<const RowsToFuse> layers,
                            absl::Span<std::int64_t> keep_score,
                            absl::Span<std::int64_t> band_score) = 0;
  /// Of scores that Fuse left; is_protected, classes: likewise one layer's behind the other's.
  virtual absl::Status Select(absl::Span<const RowsToSelect> layers,
                              absl::Span<const std::int64_t> keep_score,
                              absl::Span<const std::int64_t> band_score,
                              absl::Span<const std::uint8_t> is_protected,
                              absl::Span<kernels::RowClass> classes) = 0;
  virtual absl::Status GatherPages(absl::Span<const PageOut> pages) = 0;
  virtual absl::Status BuildDigests(absl::Span<const DigestsToBuild> layers) = 0;
  /// No layer writes a row that another one reads or writes.
  virtual absl::Status Compact(absl::Span<const kernels::CompactArgs> layers) = 0;
  /// Bytes of whole rows [rows][keys | values], of the heads' order in a page: for checks.
  virtual absl::Status ReadRows(const kernels::PageCopyArgs& from,
                                absl::Span<const std::int32_t> rows,
                                absl::Span<std::byte> bytes) = 0;

  /// Marks this place of the queue, one at a time; AwaitMark waits for what lies before it, and
  /// hands its results out, while what lies behind it goes on. Errors are left for Finish.
  virtual absl::Status Mark() = 0;
  virtual absl::Status AwaitMark() = 0;
  /// Whether AwaitMark would return at once.
  virtual absl::StatusOr<bool> HasReachedMark() = 0;
  /// Waits for all of it. The first error of any operation since the last Finish; what was to be
  /// written is unspecified then.
  virtual absl::Status Finish() = 0;
};

/// On the host, at once.
std::unique_ptr<Operations> MakeHostOperations();

}  // namespace pinboard
