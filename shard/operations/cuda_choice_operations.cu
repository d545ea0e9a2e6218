// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What CudaOperations does to choose the rows of a round.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernels/influence/influence_cuda.cuh"
#include "kernels/select/select_cuda.cuh"
#include "shard/operations/cuda_operations_impl.cuh"

namespace pinboard {
namespace {

using Signal = absl::Span<const std::int32_t> kernels::FuseArgs::*;

/// Where each layer's rows begin, and the number of all.
template <typename Layers, typename RowsOf>
std::vector<std::int64_t> FirstRows(const Layers& layers, RowsOf rows_of) {
  std::vector<std::int64_t> first = {0};
  for (const auto& layer : layers) first.push_back(first.back() + rows_of(layer));
  return first;
}

/// One signal of all layers, each at its first row; null where no layer has it.
absl::StatusOr<const std::int32_t*> UploadSignal(absl::Span<const RowsToFuse> layers,
                                                 absl::Span<const std::int64_t> first,
                                                 Signal signal, cuda::Staging* staging) {
  const auto has_it = [&](const RowsToFuse& layer) { return !(layer.args.*signal).empty(); };
  if (std::none_of(layers.begin(), layers.end(), has_it)) return nullptr;
  PB_ASSIGN_OR_RETURN(const auto room, staging->Reserve<std::int32_t>(first.back()));
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const absl::Span<const std::int32_t> values = layers[l].args.*signal;
    std::copy(values.begin(), values.end(), room.host + first[l]);
  }
  return room.device;
}

absl::Status CheckTotal(const char* operation, std::int64_t rows,
                        std::initializer_list<std::size_t> sizes) {
  const auto fits = [&](std::size_t size) { return size == static_cast<std::size_t>(rows); };
  if (std::all_of(sizes.begin(), sizes.end(), fits)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(operation, ": the layers have ", rows, " rows: give one of each per row"));
}

}  // namespace

absl::Status CudaOperations::Fuse(absl::Span<const RowsToFuse> layers,
                                  absl::Span<std::int64_t> keep_score,
                                  absl::Span<std::int64_t> band_score) {
  const auto rows_of = [](const RowsToFuse& layer) { return layer.args.information.size(); };
  const std::vector<std::int64_t> first = FirstRows(layers, rows_of);
  PB_RETURN_IF_ERROR(CheckTotal("Fuse", first.back(), {keep_score.size(), band_score.size()}));
  std::vector<std::int32_t> layer_of;
  std::vector<kernels::InformationTotals> totals;
  kernels::FuseBatch batch;
  for (const RowsToFuse& layer : layers) {
    layer_of.push_back(layer.args.layer);
    totals.push_back(layer.args.totals);
    batch.longest = std::max<std::int64_t>(batch.longest, rows_of(layer));
  }
  const auto upload = [&](Signal signal) { return UploadSignal(layers, first, signal, &staging_); };
  PB_ASSIGN_OR_RETURN(batch.attention, upload(&kernels::FuseArgs::attention));
  PB_ASSIGN_OR_RETURN(batch.redundancy, upload(&kernels::FuseArgs::redundancy));
  PB_ASSIGN_OR_RETURN(batch.information, upload(&kernels::FuseArgs::information));
  PB_ASSIGN_OR_RETURN(batch.positions, upload(&kernels::FuseArgs::positions));
  PB_ASSIGN_OR_RETURN(batch.layers, staging_.Upload(absl::MakeConstSpan(layer_of)));
  PB_ASSIGN_OR_RETURN(batch.totals, staging_.Upload(absl::MakeConstSpan(totals)));
  PB_ASSIGN_OR_RETURN(batch.first_row, staging_.Upload(absl::MakeConstSpan(first)));
  PB_ASSIGN_OR_RETURN(std::byte* const maxima,
                      staging_.Scratch(layers.size() * sizeof(std::int32_t)));
  batch.max_attention = reinterpret_cast<std::int32_t*>(maxima);
  PB_RETURN_IF_ERROR(staging_.Flush());
  batch.score = keep_score.data();
  PB_RETURN_IF_ERROR(
      FuseBy([](const RowsToFuse& layer) { return layer.args.rule; }, layers, batch));
  batch.score = band_score.data();
  return FuseBy([](const RowsToFuse& layer) { return layer.band; }, layers, batch);
}

