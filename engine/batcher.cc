// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/batcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {

absl::Span<const std::int32_t> Batcher::Active::Next(int max_prompt_tokens) const {
  if (!reading()) return {&*next, 1};
  const auto left = absl::MakeConstSpan(request.prompt).subspan(read);
  int chunk = std::min(static_cast<int>(left.size()), max_prompt_tokens);
  const int until_round = length_at_round + request.options.round_every - read;
  if (until_round > 0) chunk = std::min(chunk, until_round);
  return left.first(chunk);
}

Batcher::Batcher(Engine* engine, const Shard* shard, const BatchOptions& options, Choose choose)
    : engine_(engine), shard_(shard), options_(options), choose_(std::move(choose)) {}

absl::StatusOr<std::unique_ptr<Batcher>> Batcher::Create(Engine* engine, const Shard* shard,
                                                         const BatchOptions& options,
                                                         Choose choose) {
  if (options.max_prompt_tokens < 1 || options.max_running < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_prompt_tokens is ", options.max_prompt_tokens, " and max_running ",
                     options.max_running, ": each must be at least 1"));
  }
  return std::unique_ptr<Batcher>(new Batcher(engine, shard, options, std::move(choose)));
}

absl::Status Batcher::Submit(BatchRequest request) {
  if (request.prompt.empty() || request.max_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("request ", request.sequence, ": a prompt of ", request.prompt.size(),
                     " tokens and ", request.max_tokens, " to make: give it at least one of each"));
  }
  for (const std::int32_t token : request.prompt) {
    if (token >= 0 && token < engine_->config().vocab_size) continue;
    return absl::InvalidArgumentError(absl::StrCat("request ", request.sequence, ": token id ",
                                                   token, " is outside the vocabulary of ",
                                                   engine_->config().vocab_size, " tokens"));
  }
  request.options.prompt_tokens = static_cast<int>(request.prompt.size());
  PB_RETURN_IF_ERROR(engine_->AddSequence(request.sequence, request.options));
  waiting_.push_back(std::make_unique<Active>());
  waiting_.back()->request = std::move(request);
  return absl::OkStatus();
}

absl::Status Batcher::Cancel(std::uint64_t sequence) {
  const auto is_it = [&](const auto& one) { return one->request.sequence == sequence; };
  const auto waits = std::find_if(waiting_.begin(), waiting_.end(), is_it);
  const auto acts = std::find_if(active_.begin(), active_.end(), is_it);
  if (waits == waiting_.end() && acts == active_.end()) {
    return absl::NotFoundError(absl::StrCat("no request ", sequence));
  }
  PB_RETURN_IF_ERROR(engine_->Remove(sequence));
  if (waits != waiting_.end()) waiting_.erase(waits);
  if (acts != active_.end()) active_.erase(acts);
  return absl::OkStatus();
}

absl::Status Batcher::Step() {
  if (idle()) return absl::OkStatus();
  PB_RETURN_IF_ERROR(Compress(used_blocks()));
  PB_RETURN_IF_ERROR(Resume());
  Admit();
  PB_ASSIGN_OR_RETURN(const std::vector<Active*> chosen, PlanStep());
  std::vector<StepInput> inputs;
  for (const Active* active : chosen) {
    inputs.push_back(
        {.sequence = active->request.sequence, .tokens = active->Next(options_.max_prompt_tokens)});
  }
  PB_ASSIGN_OR_RETURN(const std::vector<StepOutput> outputs, engine_->Step(inputs));
  ++stats_.steps;
  stats_.most_running = std::max(stats_.most_running, running());
  stats_.most_blocks = std::max(stats_.most_blocks, used_blocks());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    stats_.tokens += static_cast<std::int64_t>(inputs[i].tokens.size());
    Take(*chosen[i], inputs[i].tokens.size(), outputs[i]);
  }
  return RemoveEnded();
}

absl::Status Batcher::Compress(int used_blocks) {
  if (shard_ == nullptr) return absl::OkStatus();
  const std::vector<std::uint64_t> asked =
      shard_->DueForRound(used_blocks, engine_->total_blocks());
  std::vector<std::uint64_t> due;
  for (const auto& active : active_) {
    if (!active->running()) continue;
    if (!std::binary_search(asked.begin(), asked.end(), active->request.sequence)) continue;
    due.push_back(active->request.sequence);
    active->length_at_round = engine_->Length(active->request.sequence);
  }
  if (due.empty()) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(const std::vector<RoundOutcome> outcomes, engine_->Compress(due));
  for (const RoundOutcome& outcome : outcomes) {
    stats_.rounds += outcome.applied ? 1 : 0;
    if (handlers_.on_round) handlers_.on_round(outcome);
  }
  return absl::OkStatus();
}

