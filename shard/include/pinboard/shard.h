// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pinboard inside one tensor-parallel rank: what an engine calls around its forward pass.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pinboard/backend.h"
#include "pinboard/kv_layout.h"
#include "pinboard/rotary.h"
#include "pinboard/status.h"

namespace pinboard {

/// The model and its paged cache as this rank holds them. The engine owns the cache's memory, the
/// block allocator and the block tables.
struct ShardModel {
  int layers = 0;
  int query_heads = 0;        // on this rank
  int total_query_heads = 0;  // over all ranks
  KvShape kv;                 // on this rank
  /// Ranks that hold the same KV bytes: tp for MLA, tp / kv_heads where KV heads are replicated,
  /// else 1. Ranks r with equal r / kv_replicas hold the same; each page is offloaded by one of
  /// them.
  int kv_replicas = 1;
  float attention_scale = 1.0F;
  RotaryShape rotary;  // of queries and keys; policy expected-attention needs it
  int hidden_dim = 0;
  int vocab_begin = 0;  // this rank's vocabulary shard
  int vocab_local = 0;
  int block_size = 16;             // tokens
  std::vector<KvLayerView> cache;  // [layers]
  /// Each layer of a sequence has a block table of its own, so that layers may keep unequal counts
  /// of rows. False: one table serves all layers.
  bool layer_tables = false;
};

/// The block tables of one sequence: [layers], or [1] where all layers share it. Physical row r of
/// a layer lies in slot r % block_size of block table[r / block_size].
using BlockTables = std::vector<std::span<const std::int32_t>>;

/// How much is kept of a sequence, and how (scheduler/policy/policy.h, scheduler/round_plan.h name
/// and check the options; defaults are docs/method.md's).
struct SequenceOptions {
  std::string policy = "pinboard";
  std::string layers;                // uniform | pyramid | adaptive; empty: the policy's own
  std::string scope = "layer";       // layer | global: one set of kept rows for all layers
  std::string fusion = "published";  // published | max
  double alpha = 0.9;
  double tau = 1.0;
  int window = 64;
  std::uint64_t seed = 0;
  bool align_at = false;  // H of the token's own output instead of the one that predicts it
  bool entropy_over_log_k = false;  // H divided by log k
  double budget = 0.1;
  bool budget_of_generated = false;  // a share of what follows the prompt, whose rows come on top
  int cap = 0;                       // kept rows, whatever the length; 0: the budget decides
  double band = 0.4;
  /// Of what pinboard's first round offloads: ranked like what is kept, not by E.
  double near_share = 0.9;
  int recall_pages = 16;
  /// When the ring's pages are chosen anew (scheduler/recall_trigger.h): step, interval:N, drift:X
  /// or entropy:X.
  std::string recall_when = "step";
  /// -1: pages become visible one step after their choice. L >= 0: in layers from L on at the very
  /// step, chosen by queries that are foreseen L layers earlier; 0: by the layer's own queries,
  /// whose fetch the layer waits for.
  int recall_ahead = -1;
  int round_every = 0;           // tokens from round to round; 0: not by count
  double round_watermark = 0.0;  // use of the cache from which on a round is due; 0: not by use
  int prompt_tokens = 0;         // leading tokens that a prompt-protecting policy never evicts
  /// A dry run: rounds are scored, planned, as if there were a service, voted on and reported, and
  /// change nothing.
  bool observe = false;
};

struct ShardOptions {
  ShardModel model;
  Backend backend = Backend::kCpu;  // the engine's
  void* stream = nullptr;           // kCuda: the engine's cudaStream_t; outlives the shard
  int top_k = 256;                  // of H
  int sketch_dim = 0;  // D from so many random projections of a hidden state; 0: from it whole
  bool observe_all_queries =
      false;  // keep every query of a step, for policies that look at all (h2o)
  bool wait_for_pages =
      false;            // eval: a step ends when its pages are here; never set it when serving
  bool census = false;  // check every row and slot after each compaction
  bool export_plans = false;              // RoundOutcome::plan
  std::int64_t round_deadline_ms = 2000;  // a round later than this keeps everything
  std::int64_t rank_deadline_ms = 10000;  // a rank later than this is lost
  std::int64_t fetch_deadline_ms = 2000;  // a round waits for slabs for half a second at most
  int max_fetch_pages_per_step = 4096;
  int quality_every = 64;  // steps of a sequence from one quality sample to the next; 0: none
};

/// One sequence of a step: `tokens` new tokens whose rows the engine writes at physical rows
/// [Rows(sequence, layer), Rows(sequence, layer) + tokens) of each layer during the step.
struct StepEntry {
  std::uint64_t sequence = 0;
  int tokens = 0;
  BlockTables block_tables;  // cover the new rows; valid until EndStep
};

/// A candidate for the next token: the merged top of all ranks' vocabulary shards.
struct TokenCandidate {
  std::int32_t id = -1;
  float logit = 0.0F;
};

struct StepEntryResult {
  std::vector<TokenCandidate> candidates;  // descending logit, ties to the lower id; up to top_k
  float next_entropy = 0.0F;               // H of the token to come, nats
};

/// Scores of some rows, as the policy ranks what is kept.
struct ScoreSummary {
  int rows = 0;  // 0: the others are 0 too
  double lowest = 0.0, mean = 0.0, highest = 0.0;

