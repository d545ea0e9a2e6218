// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/token_exchange.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "kernels/entropy/entropy.h"

namespace pinboard {
namespace {

template <typename T>
void Append(std::vector<std::byte>& buffer, const std::vector<T>& values) {
  const auto bytes = AsBytes(absl::MakeConstSpan(values));
  buffer.insert(buffer.end(), bytes.begin(), bytes.end());
}

}  // namespace

bool TokenExchange::MergesInPlace() const {
  return context_->tp() == 1 ||
         (context_->communicator->on_device() != nullptr && context_->tp() <= kMostParts);
}

absl::Status TokenExchange::Begin(const StepRecorder& recorder) {
  const int top_k = context_->options.top_k;
  const absl::Span<const float> values = recorder.candidate_values();
  mine_.last_values.resize(recorder.slices().size() * top_k);
  mine_.last_ids.resize(mine_.last_values.size());
  mine_.values.resize(MergesInPlace() ? 0 : values.size());
  entropy_.resize(recorder.tokens());
  PB_RETURN_IF_ERROR(recorder.ReadLastCandidates(absl::MakeSpan(mine_.last_values),
                                                 absl::MakeSpan(mine_.last_ids)));
  if (!MergesInPlace()) {
    return context_->operations->Read(AsBytes(values), AsBytes(absl::MakeSpan(mine_.values)));
  }
  PB_ASSIGN_OR_RETURN(const absl::Span<const float> all, GatherInPlace(values));
  PB_RETURN_IF_ERROR(context_->operations->MergedEntropy(all, context_->tp(), recorder.tokens(),
                                                         top_k, absl::MakeSpan(entropy_)));
  return context_->AwaitLaunched();
}

absl::StatusOr<absl::Span<const float>> TokenExchange::GatherInPlace(
    absl::Span<const float> values) {
  if (context_->tp() == 1) return values;
  gathered_.Truncate(0);
  PB_ASSIGN_OR_RETURN(const absl::Span<float> gathered,
                      gathered_.Resize(values.size() * context_->tp()));
  PB_RETURN_IF_ERROR(AsLostRank(context_->communicator->on_device()->LaunchAllGather(
      AsBytes(values), AsBytes(gathered), context_->stream(), context_->RankDeadline())));
  return gathered;
}

absl::StatusOr<TokenExchange::Parts> TokenExchange::Gather(
    absl::Span<const std::uint8_t> report) const {
  const auto tp = static_cast<std::size_t>(context_->tp());
  Parts parts = mine_;
  parts.reports.assign(report.begin(), report.end());
  if (tp == 1) return parts;
  std::vector<std::byte> send;
  Append(send, parts.last_values);
  Append(send, parts.last_ids);
  Append(send, parts.values);
  Append(send, parts.reports);
  std::vector<std::byte> received(send.size() * tp);
  PB_RETURN_IF_ERROR(AsLostRank(
      context_->communicator->AllGather(send, absl::MakeSpan(received), context_->RankDeadline())));
  const std::byte* rank_begin = received.data();
  std::size_t offset = 0;
  const auto take = [&](auto& values) {
    const std::size_t count = values.size(), bytes = count * sizeof(values[0]);
    values.resize(count * tp);
    for (std::size_t rank = 0; rank < tp && bytes > 0; ++rank) {
      std::memcpy(values.data() + rank * count, rank_begin + rank * send.size() + offset, bytes);
    }
    offset += bytes;
  };
  take(parts.last_values);
  take(parts.last_ids);
  take(parts.values);
  take(parts.reports);
  return parts;
}

std::vector<TokenCandidate> TokenExchange::MergeCandidates(const Parts& parts,
                                                           std::size_t slice) const {
  const auto top_k = static_cast<std::size_t>(context_->options.top_k);
  std::vector<TokenCandidate> merged;
  merged.reserve(context_->tp() * top_k);
  for (int rank = 0; rank < context_->tp(); ++rank) {
    const std::size_t first = rank * mine_.last_values.size() + slice * top_k;
    for (std::size_t i = first; i < first + top_k; ++i) {
      if (parts.last_ids[i] >= 0) merged.push_back({parts.last_ids[i], parts.last_values[i]});
    }
  }
  const auto is_better = [](const TokenCandidate& a, const TokenCandidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  // Those of one rank are in order already.
  if (context_->tp() > 1) std::sort(merged.begin(), merged.end(), is_better);
  merged.resize(std::min(merged.size(), top_k));
  return merged;
}

absl::StatusOr<TokenExchangeResult> TokenExchange::Complete(const StepRecorder& recorder,
                                                            absl::Span<const std::uint8_t> report) {
  PB_ASSIGN_OR_RETURN(Parts parts, Gather(report));
  TokenExchangeResult result;
  result.entropy_after = entropy_;
  if (!MergesInPlace()) {
    PB_RETURN_IF_ERROR(kernels::MergedEntropy(parts.values, context_->tp(), recorder.tokens(),
                                              context_->options.top_k, kernels::EntropyUnit::kNats,
                                              absl::MakeSpan(result.entropy_after)));
  }
  for (std::size_t slice = 0; slice < recorder.slices().size(); ++slice) {
    result.candidates.push_back(MergeCandidates(parts, slice));
  }
  result.reports = std::move(parts.reports);
  return result;
}

}  // namespace pinboard
