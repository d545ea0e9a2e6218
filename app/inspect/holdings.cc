// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/holdings.h"

#include <tuple>

#include "absl/strings/str_cat.h"

namespace pinboard::app {
namespace {

constexpr double kInformationOne = 1 << 25;  // fixed point, as on the wire

Holding HoldingOf(const cache_service::InspectedExtent& extent) {
  return {.layers = {extent.first_layer, extent.last_layer},
          .page_numbers = {extent.first_page, extent.last_page},
          .shards = {extent.shard, extent.shard},
          .generations = {extent.lowest_generation, extent.highest_generation},
          .extents = 1,
          .evicted = extent.evicted,
          .dropped = extent.dropped,
          .pages = extent.pages,
          .bytes = extent.bytes,
          .information = static_cast<double>(extent.information)};
}

}  // namespace

void Holding::Add(const Holding& other) {
  layers.Include(other.layers.lowest, other.layers.highest);
  page_numbers.Include(other.page_numbers.lowest, other.page_numbers.highest);
  shards.Include(other.shards.lowest, other.shards.highest);
  generations.Include(other.generations.lowest, other.generations.highest);
  extents += other.extents;
  evicted += other.evicted;
  dropped += other.dropped;
  pages += other.pages;
  bytes += other.bytes;
  information += other.information;
}

std::optional<double> Holding::MeanInformation() const {
  if (pages == 0) return std::nullopt;
  return information / kInformationOne / static_cast<double>(pages);
}

void Holdings::Add(absl::Span<const cache_service::InspectedExtent> extents) {
  for (const cache_service::InspectedExtent& extent : extents) {
    groups_[extent.group][extent.sequence].Add(HoldingOf(extent));
  }
}

std::vector<GroupHolding> Holdings::groups() const {
  std::vector<GroupHolding> groups;
  for (const auto& [group, sequences] : groups_) {
    groups.push_back({.group = group, .all = {}, .sequences = sequences});
    for (const auto& [sequence, holding] : sequences) groups.back().all.Add(holding);
  }
  std::ranges::sort(groups, [](const GroupHolding& one, const GroupHolding& other) {
    return std::tuple(other.all.bytes, one.group) < std::tuple(one.all.bytes, other.group);
  });
  return groups;
}

Holding Holdings::all() const {
  Holding all;
  for (const auto& [group, sequences] : groups_) {
    for (const auto& [sequence, holding] : sequences) all.Add(holding);
  }
  return all;
}

std::string GroupName(std::uint64_t group) {
  return absl::StrCat(absl::Hex(group, absl::kZeroPad16));
}

}  // namespace pinboard::app
