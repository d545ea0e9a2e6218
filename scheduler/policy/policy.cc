// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policy.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {
namespace {

struct Entry {
  const char* name;
  PolicySpec (*make)(const MethodOptions&);
};

constexpr std::array kPolicies = {
    Entry{"full", Full},
    Entry{"random", Random},
    Entry{"recency", Recency},
    Entry{"random-prompt", RandomPrompt},
    Entry{"recency-prompt", RecencyPrompt},
    Entry{"snapkv", SnapKv},
    Entry{"snapkv-heads", SnapKvHeads},
    Entry{"pyramidkv", PyramidKv},
    Entry{"h2o", H2o},
    Entry{"tova", Tova},
    Entry{"rpc", Rpc},
    Entry{"rkv", Rkv},
    Entry{"expected-attention", ExpectedAttention},
    Entry{"entropy-only", EntropyOnly},
    Entry{"shift-only", ShiftOnly},
    Entry{"infokv", InfoKv},
    Entry{"pinboard", Pinboard},
};

template <typename Number>
absl::Status CheckRange(const char* option, Number value, Number low, Number high) {
  if (value >= low && value <= high) return absl::OkStatus();  // false for NaN
  return absl::InvalidArgumentError(
      absl::StrCat(option, " is ", value, ": it must lie in [", low, ", ", high, "]"));
}

absl::Status Validate(const MethodOptions& method) {
  if (method.fusion != ScoreRule::kPublished && method.fusion != ScoreRule::kMaxNormalised) {
    return absl::InvalidArgumentError("fusion must be published or max");
  }
  PB_RETURN_IF_ERROR(CheckRange("alpha", method.alpha, 0.0, 1.0));
  PB_RETURN_IF_ERROR(CheckRange("tau", method.tau, 0.0, 8.0));
  PB_RETURN_IF_ERROR(CheckRange("near_share", method.near_share, 0.0, 1.0));
  PB_RETURN_IF_ERROR(CheckRange("top_k", method.top_k, 2, 512));
  PB_RETURN_IF_ERROR(CheckRange("window", method.window, 1, 1024));
  return CheckRange("sinks", method.sinks, 0, 1024);
}

}  // namespace

absl::StatusOr<PolicySpec> MakePolicy(absl::string_view name, const MethodOptions& method) {
  PB_RETURN_IF_ERROR(Validate(method));
  for (const Entry& entry : kPolicies) {
    if (name != entry.name) continue;
    PolicySpec spec = entry.make(method);
    spec.name = entry.name;
    if (spec.window == 0) spec.window = method.window;
    spec.method = method;
    return spec;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown policy '", name, "': known are ", absl::StrJoin(PolicyNames(), ", ")));
}

absl::StatusOr<ScoreRule> ParseFusion(absl::string_view name) {
  if (name == "published") return ScoreRule::kPublished;
  if (name == "max") return ScoreRule::kMaxNormalised;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown fusion '", name, "': use published or max"));
}

absl::Status CheckPages(const PolicySpec& policy, double band, int recall_pages) {
  if (!policy.per_head || (band == 0.0 && recall_pages == 0)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(policy.name,
                   " keeps other rows in each KV head, and a page holds rows of all: "
                   "set band and recall-pages to 0"));
}

absl::Status CheckScope(const PolicySpec& policy, KeepScope scope) {
  if (!policy.per_head || scope == KeepScope::kLayer) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(policy.name,
                   " keeps other rows in each KV head, and scope global one set for all layers: "
                   "use scope=layer"));
}

std::vector<std::string> PolicyNames() {
  std::vector<std::string> names;
  names.reserve(kPolicies.size());
  for (const Entry& entry : kPolicies) names.emplace_back(entry.name);
  return names;
}

}  // namespace pinboard::scheduler
