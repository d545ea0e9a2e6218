// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Measures arms on contexts, in one of two ways.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "app/eval/arm.h"
#include "app/eval/arm_result.h"
#include "app/suite/suite.h"

namespace pinboard::app {

/// SPMD: every rank measures, and every rank's results are the same but for their times. One
/// thread.
class Evaluation {
 public:
  /// Told of each arm that was measured in the present contexts.
  using Progress = std::function<void(const Arm& arm, const ArmResult& so_far)>;

  virtual ~Evaluation() = default;

  /// Contexts that run side by side, for speed alone: a step of many tokens reads the weights once.
  static constexpr int kContextsTogether = 8;

  /// [collective] Adds contexts, at most kContextsTogether of them, to the results. An error
  /// leaves the session unusable.
  virtual absl::Status Measure(absl::Span<const SuiteItem> items) = 0;

  const std::vector<Arm>& arms() const { return arms_; }
  const std::vector<ArmResult>& results() const { return results_; }  // parallel to arms()
  /// Prefills and the full cache's continuations, which all arms share.
  double prefill_seconds() const { return prefill_seconds_; }

 protected:
  Evaluation(std::vector<Arm> arms, Progress progress)
      : arms_(std::move(arms)), progress_(std::move(progress)), results_(arms_.size()) {}

  const std::vector<Arm> arms_;
  const Progress progress_;
  std::vector<ArmResult> results_;
  double prefill_seconds_ = 0.0;
};

}  // namespace pinboard::app
