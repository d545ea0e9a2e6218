// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/token_exchange.h"

#include <algorithm>
#include <cstring>

#include "base/status_macros.h"
#include "kernels/entropy/entropy.h"

namespace pinboard {
namespace {

void Append(std::vector<std::byte>& buffer, const void* data, std::size_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  buffer.insert(buffer.end(), from, from + bytes);
}

/// The ranks' parts, each [values | ids | report].
struct Parts {
  std::vector<float> values;      // [tp, tokens, top_k]
  std::vector<std::int32_t> ids;  // [tp, slices, top_k]
  std::vector<std::uint8_t> reports;
};

absl::StatusOr<Parts> Gather(ShardContext& context, const StepRecorder& recorder,
                             absl::Span<const std::uint8_t> report) {
  const auto values = recorder.candidate_values();
  const std::vector<std::int32_t> ids = recorder.LastTokenIds();
  if (context.tp() == 1) {
    return Parts{{values.begin(), values.end()}, ids, {report.begin(), report.end()}};
  }
  std::vector<std::byte> send;
  Append(send, values.data(), values.size() * sizeof(float));
  Append(send, ids.data(), ids.size() * sizeof(std::int32_t));
  Append(send, report.data(), report.size());
  std::vector<std::byte> received(send.size() * context.tp());
  PB_RETURN_IF_ERROR(AsLostRank(
      context.communicator->AllGather(send, absl::MakeSpan(received), context.RankDeadline())));
  Parts parts;
  parts.values.resize(values.size() * context.tp());
  parts.ids.resize(ids.size() * context.tp());
  parts.reports.resize(report.size() * context.tp());
  for (int rank = 0; rank < context.tp(); ++rank) {
    const std::byte* from = received.data() + rank * send.size();
    const auto take = [&from](auto& to, std::size_t count, int at) {
      const std::size_t bytes = count * sizeof(to[0]);
      if (bytes > 0) std::memcpy(to.data() + at * count, from, bytes);
      from += bytes;
    };
    take(parts.values, values.size(), rank);
    take(parts.ids, ids.size(), rank);
    take(parts.reports, report.size(), rank);
  }
  return parts;
}

std::vector<TokenCandidate> MergeCandidates(const Parts& parts, const StepRecorder& recorder,
                                            std::size_t slice, int tp, std::size_t top_k) {
  const StepSlice& entry = recorder.slices()[slice];
  const std::size_t last = entry.first_token + entry.entry.tokens - 1;
  std::vector<TokenCandidate> merged;
  merged.reserve(tp * top_k);
  for (int rank = 0; rank < tp; ++rank) {
    const float* values = parts.values.data() + (rank * recorder.tokens() + last) * top_k;
    const std::int32_t* ids = parts.ids.data() + (rank * recorder.slices().size() + slice) * top_k;
    for (std::size_t i = 0; i < top_k; ++i) {
      if (ids[i] >= 0) merged.push_back({ids[i], values[i]});
    }
  }
  std::sort(merged.begin(), merged.end(), [](const TokenCandidate& a, const TokenCandidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });
  merged.resize(std::min(merged.size(), top_k));
  return merged;
}

}  // namespace

absl::StatusOr<TokenExchangeResult> ExchangeTokens(ShardContext& context,
                                                   const StepRecorder& recorder,
                                                   absl::Span<const std::uint8_t> report) {
  PB_ASSIGN_OR_RETURN(Parts parts, Gather(context, recorder, report));
  TokenExchangeResult result;
  result.entropy_after.resize(recorder.tokens());
  PB_RETURN_IF_ERROR(kernels::MergedEntropy(parts.values, context.tp(), recorder.tokens(),
                                            context.options.top_k, kernels::EntropyUnit::kNats,
                                            absl::MakeSpan(result.entropy_after)));
  for (std::size_t slice = 0; slice < recorder.slices().size(); ++slice) {
    result.candidates.push_back(
        MergeCandidates(parts, recorder, slice, context.tp(), context.options.top_k));
  }
  result.reports = std::move(parts.reports);
  return result;
}

}  // namespace pinboard
