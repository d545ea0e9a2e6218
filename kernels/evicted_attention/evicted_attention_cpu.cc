// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/evicted_attention/evicted_attention.h"
#include "kernels/key_values.h"
#include "kernels/portable_math.h"

namespace pinboard::kernels {
namespace {

constexpr char kName[] = "EvictedAttention";

absl::Status CheckArgs(const EvictedAttentionArgs& args) {
  const KvShape& shape = args.layer.shape;
  PB_RETURN_IF_ERROR(CheckKeys(kName, args.layer, args.rows));
  if (args.rows < 1 || args.ring_rows < 0 || args.ring_rows > args.rows) {
    return absl::InvalidArgumentError(absl::StrCat(kName, ": ", args.rows, " attended rows, ",
                                                   args.ring_rows, " of them in the ring"));
  }
  if (args.query_heads <= 0 || args.query_heads % shape.kv_heads != 0 ||
      args.query.size() != static_cast<std::size_t>(args.query_heads) * shape.key_dim) {
    return absl::InvalidArgumentError(
        absl::StrCat(kName, ": ", args.query.size(), " query values for ", args.query_heads,
                     " heads of ", shape.key_dim, " over ", shape.kv_heads, " KV heads"));
  }
  const std::size_t heads = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t slots = args.digests.step.size() / heads;
  if (args.digests.centres.size() != slots * heads * kDigestCentres * shape.key_dim ||
      args.digests.counts.size() != slots * heads * kDigestCentres) {
    return absl::InvalidArgumentError(absl::StrCat(kName, ": the digests are not whole pages"));
  }
  for (const std::int32_t page : args.evicted) {
    if (page >= 0 && static_cast<std::size_t>(page) < slots) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(kName, ": page ", page, " of ", slots, " digests"));
  }
  return absl::OkStatus();
}

template <DType dtype>
double KeyProduct(const EvictedAttentionArgs& args, const float* query, std::int64_t row,
                  int kv_head) {
  const PagedLayer& layer = args.layer;
  const std::byte* key =
      RowAddress(layer.cache.key, layer.block_table.data(), layer.block_size, row, kv_head);
  const HeadFormat format = FormatOf(layer.shape, layer.cache.key, kv_head);
  double product = 0.0;
  for (int d = 0; d < layer.shape.key_dim; ++d) {
    product += query[d] * double{ReadValue<dtype>(key, d, format)};
  }
  return args.attention_scale * product;
}

/// Of centre `centre` of all slots' KV heads.
double CentreProduct(const EvictedAttentionArgs& args, const float* query, std::size_t centre) {
  const int dim = args.layer.shape.key_dim;
  const std::int8_t* steps = args.digests.centres.data() + centre * dim;
  double product = 0.0;
  for (int d = 0; d < dim; ++d) product += query[d] * double{static_cast<float>(steps[d])};
  return args.attention_scale * product * args.digests.step[centre / kDigestCentres];
}

/// Logits of one head: of the attended rows, and of the evicted pages' centres that stand for any.
struct HeadLogits {
  std::vector<double> rows;
  std::vector<double> centres;
  std::vector<double> counts;  // rows that each centre stands for
};

HeadLogits LogitsOf(const EvictedAttentionArgs& args, int head) {
  const KvShape& shape = args.layer.shape;
  const int kv_head = head * shape.kv_heads / args.query_heads;
  const float* query = args.query.data() + std::size_t{1} * head * shape.key_dim;
  HeadLogits logits;
  for (std::int64_t row = 0; row < args.rows; ++row) {
    logits.rows.push_back(WithDType(
        shape.dtype, [&](auto dtype) { return KeyProduct<dtype>(args, query, row, kv_head); }));
  }
  for (const std::int32_t page : args.evicted) {
    for (int c = 0; c < kDigestCentres; ++c) {
      const std::size_t centre =
          (std::size_t{1} * page * shape.kv_heads + kv_head) * kDigestCentres + c;
      if (args.digests.counts[centre] == 0) continue;
      logits.centres.push_back(CentreProduct(args, query, centre));
      logits.counts.push_back(args.digests.counts[centre]);
    }
  }
  return logits;
}

/// Marks the ring's attended rows; M / (R + M).
double ShareOf(HeadLogits logits, std::vector<bool>* attended) {
  double most = logits.rows.front();
  for (const double logit : logits.rows) most = std::max(most, logit);
  for (const double logit : logits.centres) most = std::max(most, logit);
  double rows = 0.0;
  for (double& logit : logits.rows) rows += logit = Exp(logit - most);
  double evicted = 0.0;
  for (std::size_t c = 0; c < logits.centres.size(); ++c) {
    evicted += logits.counts[c] * Exp(logits.centres[c] - most);
  }
  for (std::size_t row = 0; row < attended->size(); ++row) {
    if (logits.rows[row] >= kAttendedShare * rows) (*attended)[row] = true;
  }
  return evicted / (rows + evicted);
}

}  // namespace

absl::StatusOr<EvictedAttentionResult> EvictedAttention(const EvictedAttentionArgs& args) {
  PB_RETURN_IF_ERROR(CheckArgs(args));
  std::vector<bool> attended(static_cast<std::size_t>(args.ring_rows), false);
  EvictedAttentionResult result;
  for (int head = 0; head < args.query_heads; ++head) {
    HeadLogits logits = LogitsOf(args, head);
    const auto finite = [](const std::vector<double>& values) {
      return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
    };
    if (!finite(logits.rows) || !finite(logits.centres)) {
      return absl::InvalidArgumentError(
          absl::StrCat(kName, ": a query, a key or a digest is not finite"));
    }
    result.evicted_share += ShareOf(std::move(logits), &attended) / args.query_heads;
  }
  result.attended_ring_rows = std::count(attended.begin(), attended.end(), true);
  return result;
}

}  // namespace pinboard::kernels