  bool operator==(const ScoreSummary&) const = default;
};

/// What a round decided of one layer. Positions ascend.
struct PlannedLayer {
  std::vector<std::int32_t> kept;       // in rows of their own; resident pages are not among them
  std::vector<std::int32_t> offloaded;  // in new pages
  std::int64_t dropped = 0;             // rows, as in RoundOutcome
  ScoreSummary kept_scores;             // of the kept rows that nothing protects
  ScoreSummary other_scores;            // of all other rows

  bool operator==(const PlannedLayer&) const = default;
};

/// What a round did to one sequence, the same on every rank.
struct RoundOutcome {
  std::uint64_t sequence = 0;
  bool applied = false;  // false: everything was kept
  /// "", "nothing to gain", "the ranks' plans differ", "another rank was not ready", "only
  /// observed", ...
  std::string kept_all_because;
  /// [block tables]: physical rows now, and how many of the table's first entries stay (the
  /// destination's, where there is one and the round was applied); the engine frees the rest.
  std::vector<int> rows, blocks;
  /// Rows, summed over layers: kept; in the rings; offloaded by this round; lost in it, with pages
  /// that the band let go. 0 where it was not applied.
  std::int64_t kept = 0, ring = 0, borderline = 0, dropped = 0;
  std::uint64_t plan_hash = 0;
  /// [layers], of a round that was applied or only observed, where ShardOptions::export_plans asks
  /// for it.
  std::vector<PlannedLayer> plan;
};

/// Monotone counters and current sizes of this rank.
struct ShardStats {
  std::uint64_t rounds = 0, rounds_kept_all = 0, keepset_mismatches = 0;
  std::uint64_t rounds_without_blocks =
      0;  // of a sequence, that kept all as none could be reserved
  /// Of rounds: in `plan` and `vote` this rank waits for the others too.
  std::uint64_t round_plan_ns = 0, round_prepare_ns = 0, round_vote_ns = 0, round_apply_ns = 0;
  /// As in RoundOutcome, of the rounds that were applied: of all sequences and layers.
  std::uint64_t rows_kept = 0, rows_in_rings = 0, rows_offloaded = 0, rows_dropped = 0;
  std::uint64_t pages_offloaded = 0, bytes_offloaded = 0;
  std::uint64_t pages_without_slab = 0;  // of rounds: the service had no room, or gave none in time
  std::uint64_t pages_recalled = 0, bytes_recalled = 0;  // became visible in the ring
  std::uint64_t misses = 0, waits = 0;                   // waits: steps that waited for pages
  /// Of the pages that this rank asked for: not there; no service; not in time; not what was
  /// published; there, but no memory for it here. A page that one rank does not get is one of
  /// `misses` on all.
  std::uint64_t fetches_absent = 0, fetches_unavailable = 0, fetches_late = 0, fetches_corrupt = 0,
                fetches_unplaced = 0;
  std::uint64_t recall_choices = 0;    // steps of a sequence that chose pages
  std::uint64_t ring_pages_seen = 0;   // in all steps; churn = pages_recalled / ring_pages_seen
  std::uint64_t recall_lag_steps = 0;  // summed over pages_recalled: wanted -> visible
  /// Quality samples, each of one query in one layer (kernels/evicted_attention): the shares of
  /// attention on evicted pages, summed, of this rank's heads; rows in the rings then, and those of
  /// them that were attended to.
  std::uint64_t quality_samples = 0, ring_rows_sampled = 0, ring_rows_attended = 0;
  double evicted_attention = 0.0;
  std::uint64_t tokens_without_information = 0;
  std::uint64_t collectives = 0;
  std::size_t digest_bytes = 0;     // live digests
  std::size_t workspace_bytes = 0;  // query windows, hidden states, scores: high-water mark
};

/// One rank's runtime. All ranks make the same calls with the same sequences in the same order
/// (each marked [collective] below exchanges with the others). Spans are valid during the call
/// unless said otherwise; tensors and the cache lie in the backend's memory (backend.h), all else
/// on the host. Thread-compatible.
///
///   BeginStep -> for each layer: ObserveQueries, ForeseeQueries of each of LayersToForesee,
///                RecallLayer, the layer's attention, ObserveLogSumExps, ObserveHidden
///             -> ObserveLogits (chunks) -> ExchangeScores -> EndStep
///   between steps: BeginRound ... steps ... CommitRound, AddSequence, ForkSequence, RemoveSequence
///
/// Errors: Unavailable names a lost rank; every sequence is as it was, and the group cannot go on.
class Shard {
 public:
  virtual ~Shard() = default;

