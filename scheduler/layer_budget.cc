// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/layer_budget.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace pinboard::scheduler {
namespace {

constexpr std::int64_t kPyramidBeta = 20;
/// Weights below it times a count of rows stay in an int64.
constexpr std::int64_t kMaxWeight = std::int64_t{1} << 31;

constexpr std::array kShareNames = {"uniform", "pyramid", "adaptive"};

/// `total` in proportion to the weights, which are not all zero.
std::vector<int> InProportion(std::int64_t total, std::vector<std::int64_t> weights) {
  while (*std::max_element(weights.begin(), weights.end()) >= kMaxWeight) {
    for (std::int64_t& weight : weights) weight /= 2;
  }
  const std::int64_t sum = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  std::vector<int> shares;
  shares.reserve(weights.size());
  std::vector<std::size_t> by_remainder(weights.size());
  std::iota(by_remainder.begin(), by_remainder.end(), 0);
  for (const std::int64_t weight : weights) {
    shares.push_back(static_cast<int>(total * weight / sum));
  }
  std::stable_sort(by_remainder.begin(), by_remainder.end(), [&](std::size_t a, std::size_t b) {
    return total * weights[a] % sum > total * weights[b] % sum;
  });
  std::int64_t left = total - std::accumulate(shares.begin(), shares.end(), std::int64_t{0});
  for (std::size_t i = 0; left > 0; ++i, --left) ++shares[by_remainder[i]];
  return shares;
}

std::vector<int> Pyramid(const LayerDemand& demand) {
  const std::int64_t mean = demand.keep_rows - demand.protected_rows;
  const std::int64_t most = demand.length - demand.protected_rows;
  if (demand.layers == 1 || mean == 0) {
    return std::vector<int>(demand.layers, demand.keep_rows);
  }
  // In kPyramidBeta-ths of a row.
  const std::int64_t bottom = std::min((2 * kPyramidBeta - 1) * mean, kPyramidBeta * most);
  const std::int64_t top = 2 * kPyramidBeta * mean - bottom;
  std::vector<std::int64_t> weights;
  weights.reserve(demand.layers);
  for (int l = 0; l < demand.layers; ++l) {
    weights.push_back(bottom * (demand.layers - 1 - l) + top * l);
  }
  std::vector<int> budgets = InProportion(mean * demand.layers, std::move(weights));
  for (int& budget : budgets) budget += demand.protected_rows;
  return budgets;
}

std::vector<int> Adaptive(const LayerDemand& demand, absl::Span<const std::int64_t> information) {
  std::vector<int> budgets(demand.layers, demand.protected_rows);
  std::int64_t rows = std::int64_t{demand.layers} * demand.keep_rows;
  std::vector<int> open(demand.layers);  // layers that may keep more than the protected rows
  std::iota(open.begin(), open.end(), 0);
  while (true) {
    std::vector<std::int64_t> weights;
    weights.reserve(open.size());
    for (const int l : open) weights.push_back(information[l]);
    const bool none = std::all_of(weights.begin(), weights.end(), [](auto w) { return w == 0; });
    if (none) weights.assign(weights.size(), 1);
    const std::vector<int> shares = InProportion(rows, std::move(weights));
    std::vector<int> above;
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (shares[i] >= demand.protected_rows) above.push_back(open[i]);
    }
    if (above.size() == open.size()) {
      for (std::size_t i = 0; i < open.size(); ++i) budgets[open[i]] = shares[i];
      return budgets;
    }
    rows -= static_cast<std::int64_t>(open.size() - above.size()) * demand.protected_rows;
    open = std::move(above);
  }
}

}  // namespace

absl::StatusOr<LayerShare> ParseLayerShare(absl::string_view name) {
  for (std::size_t i = 0; i < kShareNames.size(); ++i) {
    if (name == kShareNames[i]) return static_cast<LayerShare>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("layers is '", name, "': use uniform, pyramid or adaptive"));
}

absl::StatusOr<KeepScope> ParseKeepScope(absl::string_view name) {
  if (name == "layer") return KeepScope::kLayer;
  if (name == "global") return KeepScope::kGlobal;
  return absl::InvalidArgumentError(absl::StrCat("scope is '", name, "': use layer or global"));
}

const char* LayerShareName(LayerShare share) {
  return kShareNames[static_cast<std::size_t>(share)];
}

absl::Status CheckLayerShare(LayerShare share, KeepScope scope, bool layer_tables) {
  if (share == LayerShare::kUniform) return absl::OkStatus();
  if (scope == KeepScope::kGlobal) {
    return absl::InvalidArgumentError(
        absl::StrCat(LayerShareName(share),
                     " budgets keep unequal counts, and scope global one set for all layers: "
                     "use layers=uniform or scope=layer"));
  }
  if (!layer_tables) {
    return absl::InvalidArgumentError(
        absl::StrCat(LayerShareName(share),
                     " budgets keep unequal counts, and the layers share a block table: use "
                     "tables=layer or layers=uniform"));
  }
  return absl::OkStatus();
}

std::vector<int> LayerBudgets(LayerShare share, const LayerDemand& demand,
                              absl::Span<const std::int64_t> information) {
  switch (share) {
    case LayerShare::kUniform:
      break;
    case LayerShare::kPyramid:
      return Pyramid(demand);
    case LayerShare::kAdaptive:
      return Adaptive(demand, information);
  }
  return std::vector<int>(demand.layers, demand.keep_rows);
}

}  // namespace pinboard::scheduler
