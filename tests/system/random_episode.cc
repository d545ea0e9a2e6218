// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/system/random_episode.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pinboard::testing {
namespace {

constexpr std::size_t kMostLive = 5;
constexpr int kMostTokensPerSequence = 500;

}  // namespace

void EpisodeCounts::Add(const EpisodeCounts& other) {
  actions += other.actions;
  forwards += other.forwards;
  rounds_applied += other.rounds_applied;
  rounds_kept_all += other.rounds_kept_all;
  rounds_disturbed += other.rounds_disturbed;
  pages_recalled += other.pages_recalled;
  misses += other.misses;
  preemptions_compacted += other.preemptions_compacted;
  resumes += other.resumes;
  forks += other.forks;
  replacements += other.replacements;
  finishes += other.finishes;
  refusals += other.refusals;
}

std::string EpisodeCounts::ToString() const {
  return absl::StrCat(
      actions, " actions: ", forwards, " forward passes, ", rounds_applied, " rounds applied and ",
      rounds_kept_all, " that kept everything, ", rounds_disturbed, " disturbed, ", pages_recalled,
      " pages recalled and ", misses, " missed, ", preemptions_compacted,
      " compacted sequences preempted, ", resumes, " resumed, ", forks, " forked, ", replacements,
      " of whose origins were replaced, ", finishes, " finished, ", refusals, " calls refused");
}

RandomEpisode::RandomEpisode(std::uint32_t seed, int actions)
    : random_(seed), options_(DrawGroup(random_)), actions_(actions), group_(options_) {}

EpisodeCounts RandomEpisode::Run() {
  while (counts_.actions < actions_ && !::testing::Test::HasFailure()) {
    ++counts_.actions;
    Act();
  }
  if (!::testing::Test::HasFailure()) EndAll();
  counts_.pages_recalled = static_cast<std::int64_t>(group_.stats().pages_recalled);
  counts_.misses = static_cast<std::int64_t>(group_.stats().misses);
  return counts_;
}

void RandomEpisode::Act() {
  if (live_.empty()) return Join();
  const int draw = random_.Int(0, 99);
  if (draw < 65) return Step();
  if (draw < 79) return group_.in_round().empty() ? BeginRound() : CommitRound();
  if (draw < 83) return Join();
  if (draw < 86) return Preempt();
  if (draw < 91) return Resume();
  if (draw < 95) return Fork();
  if (draw < 96) return Finish();
  if (draw < 98) return Trouble();
  Refuse();
}

TokenIds RandomEpisode::DrawTokens(int count) {
  TokenIds tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(random_.Int(0, group_.vocab() - 1));
  return tokens;
}

std::vector<std::uint64_t> RandomEpisode::Running(bool in_round_too) const {
  std::vector<std::uint64_t> running;
  for (const auto& [sequence, live] : live_) {
    if (!live.swapped_out && (in_round_too || !InRound(sequence))) running.push_back(sequence);
  }
  return running;
}

std::vector<std::uint64_t> RandomEpisode::SwappedOut() const {
  std::vector<std::uint64_t> out;
  for (const auto& [sequence, live] : live_) {
    if (live.swapped_out) out.push_back(sequence);
  }
  return out;
}

bool RandomEpisode::InRound(std::uint64_t sequence) const {
  const auto& round = group_.in_round();
  return std::find(round.begin(), round.end(), sequence) != round.end();
}

/// Now and then under the id of a sequence that has ended.
void RandomEpisode::Join() {
  if (live_.size() >= kMostLive) return Step();
  std::uint64_t sequence = next_sequence_;
  if (!ended_.empty() && random_.OneIn(2)) sequence = random_.Pick(ended_);
  if (live_.contains(sequence)) sequence = next_sequence_;
  next_sequence_ = std::max(next_sequence_, sequence + 1);
  JoinAs(sequence, DrawSequence(random_, options_));
}

void RandomEpisode::JoinAs(std::uint64_t sequence, const SequenceOptions& options) {
  group_.Add(sequence, options);
  live_[sequence].unread = options.prompt_tokens;
}

