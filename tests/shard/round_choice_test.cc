// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a round chooses, on either backend: the rows and pages of a plain selection, layer by layer.
#include "shard/round_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/fixed_point.h"
#include "kernels/select/select.h"
#include "shard/make_sequence.h"
#include "shard/operations/cuda_operations.h"
#include "shard/round_counts.h"
#include "tests/kernels/checks/select_checks.h"
#include "tests/shard/toy_memory.h"
#include "tests/support/seeded_random.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::testing {
namespace {

using kernels::RowClass;

constexpr int kLayers = 3;
constexpr int kNewTokens = 100;

/// Few different values, so that many rows tie.
std::int32_t FromFew(SeededRandom& random, int fraction_bits) {
  return random.Int(0, 40) << (fraction_bits - 6);
}

/// A sequence between two rounds: `ring_pages` pages of its band are in the ring.
SequenceState RandomState(const ShardContext& context, SeededRandom& random,
                          const SequenceOptions& options, int ring_pages) {
  auto made = MakeSequence(context, options);
  EXPECT_TRUE(made.ok()) << made.status();
  SequenceState state = *std::move(made);
  const int ring_rows = ring_pages * kPageRows;
  const int old_rows = ring_rows + random.Int(150, 500);
  state.merged_length = 2 * old_rows;
  state.length = state.merged_length + kNewTokens;
  std::vector<std::int32_t> all(state.merged_length);
  std::iota(all.begin(), all.end(), 0);
  for (LayerState& layer : state.layers) {
    std::shuffle(all.begin(), all.end(), random.engine());
    layer.positions.assign(all.begin(), all.begin() + old_rows);
    for (int first = 0; first < ring_rows; first += kPageRows) {
      std::sort(layer.positions.begin() + first, layer.positions.begin() + first + kPageRows);
    }
    std::sort(layer.positions.begin() + ring_rows, layer.positions.end());
    for (int i = 0; i < kNewTokens; ++i) layer.positions.push_back(state.merged_length + i);
    for (int i = 0; i < old_rows; ++i) {
      layer.information.push_back(FromFew(random, kInformationFractionBits));
    }
    layer.totals.Add(layer.information);
    layer.information.resize(layer.positions.size(), 0);
    layer.recall.GrowRing(ring_pages);
    if (ring_pages == 0) continue;
    const int pages = 3 * ring_pages;
    for (int page = 0; page < pages; ++page) layer.recall.Add(page, FromFew(random, 20));
    std::vector<std::int32_t> scores(pages);
    for (std::int32_t& score : scores) score = random.Int(0, 1000);
    layer.recall.TakeIn(scores);
    layer.recall.Fetch(2);
    for (int slot = 0; slot < ring_pages; ++slot) layer.recall.Place(3 * slot, slot);
    if (random.OneIn(2)) layer.recall.Remove(0);  // struck, still in its slot
  }
  return state;
}

/// Values of any signals, handed out one behind the other, in the operations' memory.
class Values {
 public:
  absl::Span<std::int32_t> Draw(std::size_t count, int fraction_bits, SeededRandom& random) {
    const absl::Span<std::int32_t> drawn = absl::MakeSpan(all_).subspan(drawn_, count);
    for (std::int32_t& value : drawn) value = FromFew(random, fraction_bits);
    drawn_ += count;
    return drawn;
  }

 private:
  ToyVector<std::int32_t> all_ = ToyVector<std::int32_t>(20'000);
  std::size_t drawn_ = 0;
};

/// As MergeSignals leaves them: what the policy does not read is not there.
struct Signals {
  Signals(const SequenceState& state, Values& attention, Values& other, SeededRandom& random)
      : layers(kLayers) {
    const scheduler::PolicySpec& policy = state.policy;
    for (int l = 0; l < kLayers; ++l) {
      const std::size_t rows = state.layers[l].positions.size();
      layers[l].order = OrderRows(state.layers[l].positions, state.layers[l].ring_rows());
      layers[l].attention = attention.Draw(policy.queries == AttentionQueries::kNone ? 0 : rows,
                                           kAttentionFractionBits, random);
      layers[l].redundancy = other.Draw(policy.keep == ScoreRule::kDistinct ? rows : 0,
                                        kAttentionFractionBits, random);
      layers[l].information = other.Draw(kNewTokens, kInformationFractionBits, random);
      layers[l].totals = state.layers[l].totals;
      layers[l].totals.Add(layers[l].information);
    }
  }

