// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The reference engine: one tensor-parallel rank of a model with a paged KV cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/model_config.h"
#include "pinboard/backend.h"
#include "pinboard/shard.h"
#include "transport/collective/communicator.h"

namespace pinboard::engine {

struct EngineOptions {
  /// kCuda: on the current device of the thread that loads, which is that of every later call.
  Backend backend = Backend::kCpu;
  std::string model_dir;  // config.json, *.safetensors (tokenizer.json is the Tokenizer's)
  /// Draws the weights from this seed: the model of config.json, without its meaning. For tests of
  /// load.
  std::optional<std::uint64_t> random_weights;
  int block_size = 16;   // tokens: 16, 32 or 64
  int cache_blocks = 0;  // capacity of the paged cache, in blocks of every layer's rows
  /// A block table for each layer of a sequence, over cache_blocks * layers blocks of one layer's
  /// rows, instead of one for all layers. Counts of blocks are counts of these, then.
  bool layer_tables = false;
  DType cache_dtype = DType::kBF16;  // kBF16, or under kCpu kF32
  /// Under kCuda steps of decoding are captured in CUDA graphs and replayed, except where ranks sum
  /// on the host.
  bool step_graphs = true;
  int max_step_tokens = 16384;                             // bounds a step's activations
  absl::Duration collective_deadline = absl::Seconds(10);  // a rank later than this is lost
};

/// Which rows of the vocabulary-parallel logits a step hands back.
enum class LogitsWanted : std::uint8_t { kNone, kLast, kAll };

/// The new tokens of one sequence in a step: a whole prompt, a chunk of one, or one decoded token.
struct StepInput {
  std::uint64_t sequence = 0;
  absl::Span<const std::int32_t> tokens;  // at least one; valid during Step
  LogitsWanted logits = LogitsWanted::kNone;
};

struct StepOutput {
  std::uint64_t sequence = 0;
  /// For the token after the input's last one, the same on every rank: descending logit, ties to
  /// the lower id. With a shard attached its top_k candidates, else the one best.
  std::vector<TokenCandidate> candidates;
  float next_entropy = 0.0F;  // nats, of that token; 0 without a shard
  /// [wanted tokens, vocab_local()] of this rank's vocabulary shard; see engine/scoring.h.
  std::vector<float> logits;
};

/// Sums so far, the same on every rank.
struct EngineStats {
  std::int64_t tokens_shared = 0;  // that forks went on from instead of reading them
  std::int64_t blocks_shared = 0;  // that forks took over
  std::int64_t blocks_copied = 0;  // for the ring of a fork, and where a sharer wrote
  /// Blocks that rounds set free less those they took for rows that are shared: what a sequence
  /// lets go while others hold it saves nothing.
  std::int64_t blocks_saved = 0;
  std::int64_t graphs_launched =
      0;  // EngineOptions::step_graphs: parts of steps, one a layer and one more
};

/// One rank. All ranks make the same calls with the same arguments in the same order; the calls
/// marked [collective] exchange with the others. Thread-compatible; the thread that calls also
/// drives the communicator.
///
///   PB_ASSIGN_OR_RETURN(auto engine, Engine::Load(options, communicator));
///   shard_options.model = engine->MakeShardModel();
///   PB_ASSIGN_OR_RETURN(auto shard, CreateShard(shard_options, communicator, store));
///   engine->Attach(shard.get());
///   engine->AddSequence(1, {.policy = "pinboard", .budget = 0.1});
///   PB_ASSIGN_OR_RETURN(auto outputs, engine->Step({{.sequence = 1, .tokens = prompt}}));
///   engine->Compress({1});
///
/// Memory: the backend's. Weights are float32 under kCpu, bf16 under kCuda; a rank holds its heads,
/// its MLP columns (of every expert) and its vocabulary rows (of the embedding too: the looked-up
/// rows are summed over the ranks). KV heads are replicated where tp exceeds them; MLA's latent is
/// replicated on every rank.
///
/// Errors. InvalidArgument, NotFound, Unimplemented, DataLoss: one line that names the file or
/// value. ResourceExhausted: too few free cache blocks, nothing was changed. Unavailable,
/// DeadlineExceeded: a rank is lost and the group cannot go on. Unavailable from Load: there is no
/// device for kCuda; Unimplemented: this build has none of its code.
class Engine {
 public:
  /// Reads the directory and makes this rank's part of it. `communicator` outlives the engine; null
  /// means a group of one.
  static absl::StatusOr<std::unique_ptr<Engine>> Load(const EngineOptions& options,
                                                      transport::Communicator* communicator);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const ModelConfig& config() const;
  int vocab_begin() const;
  int vocab_local() const;
  /// Under kCuda the cudaStream_t in whose order the engine works and its shard has to; null under
  /// kCpu. Valid while the engine lives.
  void* stream() const;