/// Each sequence that is drawn gets a chunk of its prompt, or a token or a few; where the blocks do
/// not suffice for all, those that come first.
void RandomEpisode::Step() {
  std::vector<GroupInput> inputs;
  int free = group_.engine().free_blocks();
  for (const std::uint64_t sequence : Running()) {
    Live& live = live_.at(sequence);
    if (random_.OneIn(4) || group_.engine().Length(sequence) > kMostTokensPerSequence) continue;
    int tokens = random_.OneIn(10) ? random_.Int(2, 5) : 1;
    if (live.unread > 0) tokens = std::min(live.unread, random_.Int(1, 64));
    const int missing = group_.engine().BlocksMissing(sequence, tokens);
    if (missing > free) continue;
    free -= missing;
    live.unread = std::max(0, live.unread - tokens);
    inputs.push_back({sequence, DrawTokens(tokens)});
  }
  if (inputs.empty()) return MakeRoom();
  std::shuffle(inputs.begin(), inputs.end(), random_.engine());
  ++counts_.forwards;
  group_.Step(inputs);
}

void RandomEpisode::MakeRoom() {
  if (!group_.in_round().empty()) return CommitRound();
  const auto running = Running();
  if (running.empty() || random_.OneIn(4)) return Finish();
  group_.Begin(running);
  if (!::testing::Test::HasFailure()) CommitRound();
}

void RandomEpisode::BeginRound() {
  std::vector<std::uint64_t> sequences = Running();
  if (random_.OneIn(2)) {
    const auto due = group_.Due();
    std::erase_if(sequences, [&](std::uint64_t sequence) {
      return std::find(due.begin(), due.end(), sequence) == due.end();
    });
  } else {
    std::erase_if(sequences, [&](std::uint64_t) { return random_.OneIn(2); });
  }
  if (sequences.empty()) return Step();
  std::shuffle(sequences.begin(), sequences.end(), random_.engine());
  const bool disturbed = group_.tp() > 1 && random_.OneIn(10);
  counts_.rounds_disturbed += disturbed ? 1 : 0;
  group_.Begin(sequences, disturbed);
  if (random_.OneIn(2) && !::testing::Test::HasFailure()) CommitRound();
}

void RandomEpisode::CommitRound() {
  for (const RoundOutcome& outcome : group_.Commit()) {
    ++(outcome.applied ? counts_.rounds_applied : counts_.rounds_kept_all);
    if (outcome.applied) live_.at(outcome.sequence).compacted = true;
  }
}

void RandomEpisode::Preempt() {
  const auto running = Running(/*in_round_too=*/false);
  if (running.empty()) return Step();
  PreemptOne(random_.Pick(running));
}

void RandomEpisode::PreemptOne(std::uint64_t sequence) {
  Live& live = live_.at(sequence);
  group_.SwapOut(sequence);
  live.swapped_out = true;
  counts_.preemptions_compacted += live.compacted ? 1 : 0;
}

void RandomEpisode::Resume() {
  for (const std::uint64_t sequence : SwappedOut()) {
    if (group_.engine().BlocksMissing(sequence, 0) > group_.engine().free_blocks()) continue;
    group_.SwapIn(sequence);
    live_.at(sequence).swapped_out = false;
    ++counts_.resumes;
    return;
  }
  Step();
}

void RandomEpisode::Fork() {
  const auto running = Running(/*in_round_too=*/false);
  if (running.empty() || live_.size() >= kMostLive) return Step();
  const std::uint64_t from = random_.Pick(running);
  const engine::Engine& engine = group_.engine();
  const int length = engine.Length(from);
  if (group_.RingBlocks(from) > engine.free_blocks()) return Step();
  const std::uint64_t to = next_sequence_++;
  SequenceOptions options = DrawSequence(random_, options_);
  const bool whole = engine.TotalRows(from) == std::int64_t{length} * group_.layers();
  if (whole && length > 1 && random_.OneIn(2)) {
    options.prompt_tokens = random_.Int(1, length - 1);
    group_.ForkPrefix(from, to, options.prompt_tokens, options);
    live_[to] = {};
  } else {
    options.prompt_tokens = length;
    group_.Fork(from, to, options);
    live_[to] = live_.at(from);
  }
  ++counts_.forks;
  if (live_.at(from).compacted && random_.OneIn(2)) ReplaceOrigin(from, to);
}