  virtual Status AddSequence(std::uint64_t sequence, const SequenceOptions& options) = 0;
  /// `to` continues from the first `tokens` tokens of `from` under options of its own, with all
  /// that is known of them (E, H, D, and the last queries as far as `from` still has them); the
  /// engine copies the rows or lets both sequences share their blocks, the ring's excepted. The
  /// fork reads the pages of `from` and never writes or drops them; those that `from` lets go in a
  /// later round are misses. FailedPrecondition: fewer tokens than all of a sequence that was
  /// compacted.
  virtual Status ForkSequence(std::uint64_t from, std::uint64_t to, int tokens,
                              const SequenceOptions& options) = 0;
  /// Ends a sequence; its own pages leave the service. FailedPrecondition: in a round.
  virtual Status RemoveSequence(std::uint64_t sequence) = 0;

  /// Physical rows (slots) of a layer, and positions so far; of the rows, those of the ring, at
  /// their head: the shard writes into these in any step, so no other sequence may share their
  /// blocks.
  virtual int Rows(std::uint64_t sequence, int layer) const = 0;
  virtual int RingRows(std::uint64_t sequence, int layer) const = 0;
  virtual int Length(std::uint64_t sequence) const = 0;
  /// Position of the token in each physical row of a layer; ring rows included. Under snapkv-heads,
  /// whose KV heads keep rows of their own, in the model's first KV head.
  virtual std::vector<std::int32_t> RowPositions(std::uint64_t sequence, int layer) const = 0;

