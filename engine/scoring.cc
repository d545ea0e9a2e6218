// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/scoring.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

/// One rank's part of a token's softmax: sum over its vocabulary of exp(logit - highest).
struct PartialSum {
  double highest = kMinusInfinity;
  double sum = 0;
};

PartialSum SumRow(absl::Span<const float> row) {
  PartialSum part;
  part.highest = *std::max_element(row.begin(), row.end());
  for (const float logit : row) part.sum += std::exp(logit - part.highest);
  return part;
}

/// ln of the whole sum; parts in rank order.
template <typename Part>
double LogSum(absl::Span<const Part> parts, PartialSum Part::*member) {
  double highest = kMinusInfinity;
  for (const Part& part : parts) highest = std::max(highest, (part.*member).highest);
  double sum = 0;
  for (const Part& part : parts) {
    sum += (part.*member).sum * std::exp((part.*member).highest - highest);
  }
  return highest + std::log(sum);
}

struct NllPart {
  PartialSum sum;
  double target = kMinusInfinity;  // logit, on the rank that holds the target
};

struct KlPart {
  PartialSum full;
  PartialSum other;
  double difference = 0;  // sum of exp(full - highest) * (full - other)
};

KlPart MakeKlPart(absl::Span<const float> full, absl::Span<const float> other) {
  KlPart part{SumRow(full), SumRow(other), 0};
  for (std::size_t i = 0; i < full.size(); ++i) {
    const double gap = static_cast<double>(full[i]) - other[i];
    part.difference += std::exp(full[i] - part.full.highest) * gap;
  }
  return part;
}

double MergeKl(absl::Span<const KlPart> parts) {
  const double log_full = LogSum(parts, &KlPart::full);
  const double log_other = LogSum(parts, &KlPart::other);
  double mean_gap = 0;
  for (const KlPart& part : parts) {
    mean_gap += part.difference * std::exp(part.full.highest - log_full);
  }
  return mean_gap - log_full + log_other;
}

/// gathered [ranks, tokens] on every rank.
template <typename Part>
absl::StatusOr<std::vector<Part>> Gather(const VocabularyShard& shard,
                                         const std::vector<Part>& local) {
  if (shard.communicator == nullptr) return local;
  std::vector<Part> gathered(local.size() * shard.communicator->size());
  PB_RETURN_IF_ERROR(shard.communicator->AllGather(
      {reinterpret_cast<const std::byte*>(local.data()), local.size() * sizeof(Part)},
      {reinterpret_cast<std::byte*>(gathered.data()), gathered.size() * sizeof(Part)},
      shard.deadline));
  return gathered;
}

/// The parts of one token, in rank order.
template <typename Part>
std::vector<Part> OfToken(const std::vector<Part>& gathered, std::size_t tokens,
                          std::size_t token) {
  std::vector<Part> parts;
  for (std::size_t i = token; i < gathered.size(); i += tokens) parts.push_back(gathered[i]);
  return parts;
}

}  // namespace

absl::StatusOr<std::vector<double>> TokenNll(const VocabularyShard& shard,
                                             absl::Span<const float> logits,
                                             absl::Span<const std::int32_t> targets) {
  if (shard.local <= 0 || logits.size() != targets.size() * shard.local) {
    return absl::InvalidArgumentError("logits and targets have different numbers of tokens");
  }
  std::vector<NllPart> local(targets.size());
  for (std::size_t token = 0; token < targets.size(); ++token) {
    const auto row = logits.subspan(token * shard.local, shard.local);
    const std::int32_t column = targets[token] - shard.begin;
    local[token].sum = SumRow(row);
    if (column >= 0 && column < shard.local) local[token].target = row[column];
  }
  PB_ASSIGN_OR_RETURN(const std::vector<NllPart> gathered, Gather(shard, local));
  std::vector<double> nll(targets.size());
  for (std::size_t token = 0; token < nll.size(); ++token) {
    const std::vector<NllPart> parts = OfToken(gathered, nll.size(), token);
    double target = kMinusInfinity;
    for (const NllPart& part : parts) target = std::max(target, part.target);
    if (target == kMinusInfinity) {
      return absl::InvalidArgumentError(
          absl::StrCat("token id ", targets[token], " is outside the vocabulary"));
    }
    nll[token] = LogSum<NllPart>(parts, &NllPart::sum) - target;
  }
  return nll;
}

absl::StatusOr<std::vector<double>> TokenKl(const VocabularyShard& shard,
                                            absl::Span<const float> full,
                                            absl::Span<const float> other) {
  if (shard.local <= 0 || full.size() != other.size() || full.size() % shard.local != 0) {
    return absl::InvalidArgumentError("the two have different numbers of tokens");
  }
  std::vector<KlPart> local(full.size() / shard.local);
  for (std::size_t token = 0; token < local.size(); ++token) {
    local[token] = MakeKlPart(full.subspan(token * shard.local, shard.local),
                              other.subspan(token * shard.local, shard.local));
  }
  PB_ASSIGN_OR_RETURN(const std::vector<KlPart> gathered, Gather(shard, local));
  std::vector<double> kl(local.size());
  for (std::size_t token = 0; token < kl.size(); ++token) {
    kl[token] = MergeKl(OfToken(gathered, kl.size(), token));
  }
  return kl;
}

}  // namespace pinboard::engine