/// Another text under the origin's name makes pages of the same names, while the fork still looks
/// for the origin's: it is preempted meanwhile, since a page that it misses it gives up.
void RandomEpisode::ReplaceOrigin(std::uint64_t sequence, std::uint64_t fork) {
  const SequenceOptions options = group_.Options(sequence);
  PreemptOne(fork);
  End(sequence);
  JoinAs(sequence, options);
  ++counts_.replacements;
}

void RandomEpisode::Finish() {
  std::vector<std::uint64_t> sequences = SwappedOut();
  for (const std::uint64_t sequence : Running(/*in_round_too=*/false)) {
    sequences.push_back(sequence);
  }
  if (sequences.empty()) return CommitRound();
  End(random_.Pick(sequences));
}

void RandomEpisode::End(std::uint64_t sequence) {
  group_.Remove(sequence);
  live_.erase(sequence);
  ended_.push_back(sequence);
  ++counts_.finishes;
}

/// What a page service may do to a group.
void RandomEpisode::Trouble() {
  auto& pages = group_.pages();
  const auto some_page = [&] {
    return PageKey{static_cast<std::uint64_t>(random_.Int(1, static_cast<int>(next_sequence_))),
                   static_cast<std::uint32_t>(random_.Int(0, 20)),
                   static_cast<std::uint16_t>(random_.Int(0, group_.layers() - 1)),
                   static_cast<std::uint16_t>(random_.Int(0, group_.tp() - 1))};
  };
  if (in_trouble_) {
    pages.FailLeases(absl::OkStatus());
    pages.HoldResults(false);
    pages.SetGone(false);
    in_trouble_ = false;
    return;
  }
  switch (random_.Int(0, 5)) {
    case 0:
      for (int i = 0; i < 40; ++i) pages.Corrupt(some_page());
      return;
    case 1:
      for (int i = 0; i < 40; ++i) pages.Lose(some_page());
      return;
    case 2:
      return pages.LoseAll();
    case 3:
      pages.FailLeases(absl::ResourceExhaustedError("full"));
      break;
    case 4:
      // A group that waits for its pages would wait for all of them until the deadline.
      pages.HoldResults(!options_.shard.wait_for_pages);
      break;
    default:
      pages.SetGone(true);
  }
  in_trouble_ = true;
}

void RandomEpisode::Refuse() {
  ++counts_.refusals;
  const std::uint64_t sequence = live_.begin()->first;
  const TokenIds many(static_cast<std::size_t>(group_.engine().total_blocks() + 1) *
                          static_cast<std::size_t>(options_.block_size),
                      1);
  using absl::StatusCode;
  if (live_.at(sequence).swapped_out) {
    return group_.ExpectRefused(StatusCode::kFailedPrecondition, [&](engine::Engine& engine) {
      return engine.Step({{.sequence = sequence, .tokens = {1}}}).status();
    });
  }
  if (InRound(sequence)) {
    group_.ExpectRefused(StatusCode::kFailedPrecondition,
                         [&](engine::Engine& engine) { return engine.SwapOut(sequence); });
    return group_.ExpectRefused(StatusCode::kFailedPrecondition,
                                [&](engine::Engine& engine) { return engine.Remove(sequence); });
  }
  group_.ExpectRefused(StatusCode::kResourceExhausted, [&](engine::Engine& engine) {
    return engine.Step({{.sequence = sequence, .tokens = many}}).status();
  });
}

void RandomEpisode::EndAll() {
  if (!group_.in_round().empty()) CommitRound();
  while (!live_.empty() && !::testing::Test::HasFailure()) Finish();
  EXPECT_EQ(group_.pages().pages(), 0) << "pages outlive their sequences";
  EXPECT_EQ(group_.pages().leases(), 0) << "leases outlive their rounds";
}

}  // namespace pinboard::testing
