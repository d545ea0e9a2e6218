// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What CudaOperations does to choose the rows of a round.
#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "kernels/influence/influence_cuda.cuh"
#include "kernels/select/select_cuda.cuh"
#include "shard/operations/cuda_operations_impl.cuh"

namespace pinboard {
namespace {

/// Where each layer's rows begin, and the number of all.
template <typename Layers, typename RowsOf>
std::vector<std::int64_t> FirstRows(const Layers& layers, RowsOf rows_of) {
  std::vector<std::int64_t> first = {0};
  for (const auto& layer : layers) first.push_back(first.back() + rows_of(layer));
  return first;
}

absl::Status CheckTotal(const char* operation, std::int64_t rows,
                        std::initializer_list<std::size_t> sizes) {
  const auto fits = [&](std::size_t size) { return size == static_cast<std::size_t>(rows); };
  if (std::all_of(sizes.begin(), sizes.end(), fits)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(operation, ": the layers have ", rows, " rows: give one of each per row"));
}

}  // namespace

absl::Status CudaOperations::Information(const TokensToInform& tokens) {
  const std::size_t count = tokens.entropy.size();
  const auto fits = [&](absl::Span<const float> shift) { return shift.size() == count; };
  if (!absl::c_all_of(tokens.shift, fits) || tokens.out.size() != tokens.shift.size() * count) {
    return absl::InvalidArgumentError(
        absl::StrCat("Information: ", count, " entropies, ", tokens.shift.size(), " layers and ",
                     tokens.out.size(), " results: give a shift and a result per token and layer"));
  }
  kernels::InformationBatch batch{.tau = tokens.tau,
                                  .out = tokens.out.data(),
                                  .faults = fault(kInformationFault),
                                  .tokens = static_cast<std::int64_t>(count),
                                  .layers = static_cast<int>(tokens.shift.size())};
  PB_ASSIGN_OR_RETURN(batch.entropy, staging_.Upload(tokens.entropy));
  PB_ASSIGN_OR_RETURN(const auto shifts, staging_.Reserve<float>(tokens.out.size()));
  batch.shift = shifts.device;
  float* to = shifts.host;
  for (const absl::Span<const float> shift : tokens.shift) to = absl::c_copy(shift, to);
  return Launch([&] { return kernels::LaunchInformation(batch, stream()); });
}

absl::Status CudaOperations::AddInformation(absl::Span<const std::int32_t> information,
                                            absl::Span<const std::int64_t> first,
                                            absl::Span<kernels::InformationTotals> totals) {
  kernels::AddInformationBatch batch{.information = information.data(),
                                     .problems = static_cast<int>(totals.size())};
  for (std::size_t i = 0; i < totals.size(); ++i) {
    batch.longest = std::max(batch.longest, first[i + 1] - first[i]);
  }
  PB_ASSIGN_OR_RETURN(batch.first, staging_.Upload(first));
  PB_ASSIGN_OR_RETURN(batch.totals, staging_.Upload<kernels::InformationTotals>(totals));
  PB_RETURN_IF_ERROR(Launch([&] { return kernels::LaunchAddInformation(batch, stream()); }));
  return Read(AsBytes(absl::MakeConstSpan(batch.totals, totals.size())), AsBytes(totals));
}

absl::StatusOr<const std::int32_t*> CudaOperations::UploadSignal(
    absl::Span<const RowsToFuse> layers, absl::Span<const std::int64_t> first, Signal signal) {
  const auto has_it = [&](const RowsToFuse& layer) { return !(layer.args.*signal).empty(); };
  if (absl::c_none_of(layers, has_it)) return nullptr;
  PB_ASSIGN_OR_RETURN(const auto room, staging_.Reserve<std::int32_t>(first.back()));
  for (std::size_t l = 0; l < layers.size(); ++l) {
    absl::c_copy(layers[l].args.*signal, room.host + first[l]);
  }
  return room.device;
}

absl::StatusOr<const std::int32_t*> CudaOperations::JoinSignal(absl::Span<const RowsToFuse> layers,
                                                               absl::Span<const std::int64_t> first,
                                                               Signal signal) {
  const auto has_it = [&](const RowsToFuse& layer) { return !(layer.args.*signal).empty(); };
  if (absl::c_none_of(layers, has_it)) return nullptr;
  PB_ASSIGN_OR_RETURN(std::byte* const joined,
                      staging_.Scratch(first.back() * sizeof(std::int32_t)));
  for (std::size_t begin = 0, end = 0; begin < layers.size(); begin = end) {
    const std::int32_t* const from = (layers[begin].args.*signal).data();
    // Of layers whose values follow each other as their rows do: mostly all.
    std::int64_t count = 0;
    while (end < layers.size() && first[end] == first[begin] + count &&
           (layers[end].args.*signal).data() == from + count) {
      count += static_cast<std::int64_t>((layers[end++].args.*signal).size());
    }
    if (count == 0) continue;
    PB_RETURN_IF_ERROR(memory_.Copy(joined + first[begin] * sizeof(std::int32_t),
                                    reinterpret_cast<const std::byte*>(from),
                                    count * sizeof(std::int32_t)));
  }
  return reinterpret_cast<const std::int32_t*>(joined);
}

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
  using Args = kernels::FuseArgs;
  PB_ASSIGN_OR_RETURN(batch.attention, JoinSignal(layers, first, &Args::attention));
  PB_ASSIGN_OR_RETURN(batch.redundancy, JoinSignal(layers, first, &Args::redundancy));
  PB_ASSIGN_OR_RETURN(batch.information, UploadSignal(layers, first, &Args::information));
  PB_ASSIGN_OR_RETURN(batch.positions, UploadSignal(layers, first, &Args::positions));
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
