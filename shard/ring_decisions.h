// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a step has found out about its sequences' rings, and what follows from it: pages asked for,
// agreed, shown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"
#include "shard/page_fetcher.h"
#include "shard/ring_choices.h"
#include "shard/ring_pages.h"
#include "shard/step_recorder.h"

namespace pinboard {

/// The same on every rank once scores and reports have been exchanged.
struct StepFindings {
  /// One layer of one sequence: its parts of the arrays below.
  struct Ring {
    std::size_t first_score = 0, scores = 0;       // none where the step chooses no pages
    std::size_t first_reported = 0, reported = 0;  // fetches under way when the step ended
  };
  struct Sequence {
    std::uint64_t id = 0;
    std::uint64_t step = 0;  // its own count
  };
  std::vector<Sequence> sequences;
  std::vector<Ring> rings;              // [sequences, layers]
  std::vector<std::int32_t> scores;     // of each ring's live pages
  std::vector<std::uint32_t> reported;  // page numbers
  std::vector<std::uint8_t> reports;    // [tp, reported]: kReadyHere, kMissedHere
};

inline constexpr std::uint8_t kReadyHere = 1;
inline constexpr std::uint8_t kMissedHere = 2;

/// A decision is due before the next step's attention of the ring's layer and not earlier: taken
/// layer after layer there it costs a device no time, which works on the layers before meanwhile.
/// Whoever changes a band, a ring or the sequences in between decides first. One thread.
class RingDecisions {
 public:
  /// Both outlive this.
  RingDecisions(ShardContext* context, PageFetcher* fetcher)
      : context_(context), fetcher_(fetcher) {}

  /// Begins a step's findings; those of before have been acted upon, or are not to be. Scores are
  /// left as they are: whoever scores says how many there are.
  StepFindings& Begin(absl::Span<const StepSlice> slices);
  StepFindings& findings() { return findings_; }
  /// The scores, which have been merged, choose pages now: before the fetches are reported.
  void Choose();
  /// The reports of all ranks are there: decisions can be taken.
  void MakeReady();
  /// Takes those of the layers below `end` that have not been taken yet; the fetches that they ask
  /// for start, in one message.
  void Decide(int end);
  void DecideAll() { Decide(context_->options.model.layers); }

  /// A sequence whose rings may be written to.
  struct Rings {
    std::uint64_t sequence = 0;
    SequenceState* state = nullptr;
    const BlockTables* tables = nullptr;
  };
  /// Scatters the agreed replacements of these sequences' layers first ... end - 1 into their
  /// rings.
  absl::Status Show(absl::Span<const Rings> sequences, int first, int end);

  /// `to` gets the agreed pages of `from` too.
  void Fork(std::uint64_t from, std::uint64_t to);
  void Forget(std::uint64_t sequence);

 private:
  SequenceState* Find(std::uint64_t sequence) const;
  StepFindings::Ring& ring(std::size_t sequence, int layer) {
    return findings_.rings[sequence * context_->options.model.layers + layer];
  }
  /// Whether the scores are to choose pages once the findings are ready.
  bool ChoosesNow() const { return !chosen_ && !findings_.scores.empty(); }
  /// Has them do so, layer after layer, beside this thread, but for the first layers.
  void StartChoices();
  /// Of the layers below `end`.
  void AwaitChoices(int end);
  absl::Span<const std::int32_t> ScoresOf(const StepFindings::Ring& its) const;
  void FindStates();
  void RequestFor(std::size_t sequence, SequenceState& state, int layer);
  void SettleFor(std::size_t sequence, SequenceState& state, int layer);
  /// Of the layers first ... end - 1, in the order in which fetches are asked for. The memory of
  /// the rings that come next is on its way meanwhile.
  void ForEachRing(int first, int end,
                   absl::FunctionRef<void(std::size_t sequence, SequenceState&, int layer)> visit);

  ShardContext* context_;
  PageFetcher* fetcher_;
  StepFindings findings_;
  bool ready_ = false;
  bool chosen_ = false;                 // of all layers, before the reports
  int decided_ = 0;                     // layers
  std::vector<SequenceState*> states_;  // [findings_.sequences], while rings are gone through
  std::vector<PageFetcher::Request> requests_;
  std::vector<std::uint32_t> all_hold_, any_missed_;  // of one ring
  std::vector<AgreedPage> agreed_;
  std::vector<RingChoices::Ring> beside_;  // empty but while choices start
  RingChoices choices_;                    // of the findings, by layer
};

}  // namespace pinboard