  std::vector<LayerSignals> layers;
};

/// A plain choice: everything is sorted, and what is left over is picked out before it is selected
/// from again.
class PlainChoice {
 public:
  PlainChoice(const SequenceState& state, const std::vector<LayerSignals>& signals, int block_size)
      : state_(state), signals_(signals) {
    std::vector<std::int64_t> sums;
    for (int l = 0; l < kLayers; ++l) {
      sums.push_back(signals[l].totals.sum);
      keep_.push_back(Fused(l, signals[l].totals, state.policy.keep));
      band_.push_back(Fused(l, signals[l].totals, state.policy.band));
    }
    counts_ = RoundCounts(state, block_size, sums);
    if (state.scope == scheduler::KeepScope::kGlobal) Unite();
  }

  void ExpectPlan(int l, const LayerPlan& plan) const {
    const auto& order = signals_[l].order.rows;
    const LayerState& layer = state_.layers[l];
    const int recent = state_.length - state_.policy.method.window;
    kernels::checks::SelectInput in{keep_[l], band_[l], {}, counts_[l].keep_rows, 0, 0};
    for (const std::int32_t row : order) {
      const std::int32_t position = layer.positions[row];
      in.is_protected.push_back(position < ProtectedHead(state_) || position >= recent ? 1 : 0);
    }
    const std::vector<RowClass> classes = kernels::checks::NaiveSelect(in);
    std::vector<std::int32_t> kept;
    std::set<int> slots;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (classes[i] != RowClass::kKept) continue;
      kept.push_back(order[i]);
      if (order[i] < layer.ring_rows()) slots.insert(order[i] / kPageRows);
    }
    EXPECT_EQ(plan.kept_rows, kept);
    const std::vector<scheduler::BandPage> existing = Existing(layer, slots);
    std::vector<std::size_t> loose;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const bool in_page = order[i] < layer.ring_rows() && !slots.contains(order[i] / kPageRows);
      if (classes[i] != RowClass::kKept && !in_page) loose.push_back(i);
    }
    for (int slot = layer.recall.ring_pages(); slot < counts_[l].ring_pages; ++slot) {
      slots.insert(slot);
    }
    EXPECT_EQ(plan.ring_slots, std::vector<int>(slots.begin(), slots.end()));
    ExpectBand(l, loose, existing, static_cast<int>(slots.size()), plan);
  }

 private:
  std::vector<std::int64_t> Fused(int l, const kernels::InformationTotals& totals,
                                  ScoreRule rule) const {
    const LayerState& layer = state_.layers[l];
    std::vector<std::int32_t> information, positions;
    for (const std::int32_t row : signals_[l].order.rows) {
      const std::int32_t position = layer.positions[row];
      positions.push_back(position);
      information.push_back(position < state_.merged_length
                                ? layer.information[row]
                                : signals_[l].information[position - state_.merged_length]);
    }
    std::vector<std::int64_t> scores(positions.size());
    EXPECT_TRUE(kernels::Fuse(
                    {rule, state_.policy.alpha, state_.policy.method.seed, l, signals_[l].attention,
                     information, positions, totals, signals_[l].redundancy},
                    absl::MakeSpan(scores))
                    .ok());
    return scores;
  }

  void Unite() {
    std::vector<std::int64_t> sum(state_.length, 0);
    std::vector<int> holders(state_.length, 0);
    const auto each = [&](auto visit) {
      for (int l = 0; l < kLayers; ++l) {
        for (std::size_t i = 0; i < keep_[l].size(); ++i) {
          visit(state_.layers[l].positions[signals_[l].order.rows[i]], keep_[l][i]);
        }
      }
    };
    each([&](int position, std::int64_t& score) { sum[position] += score, ++holders[position]; });
    each([&](int position, std::int64_t& score) {
      score =
          holders[position] == kLayers ? sum[position] : std::numeric_limits<std::int64_t>::min();
    });
  }

  static std::vector<scheduler::BandPage> Existing(const LayerState& layer,
                                                   const std::set<int>& retired) {
    std::set<std::uint32_t> leaving, pinned;
    for (int slot = 0; slot < layer.recall.ring_pages(); ++slot) {
      (retired.contains(slot) ? leaving : pinned).insert(layer.recall.ring()[slot]);
    }
    pinned.insert(layer.recall.in_flight().begin(), layer.recall.in_flight().end());
    std::vector<scheduler::BandPage> pages;
    for (std::size_t i = 0; i < layer.recall.pages().size(); ++i) {
      const std::uint32_t page = layer.recall.pages()[i];
      if (leaving.contains(page)) continue;
      pages.push_back({page, layer.recall.mean_information()[i], pinned.contains(page)});
    }
    return pages;
  }

