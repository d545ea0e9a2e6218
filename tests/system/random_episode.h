// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A random group, and a random schedule of what a serving engine may do to it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/seeded_random.h"
#include "tests/system/checked_group.h"
#include "tests/system/random_options.h"

namespace pinboard::testing {

/// What an episode did; sums over episodes show that the fuzz reaches what it claims to.
struct EpisodeCounts {
  std::int64_t actions = 0, forwards = 0, rounds_applied = 0, rounds_kept_all = 0,
               rounds_disturbed = 0;
  std::int64_t pages_recalled = 0, misses = 0;
  std::int64_t preemptions_compacted = 0, resumes = 0, forks = 0, replacements = 0;
  std::int64_t finishes = 0, refusals = 0;

  void Add(const EpisodeCounts& other);
  std::string ToString() const;
};

/// One group from its making to its end, all of it drawn from `seed`: shapes (MHA, GQA, MQA, MLA,
/// with and without experts), block size, ranks, cache, options of shard and sequences, and
/// `actions` of: join, step (chunks of prompts and decoded tokens together), begin and commit of
/// rounds with anything in between (now and then with a sum that differs on one rank), preempt,
/// resume, fork (now and then another sequence takes the origin's id at once), finish, pages lost,
/// corrupted, late or with their whole service gone, and calls that must be refused. Recall goes on
/// within the steps.
class RandomEpisode {
 public:
  RandomEpisode(std::uint32_t seed, int actions);

  /// Ends early at the first violation.
  EpisodeCounts Run();
  /// One line.
  std::string description() const { return Describe(options_); }

 private:
  struct Live {
    int unread = 0;  // tokens of the prompt
    bool swapped_out = false;
    bool compacted = false;
  };

  void Act();
  void Join();
  void JoinAs(std::uint64_t sequence, const SequenceOptions& options);
  void Step();
  /// Where no sequence can go on.
  void MakeRoom();
  void BeginRound();
  void CommitRound();
  void Preempt();
  void PreemptOne(std::uint64_t sequence);
  void Resume();
  void Fork();
  void ReplaceOrigin(std::uint64_t sequence, std::uint64_t fork);
  void Finish();
  void End(std::uint64_t sequence);
  void Trouble();
  void Refuse();
  void EndAll();

  TokenIds DrawTokens(int count);
  /// Sequences that own blocks; those in a round, or not.
  std::vector<std::uint64_t> Running(bool in_round_too = true) const;
  std::vector<std::uint64_t> SwappedOut() const;
  bool InRound(std::uint64_t sequence) const;

  SeededRandom random_;
  CheckedGroupOptions options_;
  int actions_;
  CheckedGroup group_;
  std::map<std::uint64_t, Live> live_;
  std::vector<std::uint64_t> ended_;
  std::uint64_t next_sequence_ = 1;
  bool in_trouble_ = false;  // the page service, until the next trouble ends it
  EpisodeCounts counts_;
};

}  // namespace pinboard::testing