int Batcher::Missing(const Active& active) const {
  const int tokens = static_cast<int>(active.Next(options_.max_prompt_tokens).size());
  return engine_->BlocksMissing(active.request.sequence, tokens);
}

int Batcher::Promised() const {
  int blocks = 0;
  for (const auto& active : active_) blocks += active->running() ? Missing(*active) : 0;
  return blocks;
}

/// Whoever comes back or joins leaves what those that run need next, so that it is not the next to
/// go.
absl::Status Batcher::Resume() {
  for (const auto& active : active_) {
    if (!active->swapped_out) continue;
    if (running() > 0 && Missing(*active) + Promised() > engine_->free_blocks()) break;
    PB_RETURN_IF_ERROR(engine_->SwapIn(active->request.sequence));
    active->swapped_out = false;
    ++stats_.resumes;
  }
  return absl::OkStatus();
}

void Batcher::Admit() {
  while (!waiting_.empty() && running() == static_cast<int>(active_.size()) &&
         running() < options_.max_running) {
    if (running() > 0 && Missing(*waiting_.front()) + Promised() > engine_->free_blocks()) break;
    active_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

absl::StatusOr<std::vector<Batcher::Active*>> Batcher::PlanStep() {
  for (bool compressed = false;; compressed = true) {
    std::vector<Active*> chosen;
    int free = engine_->free_blocks();
    int prompt_tokens = options_.max_prompt_tokens;
    bool fits = true;
    for (const auto& active : active_) {
      if (!active->running()) continue;
      const int chunk = static_cast<int>(active->Next(options_.max_prompt_tokens).size());
      if (active->reading() && chunk > prompt_tokens) continue;
      if (Missing(*active) > free) {
        fits = false;
        break;
      }
      free -= Missing(*active);
      if (active->reading()) prompt_tokens -= chunk;
      chosen.push_back(active.get());
    }
    if (fits) return chosen;
    // No block is free for what comes next: for those that go by use, the cache is full.
    if (!compressed) {
      PB_RETURN_IF_ERROR(Compress(engine_->total_blocks()));
    } else {
      PB_RETURN_IF_ERROR(PreemptLatest());
    }
  }
}

absl::Status Batcher::PreemptLatest() {
  const auto latest = std::find_if(active_.rbegin(), active_.rend(),
                                   [](const auto& active) { return active->running(); });
  const std::uint64_t sequence = (*latest)->request.sequence;
  if (running() == 1) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "sequence ", sequence, " needs ", Missing(**latest), " more KV cache blocks and ",
        engine_->free_blocks(), " of ", engine_->total_blocks(),
        " are free, with no other running: give the cache more blocks, or compress it more often"));
  }
  PB_RETURN_IF_ERROR(engine_->SwapOut(sequence));
  (*latest)->swapped_out = true;
  ++stats_.preemptions;
  return absl::OkStatus();
}

void Batcher::Take(Active& active, std::size_t tokens, const StepOutput& output) {
  if (active.reading()) {
    active.read += static_cast<int>(tokens);
    if (active.reading()) return;
  }
  active.next = choose_(output);
  if (!active.next.has_value()) {
    active.ended = true;
    return;
  }
  const bool goes_on =
      !handlers_.on_token || handlers_.on_token(active.request.sequence, *active.next);
  active.ended = ++active.made == active.request.max_tokens || !goes_on;
}

absl::Status Batcher::RemoveEnded() {
  for (const auto& active : active_) {
    if (!active->ended) continue;
    if (handlers_.on_end) handlers_.on_end(active->request.sequence);
    PB_RETURN_IF_ERROR(engine_->Remove(active->request.sequence));
  }
  active_.erase(std::remove_if(active_.begin(), active_.end(),
                               [](const auto& active) { return active->ended; }),
                active_.end());
  return absl::OkStatus();
}

int Batcher::running() const {
  return static_cast<int>(std::count_if(active_.begin(), active_.end(),
                                        [](const auto& active) { return active->running(); }));
}

}  // namespace pinboard::engine