  /// Opens the step. Sequences are distinct; order is the order of the tokens in every tensor of
  /// the step. Block tables stay as they are until EndStep.
  virtual Status BeginStep(std::span<const StepEntry> entries) = 0;
  /// queries [tokens of the step, query_heads, key_dim], rotated; MLA: absorbed into the latent.
  virtual Status ObserveQueries(int layer, std::span<const float> queries) = 0;
  /// Later layers whose queries the step's sequences want to foresee at `layer`, ascending: the
  /// same on every rank, mostly none (SequenceOptions::recall_ahead).
  virtual std::vector<int> LayersToForesee(int layer) const = 0;
  /// As ObserveQueries(later_layer), but projected from the residual stream that enters `layer`.
  virtual Status ForeseeQueries(int layer, int later_layer, std::span<const float> queries) = 0;
  /// [collective, only where a sequence recalls within the step] After the queries of `layer`,
  /// before its attention: pages of `layer` that all ranks hold become visible in its ring.
  virtual Status RecallLayer(int layer) = 0;
  /// log_sum_exps [tokens of the step, query_heads], after the layer's attention, which leaves
  /// them: ln of the sum of exp(attention_scale * q.k) over the rows that a query attended to.
  /// Optional: a round reads each key once instead of twice where its whole window has them, and no
  /// page became visible since that the window did not attend to. Valid as long as hidden is.
  virtual Status ObserveLogSumExps(int layer, std::span<const float> log_sum_exps) = 0;
  /// hidden [tokens of the step, hidden_dim]: the residual stream after `layer`; the last layer's
  /// is the final hidden state, before the final norm. Valid until the next layer's RecallLayer.
  /// [collective on the stream, only after the last layer, where a sequence has pages to recall and
  /// the ranks have collectives on their devices] Their scores are summed there.
  virtual Status ObserveHidden(int layer, std::span<const float> hidden) = 0;
  /// [collective, only where a sequence has pages to recall; not where ObserveHidden was] After the
  /// logits: scores, fetches.
  virtual Status ExchangeScores() = 0;
  /// logits [tokens, vocab_local] of the step's tokens first_token ...; chunks in ascending order,
  /// all tokens of the step exactly once.
  virtual Status ObserveLogits(int first_token, int tokens, std::span<const float> logits) = 0;
  /// [collective] merges the candidates of H and the ready and miss bits of the fetches.
  virtual Result<std::vector<StepEntryResult>> EndStep() = 0;

  /// The sequences that are due for a round by round_every and round_watermark, ascending, given
  /// how many of the engine's blocks are in use: the same on every rank. Between steps.
  virtual std::vector<std::uint64_t> DueForRound(int used_blocks, int total_blocks) const = 0;

  /// [block tables] Physical rows that a round begun now would leave at most of those there are:
  /// exactly so many, but where layers share out by what they hold (adaptive), which only the round
  /// finds out. Empty where it would change nothing. Between steps.
  virtual std::vector<int> PlannedRows(std::uint64_t sequence) const = 0;

  /// [collective] Scores and plans at the present length of each sequence; block tables must stay
  /// the same for the planned rows until CommitRound. Agreed ring replacements become visible, by
  /// copies on the stream; from here to CommitRound the rings of these sequences stand still, and
  /// nothing attended changes.
  /// FailedPrecondition: a round is under way.
  struct RoundEntry {
    std::uint64_t sequence = 0;
    BlockTables block_tables;  // valid during the call, as the next
    /// Where the rows that stay will lie, of a sequence that shares blocks: entry i of a table is
    /// that of block_tables where the sequence owns the block alone (the ring's always), else a
    /// block reserved for it. Each covers PlannedRows, and at CommitRound the rows appended since
    /// too. Blocks that it replaces are not written. Empty: in place.
    BlockTables destination_tables;
    /// BeginRound: no blocks could be reserved, so this sequence keeps everything.
    bool keep_all = false;
  };
  virtual Status BeginRound(std::span<const RoundEntry> entries) = 0;
  /// [collective] Applies the plan on every rank or on none, and ends the round, whatever becomes
  /// of it. What fails on one rank before the ranks have voted, BeginRound included, is the reason
  /// why everything was kept, not an error. `entries`: the sequences of BeginRound in its order,
  /// with the block tables as they are now; others are an error here, and the round keeps
  /// everything on every rank. FailedPrecondition: no round is under way.
  virtual Result<std::vector<RoundOutcome>> CommitRound(std::span<const RoundEntry> entries) = 0;

  virtual ShardStats stats() const = 0;
};

}  // namespace pinboard
