// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/placement/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "cache_service/placement/negative_log2.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;

MembershipView ViewOf(const std::map<std::string, std::uint32_t>& weights) {
  MembershipView view;
  for (const auto& [name, weight] : weights) {
    view.members.push_back({.name = name, .address = name, .weight = weight});
  }
  return view;
}

std::vector<std::string> Names(const std::vector<const Member*>& order) {
  std::vector<std::string> names;
  names.reserve(order.size());
  for (const Member* member : order) names.push_back(member->name);
  return names;
}

/// The extents of a sequence as rounds make them: page numbers count up in a few blocks of layers.
std::vector<ExtentId> ExtentsOfSequences(std::uint64_t first_sequence, int sequences, int blocks) {
  std::vector<ExtentId> extents;
  for (int sequence = 0; sequence < sequences; ++sequence) {
    for (int block = 0; block < blocks; ++block) {
      extents.push_back(
          ExtentIdOf(GroupId(1), {.sequence = first_sequence + sequence,
                                  .page = static_cast<std::uint32_t>(block / 2) * kExtentPages,
                                  .layer = static_cast<std::uint16_t>(block % 2 * kExtentLayers)}));
    }
  }
  return extents;
}

/// Sum of (seen - expected)^2 / expected over the members, expected by weight.
double ChiSquare(const std::map<std::string, int>& seen, const MembershipView& view) {
  double weights = 0;
  double total = 0;
  for (const Member& member : view.members) weights += member.weight;
  for (const auto& [name, count] : seen) total += count;
  double sum = 0;
  for (const Member& member : view.members) {
    const auto found = seen.find(member.name);
    const double expected = total * member.weight / weights;
    const double off = (found == seen.end() ? 0 : found->second) - expected;
    sum += off * off / expected;
  }
  return sum;
}

// Made by another program (Python's xxhash and math.log2): these never change.
TEST(PlacementTest, TheOrderIsTheSameOnEveryMachine) {
  const MembershipView view = ViewOf({{"10.0.0.1:7700", 1},
                                      {"10.0.0.2:7700", 1},
                                      {"10.0.0.3:7700", 2},
                                      {"10.0.0.4:7700", 4},
                                      {"[fd00::5]:7700", 1}});
  const auto order = [&view](std::uint64_t group, const PageKey& key) {
    std::vector<int> places;
    for (const Member* member : PlacementOrder(ExtentIdOf(GroupId(group), key), view)) {
      places.push_back(static_cast<int>(member - view.members.data()));
    }
    return places;
  };
  constexpr std::uint64_t kMax64 = ~std::uint64_t{0};
  EXPECT_THAT(order(1, {.sequence = 1}), ElementsAre(1, 2, 0, 3, 4));
  EXPECT_THAT(order(1, {.sequence = 1, .page = 15, .layer = 15}), ElementsAre(1, 2, 0, 3, 4));
  EXPECT_THAT(order(1, {.sequence = 1, .page = 16}), ElementsAre(4, 3, 2, 0, 1));
  EXPECT_THAT(order(1, {.sequence = 1, .layer = 16}), ElementsAre(3, 2, 0, 1, 4));
  EXPECT_THAT(order(1, {.sequence = 1, .shard = 1}), ElementsAre(0, 1, 3, 4, 2));
  EXPECT_THAT(order(0, {}), ElementsAre(1, 3, 2, 0, 4));
  EXPECT_THAT(order(kMax64, {kMax64, 0xffffffff, 0xffff, 0xffff}), ElementsAre(2, 3, 0, 4, 1));
  EXPECT_THAT(order(7, {.sequence = 123456789, .page = 4096, .layer = 47, .shard = 3}),
              ElementsAre(2, 0, 3, 1, 4));
}

TEST(PlacementTest, AMemberThatJoinsOrLeavesChangesTheOrderOfNoOthers) {
  SeededRandom random;
  std::map<std::string, std::uint32_t> weights;
  for (int i = 0; i < 9; ++i) {
    weights["m" + std::to_string(i)] = static_cast<std::uint32_t>(random.Int(1, 20));
  }
  const std::string changed = "m" + std::to_string(random.Int(0, 8));
  const MembershipView with = ViewOf(weights);
  weights.erase(changed);
  const MembershipView without = ViewOf(weights);
  for (const ExtentId& extent : ExtentsOfSequences(random.engine()(), 20, 50)) {
    std::vector<std::string> order = Names(PlacementOrder(extent, with));
    std::erase(order, changed);
    EXPECT_EQ(order, Names(PlacementOrder(extent, without)));
  }
}

