// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_vote.h"

#include <array>

#include "base/status_macros.h"

namespace pinboard {
namespace {

// The hash in pieces so small that int32 holds the sum of their squares over 511 ranks.
constexpr int kPieceBits = 11;
constexpr int kPieces = 6;

}  // namespace

absl::StatusOr<Verdict> VoteOnRound(const ShardContext& context, bool ready,
                                    std::uint64_t plan_hash) {
  const std::int64_t ranks = context.tp();
  if (ranks == 1) return Verdict{.all_ready = ready};
  std::array<std::int32_t, 1 + 2 * kPieces> sum{ready ? 1 : 0};
  for (int i = 0; i < kPieces; ++i) {
    const auto piece =
        static_cast<std::int32_t>(plan_hash >> (i * kPieceBits) & ((1U << kPieceBits) - 1));
    sum[1 + i] = piece;
    sum[1 + kPieces + i] = piece * piece;
  }
  PB_RETURN_IF_ERROR(
      AsLostRank(context.communicator->SumInt32(absl::MakeSpan(sum), context.RankDeadline())));
  Verdict verdict{.all_ready = sum[0] == ranks};
  for (int i = 0; i < kPieces; ++i) {
    // Cauchy-Schwarz: (sum of p)^2 <= ranks * sum of p^2, equal only where all p are.
    const std::int64_t pieces = sum[1 + i];
    const std::int64_t squares = sum[1 + kPieces + i];
    verdict.plans_equal &= pieces * pieces == ranks * squares;
  }
  return verdict;
}

}  // namespace pinboard