  void ExpectBand(int l, const std::vector<std::size_t>& loose,
                  const std::vector<scheduler::BandPage>& existing, int slots,
                  const LayerPlan& plan) const {
    const auto& order = signals_[l].order.rows;
    const int rows = scheduler::NewPages(counts_[l].band_pages, static_cast<int>(existing.size()),
                                         static_cast<int>(loose.size()), slots) *
                     kPageRows;
    const int near = existing.empty() ? scheduler::WholeShare(state_.policy.near_share, rows) : 0;
    kernels::checks::SelectInput in{{}, {},   std::vector<std::uint8_t>(loose.size(), 0),
                                    0,  near, rows - near};
    for (const std::size_t i : loose) {
      in.keep_score.push_back(keep_[l][i]);
      in.band_score.push_back(band_[l][i]);
    }
    const std::vector<RowClass> classes = kernels::checks::NaiveSelect(in);
    std::vector<scheduler::BorderlineRow> borderline;
    for (std::size_t i = 0; i < loose.size(); ++i) {
      if (classes[i] != RowClass::kBorderline) continue;
      const std::int32_t row = order[loose[i]];
      const std::int64_t value = in.band_score[i] >> 15;
      borderline.push_back({row, state_.layers[l].positions[row],
                            static_cast<std::int32_t>(std::min<std::int64_t>(value, 0x7fffffff))});
    }
    const auto band = scheduler::PlanBand(existing, borderline, counts_[l].band_pages, slots);
    EXPECT_EQ(plan.band.drop, band.drop);
    EXPECT_EQ(plan.band.fill, band.fill);
    ASSERT_EQ(plan.band.publish.size(), band.publish.size());
    for (std::size_t p = 0; p < band.publish.size(); ++p) {
      EXPECT_EQ(plan.band.publish[p].mean_information, band.publish[p].mean_information);
      for (int i = 0; i < kPageRows; ++i) {
        EXPECT_EQ(plan.band.publish[p].rows[i].row, band.publish[p].rows[i].row);
      }
    }
    const int pages = static_cast<int>(band.publish.size()) - static_cast<int>(band.drop.size());
    EXPECT_EQ(plan.dropped, static_cast<std::int64_t>(loose.size()) - pages * kPageRows);
  }

  const SequenceState& state_;
  const std::vector<LayerSignals>& signals_;
  std::vector<std::vector<std::int64_t>> keep_, band_;
  std::vector<scheduler::RoundPlan> counts_;
};

class RoundChoice : public ::testing::TestWithParam<std::string> {
 protected:
  RoundChoice() : group_(1), communicator_(group_.Join(0)) {
    context_.options.model = {.layers = kLayers,
                              .query_heads = 1,
                              .total_query_heads = 1,
                              .kv = {1, 16, 16, true, DType::kBF16}};
    context_.communicator = communicator_.get();
    if (ToyBackend() == Backend::kCpu) {
      context_.operations = MakeHostOperations();
    } else {
      auto operations = MakeCudaOperations(nullptr);
      EXPECT_TRUE(operations.ok()) << operations.status();
      context_.operations = *std::move(operations);
    }
  }
  SequenceOptions Policy(const std::string& policy, SeededRandom& random) const {
    SequenceOptions options;
    options.policy = policy;
    options.window = 16;
    options.seed = 7;
    options.recall_pages = 8;
    options.alpha = random.Pick<double>({0.5, 0.9});
    options.budget = random.Pick<double>({0.1, 0.2});
    options.fusion = random.Pick<std::string>({"published", "max"});
    options.scope = random.Pick<std::string>({"layer", "global"});
    options.observe = true;  // plans pages without a store
    return options;
  }

  transport::LocalGroup group_;
  std::unique_ptr<transport::Communicator> communicator_;
  ShardContext context_;
};

