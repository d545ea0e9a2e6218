// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/logits_pass.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "base/public_status.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

bool Wanted(const BatchEntry& entry, LogitsWanted wanted, int token) {
  const bool last = token == entry.first_token + entry.tokens - 1;
  return wanted == LogitsWanted::kAll || (wanted == LogitsWanted::kLast && last);
}

}  // namespace

absl::Status LogitsPass::Run(const StepBatch& batch, absl::Span<const StepInput> inputs,
                             Shard* shard, absl::Span<StepOutput> outputs) {
  local_.assign(outputs.size(), {});
  for (const Range& range : NeededRanges(batch, inputs, shard != nullptr)) {
    for (int done = 0; done < range.count;) {
      const int first = range.first + done;
      const int count = std::min(forward_->LogitsChunk(), range.count - done);
      chunk_.resize(static_cast<std::size_t>(count) * plan_.vocab_local);
      forward_->Logits(first, count, absl::MakeSpan(chunk_));
      if (shard != nullptr) {
        PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveLogits(first, count, chunk_)));
      }
      HandOut(batch, inputs, first, outputs);
      done += count;
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

/// Distributes the rows of chunk_, which begin at token `first`.
void LogitsPass::HandOut(const StepBatch& batch, absl::Span<const StepInput> inputs, int first,
                         absl::Span<StepOutput> outputs) {
  const int count = static_cast<int>(chunk_.size()) / plan_.vocab_local;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const BatchEntry& entry = batch.entries[i];
    const int end = std::min(first + count, entry.first_token + entry.tokens);
    for (int token = std::max(first, entry.first_token); token < end; ++token) {
      const auto row =
          chunk_.begin() + static_cast<std::ptrdiff_t>(token - first) * plan_.vocab_local;
      const auto row_end = row + plan_.vocab_local;
      if (Wanted(entry, inputs[i].logits, token)) {
        outputs[i].logits.insert(outputs[i].logits.end(), row, row_end);
      }
      if (token != entry.first_token + entry.tokens - 1) continue;
      const auto best = std::max_element(row, row_end);
      local_[i] = {plan_.vocab_begin + static_cast<std::int32_t>(best - row), *best};
    }
  }
}

absl::Status LogitsPass::MergeBest(absl::Span<StepOutput> outputs) {
  std::vector<TokenCandidate> gathered(local_.size() * plan_.ranks);
  PB_RETURN_IF_ERROR(communicator_->AllGather(
      {reinterpret_cast<const std::byte*>(local_.data()), local_.size() * sizeof(TokenCandidate)},
      {reinterpret_cast<std::byte*>(gathered.data()), gathered.size() * sizeof(TokenCandidate)},
      absl::Now() + deadline_));
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
