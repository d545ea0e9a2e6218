// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/system/random_episode.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "scheduler/policy/policy.h"

namespace pinboard::testing {
namespace {

constexpr std::size_t kMostLive = 5;
constexpr int kMostTokensPerSequence = 500;

/// Small enough that an oracle keeps up; dimensions that every tp divides.
nlohmann::json DrawModel(SeededRandom& random) {
  const int family = random.Int(0, 5);
  nlohmann::json json = family == 4   ? engine::testing::TinyDeepseekJson()
                        : family == 5 ? engine::testing::TinyMoeJson()
                                      : engine::testing::TinyLlamaJson();
  json["vocab_size"] = 32;
  json["hidden_size"] = 32;
  json["intermediate_size"] = 32;
  json["num_hidden_layers"] = random.Int(1, 3);
  json["num_attention_heads"] = 4;
  json["num_key_value_heads"] = family < 4 ? random.Pick<int>({1, 2, 4}) : 4;
  if (family >= 4) {
    json["kv_lora_rank"] = 12;
    json["qk_nope_head_dim"] = 6;
    json["qk_rope_head_dim"] = 4;
    json["v_head_dim"] = 6;
  }
  return json;
}

CheckedGroupOptions DrawGroup(SeededRandom& random) {
  CheckedGroupOptions options;
  options.model = DrawModel(random);
  options.weights_seed = static_cast<std::uint64_t>(random.Int(1, 1 << 20));
  options.tp = random.Pick<int>({1, 1, 1, 2});
  options.block_size = random.Pick<int>({16, 16, 32, 64});
  options.cache_dtype = random.OneIn(4) ? DType::kBF16 : DType::kF32;
  options.layer_tables = random.OneIn(3);
  options.cache_blocks = random.Int(600, 1600) / options.block_size;
  options.shard.top_k = random.Pick<int>({2, 8, 16});
  options.shard.sketch_dim = random.OneIn(3) ? 8 : 0;
  options.shard.observe_all_queries = random.OneIn(3);
  options.shard.wait_for_pages = random.OneIn(2);
  options.shard.fetch_deadline_ms = options.shard.wait_for_pages ? 20 : 2000;
  options.shard.max_fetch_pages_per_step = random.Pick<int>({1, 4, 4096});
  return options;
}

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
    : random_(seed), options_(DrawGroup(random_)), actions_(actions), group_(options_) {
  const nlohmann::json& model = options_.model;
  description_ = absl::StrCat(
      model["architectures"][0].get<std::string>(), ", layers ",
      model["num_hidden_layers"].get<int>(), ", KV heads ", model["num_key_value_heads"].get<int>(),
      " of 4, tp ", options_.tp, ", ", options_.cache_blocks, " blocks of ", options_.block_size,
      options_.cache_dtype == DType::kF32 ? " rows in f32" : " rows in bf16", ", top_k ",
      options_.shard.top_k, ", layer tables ", options_.layer_tables, ", sketch ",
      options_.shard.sketch_dim, ", all queries ", options_.shard.observe_all_queries, ", waits ",
      options_.shard.wait_for_pages, ", fetches of a step at most ",
      options_.shard.max_fetch_pages_per_step);
}

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

SequenceOptions RandomEpisode::DrawOptions() {
  std::vector<std::string> policies = scheduler::PolicyNames();
  if (!options_.shard.observe_all_queries) std::erase(policies, "h2o");
  std::erase(policies, "snapkv-heads");  // whose heads attend to different tokens
  if (!options_.layer_tables) std::erase(policies, "pyramidkv");
  SequenceOptions options;
  options.policy = random_.OneIn(3) ? "pinboard" : random_.Pick(policies);
  options.scope = random_.OneIn(4) ? "global" : "layer";
  if (options.scope == "global") {
    options.layers = "uniform";
  } else if (options_.layer_tables) {
    options.layers = random_.Pick<std::string>({"", "uniform", "pyramid", "adaptive"});
  }
  options.fusion = random_.OneIn(2) ? "published" : "max";
  options.alpha = random_.Uniform(0, 1);
  options.tau = random_.Uniform(0, 2);
  options.window = random_.Pick<int>({1, 4, 8, 16});
  options.seed = static_cast<std::uint64_t>(random_.Int(0, 1000));
  options.align_at = random_.OneIn(4);
  options.entropy_over_log_k = random_.OneIn(4);
  options.budget = random_.Pick<double>({0.05, 0.1, 0.2, 0.4, 0.8});
  options.budget_of_generated = random_.OneIn(4);
  options.cap = random_.OneIn(5) ? random_.Int(1, 100) : 0;
  options.band = random_.Pick<double>({0.0, 0.2, 0.4, 0.6, 1.0});
  options.near_share = random_.Uniform(0, 1);
  options.recall_pages = random_.Pick<int>({0, 1, 2, 4, 4, 8});
  options.recall_when =
      random_.Pick<std::string>({"step", "step", "interval:3", "drift:0.9", "entropy:1.5"});
  options.recall_ahead = std::min(random_.Pick<int>({-1, -1, 0, 1}), group_.layers() - 1);
  options.round_every = random_.Pick<int>({0, 8, 40});
  options.round_watermark = random_.Pick<double>({0.0, 0.3, 0.9});
  options.prompt_tokens = random_.Int(1, 250);
  return options;
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
  JoinAs(sequence, DrawOptions());
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
  SequenceOptions options = DrawOptions();
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