absl::Status CudaOperations::FuseBy(ScoreRule (*rule_of)(const RowsToFuse&),
                                    absl::Span<const RowsToFuse> layers,
                                    const kernels::FuseBatch& all) {
  for (std::size_t begin = 0, end = 0; begin < layers.size(); begin = end) {
    const kernels::FuseArgs& args = layers[begin].args;
    const auto differs = [&](const RowsToFuse& layer) {
      return rule_of(layer) != rule_of(layers[begin]) || layer.args.alpha != args.alpha ||
             layer.args.seed != args.seed;
    };
    end = std::find_if(layers.begin() + begin, layers.end(), differs) - layers.begin();
    for (std::size_t l = begin; l < end; ++l) {
      kernels::FuseArgs checked = layers[l].args;
      checked.rule = rule_of(layers[l]);
      PB_RETURN_IF_ERROR(kernels::CheckFuse(checked, checked.information.size()));
    }
    kernels::FuseBatch batch = all;
    batch.rule = rule_of(layers[begin]);
    batch.alpha = args.alpha;
    batch.seed = args.seed;
    batch.layers += begin;
    batch.totals += begin;
    batch.first_row += begin;
    batch.max_attention += begin;
    batch.problems = static_cast<int>(end - begin);
    PB_RETURN_IF_ERROR(kernels::LaunchFuse(batch, stream()));
  }
  return absl::OkStatus();
}

absl::Status CudaOperations::Select(absl::Span<const RowsToSelect> layers,
                                    absl::Span<const std::int64_t> keep_score,
                                    absl::Span<const std::int64_t> band_score,
                                    absl::Span<const std::uint8_t> is_protected,
                                    absl::Span<kernels::RowClass> classes) {
  const std::vector<std::int64_t> first =
      FirstRows(layers, [](const RowsToSelect& layer) { return layer.rows; });
  PB_RETURN_IF_ERROR(
      CheckTotal("Select", first.back(),
                 {keep_score.size(), band_score.size(), is_protected.size(), classes.size()}));
  std::vector<kernels::SelectCounts> counts;
  kernels::SelectBatch batch{.keep_score = keep_score.data(),
                             .band_score = band_score.data(),
                             .problems = static_cast<int>(layers.size()),
                             .total_rows = first.back(),
                             .has_far = false};
  for (const RowsToSelect& layer : layers) {
    if (std::min({layer.rows, layer.keep, layer.near, layer.far}) < 0) {
      return absl::InvalidArgumentError("Select: a count is negative");
    }
    counts.push_back({layer.keep, layer.near, layer.far});
    batch.longest = std::max<std::int64_t>(batch.longest, layer.rows);
    batch.has_far |= layer.far > 0;
  }
  PB_ASSIGN_OR_RETURN(batch.is_protected, staging_.Upload(is_protected));
  PB_ASSIGN_OR_RETURN(batch.first_row, staging_.Upload(absl::MakeConstSpan(first)));
  PB_ASSIGN_OR_RETURN(batch.counts, staging_.Upload(absl::MakeConstSpan(counts)));
  PB_ASSIGN_OR_RETURN(batch.classes, staging_.Result(classes));
  PB_ASSIGN_OR_RETURN(std::byte* const workspace, staging_.Scratch(kernels::SelectWorkspaceBytes(
                                                      batch.problems, batch.total_rows)));
  return Launch([&] { return kernels::LaunchSelect(batch, workspace, stream()); });
}

}  // namespace pinboard