// A quantile of chi-square with 4 degrees of freedom: exceeded by chance once in 10^7 runs.
constexpr double kUnlikelyChiSquare = 38.8;

TEST(PlacementTest, MembersGetExtentsByTheirWeights) {
  SeededRandom random;
  const MembershipView view = ViewOf({{"a", 1}, {"b", 1}, {"c", 2}, {"d", 5}, {"e", 40}});
  std::map<std::string, int> first;
  std::map<std::string, int> second_after_e;
  for (const ExtentId& extent : ExtentsOfSequences(random.engine()(), 1000, 100)) {
    const auto order = PlacementOrder(extent, view);
    ++first[order[0]->name];
    if (order[0]->name == "e") ++second_after_e[order[1]->name];
  }
  EXPECT_LT(ChiSquare(first, view), kUnlikelyChiSquare);
  EXPECT_LT(ChiSquare(second_after_e, ViewOf({{"a", 1}, {"b", 1}, {"c", 2}, {"d", 5}})),
            kUnlikelyChiSquare);
}

TEST(PlacementTest, AHeavierMemberOnlyTakesExtentsOver) {
  SeededRandom random;
  const MembershipView before = ViewOf({{"a", 3}, {"b", 3}, {"c", 3}});
  const MembershipView after = ViewOf({{"a", 3}, {"b", 4}, {"c", 3}});
  for (const ExtentId& extent : ExtentsOfSequences(random.engine()(), 50, 50)) {
    const std::string was = PlacementOrder(extent, before)[0]->name;
    const std::string is = PlacementOrder(extent, after)[0]->name;
    EXPECT_TRUE(is == was || is == "b") << was << " became " << is;
  }
}

TEST(PlacementTest, StateAddressAndIncarnationChangeNothing) {
  MembershipView view = ViewOf({{"a", 1}, {"b", 2}, {"c", 3}});
  MembershipView other = view;
  other.version = 9;
  other.members[1].state = MemberState::kDraining;
  other.members[1].address = "10.9.9.9:1";
  other.members[2].incarnation = 77;
  for (const ExtentId& extent : ExtentsOfSequences(1, 4, 25)) {
    EXPECT_EQ(Names(PlacementOrder(extent, view)), Names(PlacementOrder(extent, other)));
  }
}

TEST(PlacementTest, NobodyIsAnOrderOfNone) {
  EXPECT_TRUE(PlacementOrder(ExtentIdOf(GroupId(1), {}), MembershipView()).empty());
}

TEST(NegativeLog2Test, IsWithinItsStatedErrorAndFallsAsItsArgumentRises) {
  SeededRandom random;
  const auto exact = [](std::uint64_t x) {
    return static_cast<double>(64 - std::log2(static_cast<long double>(x))) *
           static_cast<double>(1 << kLog2FractionBits);
  };
  std::vector<std::uint64_t> values = {1, 2, 3, ~std::uint64_t{0}, std::uint64_t{1} << 63};
  for (int i = 0; i < 20000; ++i) values.push_back(random.engine()() >> random.Int(0, 63));
  std::sort(values.begin(), values.end());
  std::uint64_t last = NegativeLog2(1);
  for (const std::uint64_t x : values) {
    const std::uint64_t value = NegativeLog2(x);
    EXPECT_LE(value, last) << x;
    last = value;
    EXPECT_NEAR(static_cast<double>(value), exact(std::max<std::uint64_t>(x, 1)), 2.0) << x;
  }
  EXPECT_EQ(NegativeLog2(0), std::uint64_t{64} << kLog2FractionBits);
  EXPECT_EQ(NegativeLog2(1), std::uint64_t{64} << kLog2FractionBits);
  EXPECT_GT(NegativeLog2(~std::uint64_t{0}), 0U);
}

}  // namespace
}  // namespace pinboard::cache_service