  /// Describes this rank to a Shard; the cache views stay valid while the engine lives.
  ShardModel MakeShardModel() const;
  /// The shard that is told of every step from now on; not owned, outlives its use here. Null: none
  /// (nothing is compressed). FailedPrecondition while sequences exist.
  absl::Status Attach(Shard* shard);

  /// AlreadyExists: the sequence is known. `options` go to the shard.
  absl::Status AddSequence(std::uint64_t sequence, const SequenceOptions& options);
  /// `to` goes on from all that `from` has seen. They share the blocks of its rows: who writes into
  /// a shared block first gets a copy of it. Rows that the shard writes into (its ring) are copied
  /// at once. FailedPrecondition: `from` is in a round or swapped out. ResourceExhausted: too few
  /// blocks are free for the ring.
  absl::Status Fork(std::uint64_t from, std::uint64_t to, const SequenceOptions& options);
  /// The same from the first `tokens` tokens of `from`. FailedPrecondition: it has fewer, or a
  /// round has taken some of its rows away.
  absl::Status ForkPrefix(std::uint64_t from, std::uint64_t to, int tokens,
                          const SequenceOptions& options);
  /// Lets go of the sequence's blocks: those that no other shares are free. FailedPrecondition: in
  /// a round.
  absl::Status Remove(std::uint64_t sequence);

  /// Preemption: saves the sequence's resident rows in host memory and lets go of its blocks; it
  /// comes back with blocks of its own. Nothing else of it changes, so a compacted sequence resumes
  /// as it was. FailedPrecondition: in a round, or swapped out already.
  absl::Status SwapOut(std::uint64_t sequence);
  /// The way back, into any blocks. ResourceExhausted: too few are free, nothing was changed.
  absl::Status SwapIn(std::uint64_t sequence);

  /// [collective] One forward pass over the new tokens of distinct sequences, prefill and decode
  /// mixed; outputs in the order of `inputs`. A new token sees every resident row of its sequence
  /// and the new tokens before it.
  absl::StatusOr<std::vector<StepOutput>> Step(absl::Span<const StepInput> inputs);

  /// [collective] One round of compression; steps may lie between the two. Commit frees the blocks
  /// that the round emptied. The rows of a sequence that shares blocks move into blocks of its own,
  /// reserved here before the round begins; where too few are free, it keeps everything.
  /// FailedPrecondition without a shard.
  absl::Status BeginRound(absl::Span<const std::uint64_t> sequences);
  absl::StatusOr<std::vector<RoundOutcome>> CommitRound(absl::Span<const std::uint64_t> sequences);
  /// [collective] BeginRound and CommitRound.
  absl::StatusOr<std::vector<RoundOutcome>> Compress(absl::Span<const std::uint64_t> sequences);

  /// Physical rows of the sequence in a layer (slots attended), and its tokens so far (positions).
  /// 0 for a sequence that is not known, as the counts below.
  int Rows(std::uint64_t sequence, int layer = 0) const;
  int Length(std::uint64_t sequence) const;
  int BlocksUsed(std::uint64_t sequence) const;
  /// Blocks that the sequence needs beyond its own for `tokens` more rows; of one that is swapped
  /// out, for its rows too.
  int BlocksMissing(std::uint64_t sequence, int tokens) const;
  /// Its rows, summed over the layers.
  std::int64_t TotalRows(std::uint64_t sequence) const;
  /// Bytes of the sequence's blocks over all layers on this rank.
  std::size_t ResidentKvBytes(std::uint64_t sequence) const;
  /// Bytes of one token's rows over all layers on this rank, and of one block.
  std::size_t RowBytes() const;
  std::size_t BlockBytes() const;
  int block_size() const;
  int free_blocks() const;
  int total_blocks() const;
  const EngineStats& stats() const;
  /// Internal, naming the first violation: every block is free, or held once by each sequence that
  /// shares it and written by none of these. For tests.
  absl::Status Census() const;

 private:
  struct Parts;
  explicit Engine(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace pinboard::engine
