// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How a budget is shared out over the layers, and whether they choose their rows together.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace pinboard::scheduler {

enum class LayerShare : std::uint8_t {
  kUniform,   // the same count in every layer: what one block table for all layers can hold
  kPyramid,   // an arithmetic sequence, wide at the first layer (PyramidKV, arXiv:2406.02069)
  kAdaptive,  // in proportion to a layer's information
};

enum class KeepScope : std::uint8_t {
  kLayer,   // each layer chooses its own rows
  kGlobal,  // one set of rows for all layers
};

/// uniform | pyramid | adaptive, and layer | global. InvalidArgument: another name, with the known
/// ones.
absl::StatusOr<LayerShare> ParseLayerShare(absl::string_view name);
absl::StatusOr<KeepScope> ParseKeepScope(absl::string_view name);
const char* LayerShareName(LayerShare share);

/// What a budget must fit: InvalidArgument where one set for all layers is asked for with unequal
/// counts, or unequal counts in block tables that all layers share.
absl::Status CheckLayerShare(LayerShare share, KeepScope scope, bool layer_tables);

/// A round as the sharing out sees it.
struct LayerDemand {
  int layers = 1;
  int keep_rows = 0;       // of a layer, in the mean; at least protected_rows
  int protected_rows = 0;  // that every layer keeps
  int length = 0;          // positions so far; at least protected_rows
};

/// Rows that each layer keeps, [layers]; they sum to layers * keep_rows. Fractions of a row go to
/// the largest remainders, ties to the lower layer.
///
/// uniform: keep_rows each.
/// pyramid: what is kept besides the protected rows falls from layer to layer by equal steps, to
///   1 / 20 of the mean in the last layer (PyramidKV's beta); less steeply where the first layer
///   would keep more than the length.
/// adaptive: k_l = layers * keep_rows * w_l / sum of w, `information` w [layers] being the sum of E
///   over the layer's tokens; a layer that would keep less than the protected rows keeps those, and
///   the others share the rest. Where no layer has information, uniform.
std::vector<int> LayerBudgets(LayerShare share, const LayerDemand& demand,
                              absl::Span<const std::int64_t> information);

}  // namespace pinboard::scheduler
