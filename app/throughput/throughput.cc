// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/throughput/throughput.h"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "pinboard/kv_layout.h"

namespace pinboard::app {
namespace {

/// The arm's sequences, from their prompts to their end.
class Load {
 public:
  Load(RankSession& session, const Arm& arm, const ThroughputOptions& options)
      : session_(session), engine_(session.engine()), arm_(arm), options_(options) {}

  absl::StatusOr<Throughput> Run(const std::function<void(int)>& progress) {
    const absl::Time start = absl::Now();
    while (options_.most_sequences == 0 ||
           static_cast<int>(sequences_.size()) < options_.most_sequences) {
      PB_ASSIGN_OR_RETURN(const bool fitted, Admit());
      if (!fitted) break;
      progress(static_cast<int>(sequences_.size()));
    }
    if (sequences_.empty()) {
      return absl::ResourceExhaustedError(
          absl::StrCat(arm_.policy, ": a context of ", options_.context, " tokens does not fit ",
                       engine_.total_blocks(), " blocks: give the cache more"));
    }
    result_.sequences = static_cast<int>(sequences_.size());
    result_.prefill_seconds = absl::ToDoubleSeconds(absl::Now() - start);
    PB_RETURN_IF_ERROR(Decode());
    result_.rows =
        static_cast<int>(engine_.TotalRows(sequences_.front()) / engine_.config().layers);
    for (const std::uint64_t sequence : sequences_) PB_RETURN_IF_ERROR(engine_.Remove(sequence));
    return std::move(result_);
  }

 private:
  /// What a sequence may grow by before rows of it go, or to its end.
  int ReservedBlocks() const {
    const int tokens =
        arm_.keeps_all ? options_.generate : std::min(options_.generate, options_.every);
    return BlocksFor(tokens, engine_.block_size()) + 1;
  }

  void NoteBlocks() {
    result_.most_blocks =
        std::max(result_.most_blocks, engine_.total_blocks() - engine_.free_blocks());
  }

  /// False, and nothing is changed: it does not fit.
  absl::StatusOr<bool> Admit() {
    const std::uint64_t sequence = session_.NewSequence();
    PB_RETURN_IF_ERROR(engine_.AddSequence(sequence, arm_.options));
    std::mt19937_64 random(options_.seed * 1000003 + sequences_.size());
    std::uniform_int_distribution<std::int32_t> any(0, engine_.config().vocab_size - 1);
    std::vector<std::int32_t> chunk;
    const int reserved = static_cast<int>(sequences_.size() + 1) * ReservedBlocks();
    for (int read = 0; read < options_.context; read += static_cast<int>(chunk.size())) {
      chunk.resize(std::min(options_.chunk, options_.context - read));
      if (engine_.BlocksMissing(sequence, static_cast<int>(chunk.size())) + reserved >
          engine_.free_blocks()) {
        PB_RETURN_IF_ERROR(engine_.Remove(sequence));
        return false;
      }
      std::generate(chunk.begin(), chunk.end(), [&] { return any(random); });
      PB_ASSIGN_OR_RETURN(const auto outputs,
                          session_.Step({{.sequence = sequence, .tokens = chunk}}));
      NoteBlocks();
      next_[sequence] = outputs.front().candidates.front().id;
      if (!arm_.keeps_all) PB_RETURN_IF_ERROR(engine_.Compress({sequence}).status());
    }
    sequences_.push_back(sequence);
    return true;
  }

  absl::Status Decode() {
    result_.before = session_.shard().stats();
    const absl::Time start = absl::Now();
    for (int made = 0; made < options_.generate; ++made) {
      PB_RETURN_IF_ERROR(Step());
      if (arm_.keeps_all || (made + 1) % options_.every != 0) continue;
      const absl::Time begin = absl::Now();
      PB_RETURN_IF_ERROR(engine_.Compress(sequences_).status());
      result_.round_seconds += absl::ToDoubleSeconds(absl::Now() - begin);
      result_.decode_rounds += result_.sequences;
    }
    result_.decode_seconds = absl::ToDoubleSeconds(absl::Now() - start);
    result_.after = session_.shard().stats();
    return absl::OkStatus();
  }

  absl::Status Step() {
    std::vector<engine::StepInput> inputs;
    for (const std::uint64_t sequence : sequences_) {
      inputs.push_back({.sequence = sequence, .tokens = {&next_.at(sequence), 1}});
    }
    const absl::Time begin = absl::Now();
    PB_ASSIGN_OR_RETURN(const auto outputs, session_.Step(inputs));
    result_.step_seconds.push_back(absl::ToDoubleSeconds(absl::Now() - begin));
    NoteBlocks();
    for (const engine::StepOutput& output : outputs) {
      next_[output.sequence] = output.candidates.front().id;
    }
    return absl::OkStatus();
  }

  RankSession& session_;
  engine::Engine& engine_;
  const Arm& arm_;
  const ThroughputOptions& options_;
  std::vector<std::uint64_t> sequences_;
  std::map<std::uint64_t, std::int32_t> next_;  // token of each
  Throughput result_;
};

}  // namespace

int ThroughputBlocks(const ThroughputOptions& options, int sequences, int block_size) {
  return sequences * (BlocksFor(options.context + options.generate, block_size) + 1);
}

absl::StatusOr<Throughput> MeasureThroughput(RankSession& session, const Arm& arm,
                                             const ThroughputOptions& options,
                                             const std::function<void(int)>& progress) {
  PB_RETURN_IF_ERROR(session.AttachShard(!arm.keeps_all));
  return Load(session, arm, options).Run(progress);
}

}  // namespace pinboard::app
