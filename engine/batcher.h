// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Continuous batching: requests join, are read in chunks, decode together, are preempted, and
// leave.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/engine.h"
#include "pinboard/shard.h"

namespace pinboard::engine {

struct BatchOptions {
  int max_prompt_tokens = 512;  // of a step, beside one token of each decoding sequence
  int max_running = 64;         // sequences that own blocks at the same time
};

struct BatchRequest {
  std::uint64_t sequence = 0;
  std::vector<std::int32_t> prompt;  // at least one token
  int max_tokens = 1;                // at least one
  SequenceOptions options;           // prompt_tokens is the prompt's size
};

struct BatchStats {
  std::int64_t steps = 0;
  std::int64_t tokens = 0;  // that went through them
  std::int64_t rounds = 0;  // sequences compressed
  std::int64_t preemptions = 0;
  std::int64_t resumes = 0;
  int most_running = 0;
  int most_blocks = 0;
};

/// Runs requests over an engine, in the order in which they came: the earliest is never preempted.
///
///   waiting --blocks for its first chunk--> running --its last token--> finished
///                                           |  ^
///                      no blocks are left:  v  |  its rows fit again, before anyone waiting
///                                        swapped out
///
/// Before each step, in this order: rounds for whoever is due (Shard::DueForRound), whose freed
/// blocks count at once; the swapped-out come back; the waiting join; each decoding sequence gets a
/// token and each prompt a chunk; where the step's new rows do not fit, those that go by the use of
/// the cache are compressed, then the latest running sequence is swapped out until they do. A
/// prompt longer than the cache streams in and is compressed on the way, where its options ask for
/// rounds. A chunk is what is left of the prompt, up to max_prompt_tokens and to the next round by
/// count, and is read whole or not at all: where rounds fall and what a step shows of a sequence do
/// not depend on who runs beside it.
///
/// SPMD: every rank submits the same requests and steps alike, and decides from what is the same on
/// all ranks. One thread.
class Batcher {
 public:
  /// The next token, the same on every rank; nothing: the text has ended.
  using Choose = std::function<std::optional<std::int32_t>(const StepOutput& output)>;
  /// Told of what happens; each may be null.
  struct Handlers {
    /// Of each token. False, on every rank alike: the text ends with it.
    std::function<bool(std::uint64_t sequence, std::int32_t token)> on_token;
    std::function<void(const RoundOutcome& outcome)> on_round;
    /// Before the sequence's blocks are freed.
    std::function<void(std::uint64_t sequence)> on_end;
  };

  /// `engine` and `shard` (may be null: no rounds) outlive the batcher. InvalidArgument: an option
  /// below one.
  static absl::StatusOr<std::unique_ptr<Batcher>> Create(Engine* engine, const Shard* shard,
                                                         const BatchOptions& options,
                                                         Choose choose);

  void SetHandlers(Handlers handlers) { handlers_ = std::move(handlers); }

  /// InvalidArgument: an empty prompt, a token outside the vocabulary, no token to make, options
  /// that the shard refuses. AlreadyExists: the engine has the sequence.
  absl::Status Submit(BatchRequest request);
  /// Ends a request, wherever it is; its handlers are not told. NotFound.
  absl::Status Cancel(std::uint64_t sequence);

  /// [collective] One step; nothing where it is idle. ResourceExhausted, naming it: the only
  /// running sequence does not fit the cache; Cancel it to go on. Other errors: the engine's.
  absl::Status Step();

  bool idle() const { return waiting_.empty() && active_.empty(); }
  const BatchStats& stats() const { return stats_; }

 private:
  /// A request that has joined.
  struct Active {
    BatchRequest request;
    int read = 0;  // tokens of the prompt
    std::optional<std::int32_t> next;
    int made = 0;
    int length_at_round = 0;
    bool swapped_out = false;
    bool ended = false;

    bool running() const { return !swapped_out && !ended; }
    bool reading() const { return read < static_cast<int>(request.prompt.size()); }
    absl::Span<const std::int32_t> Next(int max_prompt_tokens) const;
  };

  Batcher(Engine* engine, const Shard* shard, const BatchOptions& options, Choose choose);
  /// Of those that run; `used_blocks` of the cache count as in use.
  absl::Status Compress(int used_blocks);
  absl::Status Resume();
  void Admit();
  /// The sequences of the step; fewer than could run where the blocks or the chunks do not allow
  /// it.
  absl::StatusOr<std::vector<Active*>> PlanStep();
  absl::Status PreemptLatest();
  void Take(Active& active, std::size_t tokens, const StepOutput& output);
  absl::Status RemoveEnded();
  /// Blocks for its next tokens, and for its rows where it is swapped out.
  int Missing(const Active& active) const;
  /// Blocks for the next tokens of all that run.
  int Promised() const;
  int running() const;
  int used_blocks() const { return engine_->total_blocks() - engine_->free_blocks(); }

  Engine* engine_;
  const Shard* shard_;
  const BatchOptions options_;
  const Choose choose_;
  Handlers handlers_;
  std::deque<std::unique_ptr<Active>> waiting_;  // known to the engine, without blocks
  std::vector<std::unique_ptr<Active>> active_;  // in the order in which they came
  BatchStats stats_;
};

}  // namespace pinboard::engine