TEST_P(RoundChoice, OfSequencesTogetherIsThatOfEachOfTheirLayers) {
  SeededRandom random;
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<SequenceState> states;
    for (const int ring_pages : {0, 4, 8}) {
      // In the middle perhaps one that takes no attention.
      const std::string policy =
          ring_pages == 4 ? random.Pick<std::string>({GetParam(), "recency"}) : GetParam();
      states.push_back(RandomState(context_, random, Policy(policy, random), ring_pages));
    }
    Values attention, other;
    std::vector<Signals> signals;
    for (const SequenceState& state : states) signals.emplace_back(state, attention, other, random);
    std::vector<SequencePlan> plans(states.size());
    std::vector<SequenceToChoose> sequences;
    for (std::size_t i = 0; i < states.size(); ++i) {
      sequences.push_back({&states[i], signals[i].layers, &plans[i]});
    }
    const absl::Status chosen = ChooseRows(context_, sequences);
    ASSERT_TRUE(chosen.ok()) << chosen;
    for (std::size_t i = 0; i < states.size(); ++i) {
      ASSERT_EQ(plans[i].layers.size(), std::size_t{kLayers});
      const PlainChoice plain(states[i], signals[i].layers, context_.options.model.block_size);
      for (int l = 0; l < kLayers; ++l) plain.ExpectPlan(l, plans[i].layers[l]);
      if (HasFailure()) FAIL() << "trial " << trial << ", sequence " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, RoundChoice,
                         ::testing::Values("pinboard", "infokv", "snapkv", "random", "recency",
                                           "rkv"),
                         [](const auto& info) { return info.param; });

using RoundPlanHash = RoundChoice;

TEST_P(RoundPlanHash, CoversTheRoundAndTheInformationOfEachLayer) {
  SeededRandom random;
  constexpr std::uint64_t kSequence = 5;
  SequenceState& state = context_.sequences[kSequence];
  state = RandomState(context_, random, Policy(GetParam(), random), 8);
  state.entropy_after.assign(kNewTokens + 1, 1.0F);
  for (LayerState& layer : state.layers) layer.pending_shift.assign(kNewTokens, 0.5F);
  const std::vector<std::int32_t> table(1);
  const std::vector<Shard::RoundEntry> entries = {{.sequence = kSequence, .block_tables = {table}}};
  const auto hash = [&](std::uint64_t number) {
    const auto round = PlanRound(context_, number, entries);
    EXPECT_TRUE(round.ok()) << round.status();
    EXPECT_TRUE(round->ready) << round->not_ready_because;
    return round->plan_hash;
  };
  const std::uint64_t planned = hash(1);
  EXPECT_EQ(hash(1), planned);
  EXPECT_NE(hash(2), planned);
  for (LayerState& layer : state.layers) {
    std::int32_t& known = layer.information[random.Int(0, 200)];
    ++known;
    EXPECT_NE(hash(1), planned) << "E of a row";
    --known;
    layer.pending_shift.back() += 0.5F;
    EXPECT_NE(hash(1), planned) << "E of a new token";
    layer.pending_shift.back() -= 0.5F;
  }
  EXPECT_EQ(hash(1), planned);
}

INSTANTIATE_TEST_SUITE_P(WithoutQueries, RoundPlanHash, ::testing::Values("recency"),
                         [](const auto& info) { return info.param; });

TEST(OrderRowsTest, MergesTheRingsRowsIntoThoseBehindThem) {
  SeededRandom random;
  for (int trial = 0; trial < 200; ++trial) {
    const int ring_rows = random.Int(0, 100);
    const int rows = ring_rows + random.Int(0, 200);
    const int spread = random.Pick<int>({1, 300, 100'000});
    std::vector<std::int32_t> positions(rows);
    for (int i = 0; i < rows; ++i) positions[i] = i * spread;
    std::shuffle(positions.begin(), positions.end(), random.engine());
    std::sort(positions.begin() + ring_rows, positions.end());
    const RowOrder order = OrderRows(positions, ring_rows);
    std::vector<std::int32_t> expected(rows);
    std::iota(expected.begin(), expected.end(), 0);
    std::sort(expected.begin(), expected.end(),
              [&](int a, int b) { return positions[a] < positions[b]; });
    ASSERT_EQ(order.rows, expected);
    ASSERT_EQ(order.ring_places.size(), static_cast<std::size_t>(ring_rows));
    for (int row = 0; row < ring_rows; ++row) ASSERT_EQ(expected[order.ring_places[row]], row);
  }
}

}  // namespace
}  // namespace pinboard::testing
