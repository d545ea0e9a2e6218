// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/logits_pass.h"

#include <algorithm>

#include "base/clock.h"
#include "base/public_status.h"
#include "base/status_macros.h"

namespace pinboard::engine {
absl::Status LogitsPass::Run(const StepBatch& batch, absl::Span<const StepInput> inputs,
                             Shard* shard, absl::Span<StepOutput> outputs) {
  local_.assign(outputs.size(), {});
  for (const Range& range : NeededRanges(batch, inputs, shard != nullptr)) {
    for (int done = 0; done < range.count;) {
      const Range chunk{range.first + done, std::min(forward_->LogitsChunk(), range.count - done)};
      PB_ASSIGN_OR_RETURN(const absl::Span<const float> logits,
                          forward_->Logits(chunk.first, chunk.count));
      if (shard != nullptr) {
        PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveLogits(chunk.first, chunk.count, logits)));
      } else {
        PB_RETURN_IF_ERROR(FindBest(batch, chunk));
      }
      PB_RETURN_IF_ERROR(HandOut(batch, inputs, chunk, outputs));
      done += chunk.count;
    }
  }
  return shard == nullptr ? MergeBest(outputs) : absl::OkStatus();
}

std::vector<LogitsPass::Range> LogitsPass::NeededRanges(const StepBatch& batch,
                                                        absl::Span<const StepInput> inputs,
                                                        bool all) {
  if (all) return {{0, batch.size()}};
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const BatchEntry& entry = batch.entries[i];
    const int count = inputs[i].logits == LogitsWanted::kAll ? entry.tokens : 1;
    const int first = entry.first_token + entry.tokens - count;
    if (!ranges.empty() && ranges.back().first + ranges.back().count == first) {
      ranges.back().count += count;
    } else {
      ranges.push_back({first, count});
    }
  }
  return ranges;
}

absl::Status LogitsPass::HandOut(const StepBatch& batch, absl::Span<const StepInput> inputs,
                                 const Range& chunk, absl::Span<StepOutput> outputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const BatchEntry& entry = batch.entries[i];
    const int entry_end = entry.first_token + entry.tokens;
    const int end = std::min(chunk.first + chunk.count, entry_end);
    int begin = std::max(chunk.first, entry.first_token);
    if (inputs[i].logits == LogitsWanted::kNone) continue;
    if (inputs[i].logits == LogitsWanted::kLast) begin = std::max(begin, entry_end - 1);
    if (begin >= end) continue;
    std::vector<float>& logits = outputs[i].logits;
    const std::size_t before = logits.size();
    logits.resize(before + static_cast<std::size_t>(end - begin) * plan_.vocab_local);
    PB_RETURN_IF_ERROR(
        forward_->CopyLogits(begin - chunk.first, absl::MakeSpan(logits).subspan(before)));
  }
  return absl::OkStatus();
}

absl::Status LogitsPass::FindBest(const StepBatch& batch, const Range& chunk) {
  std::vector<int> rows;
  std::vector<std::size_t> entries;
  for (std::size_t i = 0; i < batch.entries.size(); ++i) {
    const BatchEntry& entry = batch.entries[i];
    const int row = entry.first_token + entry.tokens - 1 - chunk.first;
    if (row < 0 || row >= chunk.count) continue;
    rows.push_back(row);
    entries.push_back(i);
  }
  std::vector<BestLogit> best(rows.size());
  PB_RETURN_IF_ERROR(forward_->FindBest(rows, absl::MakeSpan(best)));
  for (std::size_t i = 0; i < best.size(); ++i) {
    local_[entries[i]] = {plan_.vocab_begin + best[i].column, best[i].logit};
  }
  return absl::OkStatus();
}

absl::Status LogitsPass::MergeBest(absl::Span<StepOutput> outputs) {
  std::vector<TokenCandidate> gathered(local_.size() * plan_.ranks);
  PB_RETURN_IF_ERROR(communicator_->AllGather(
      {reinterpret_cast<const std::byte*>(local_.data()), local_.size() * sizeof(TokenCandidate)},
      {reinterpret_cast<std::byte*>(gathered.data()), gathered.size() * sizeof(TokenCandidate)},
      SteadyNow() + deadline_));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    TokenCandidate best = gathered[i];
    for (int rank = 1; rank < plan_.ranks; ++rank) {
      const TokenCandidate& other = gathered[rank * outputs.size() + i];
      if (other.logit > best.logit) best = other;
    }
    outputs[i].candidates = {best};
  }
  return absl::OkStatus();
}

}  // namespace pinboard::engine
