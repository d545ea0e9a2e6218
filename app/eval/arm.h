// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One arm of an evaluation: a policy with its options and its budget.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "pinboard/shard.h"

namespace pinboard::app {

struct Arm {
  /// The policy as written, without the options that have a field of their own in the results
  /// (budget, band, recall-pages): "infokv:fusion=max".
  std::string policy;
  SequenceOptions options;  // layers: by name, also where the policy chose them
  /// Budgets this arm is reported under: options.budget alone, or for `full`, which ignores it, all
  /// of the run.
  std::vector<double> budgets;
  bool keeps_all = false;
  bool protects_prompt = false;
  int query_window = 0;  // last queries that the policy looks at
  bool looks_at_all_queries = false;
  bool per_head = false;  // each KV head keeps rows of its own
};

/// What arms must fit besides: the model, and the cache it has.
struct ArmLimits {
  int layers = 1;
  bool layer_tables = false;  // false: one block table serves all layers
  Backend backend = Backend::kCpu;
};

/// `policies`: POLICY[:OPTION=VALUE]..., comma-separated, each run at every budget of `budgets`
/// unless it names its own. Options: window, budget, ratio (a budget as a share of what follows the
/// prompt), cap (rows), of these three at most one, band, recall-pages, recall-when, recall-ahead,
/// layers, scope, and those that the policy reads of fusion, alpha, tau, near-share, align,
/// entropy-unit, seed. What an arm leaves out comes from `defaults`. Without a service
/// (`has_service` false) band and recall_pages are 0 whatever is asked for.
///
/// InvalidArgument, one line: an unknown policy (with the known ones) or an option that it has not,
/// or a value out of its range.
absl::StatusOr<std::vector<Arm>> ParseArms(const std::string& policies, const std::string& budgets,
                                           const SequenceOptions& defaults, bool has_service);

/// InvalidArgument or Unimplemented, naming the arm: what a shard of these limits would refuse of
/// it, such as unequal counts in a table that all layers share.
absl::Status CheckArms(absl::Span<const Arm> arms, const ArmLimits& limits);

}  // namespace pinboard::app
