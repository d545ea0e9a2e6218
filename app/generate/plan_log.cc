// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/generate/plan_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace pinboard::app {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const ScoreSummary& scores) {
  return {{"rows", scores.rows},
          {"lowest", scores.lowest},
          {"mean", scores.mean},
          {"highest", scores.highest}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlanLog>> PlanLog::Open(const std::string& path) {
  std::unique_ptr<PlanLog> log(new PlanLog(path));
  if (!log->file_) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  return log;
}

absl::Status PlanLog::Write(std::size_t sequence, const RoundOutcome& outcome) {
  rounds_.resize(std::max(rounds_.size(), sequence + 1));
  const int round = ++rounds_[sequence];
  for (std::size_t l = 0; l < outcome.plan.size(); ++l) {
    const PlannedLayer& layer = outcome.plan[l];
    file_ << Json{{"sequence", sequence},
                  {"round", round},
                  {"layer", l},
                  {"applied", outcome.applied},
                  {"kept", layer.kept},
                  {"offloaded", layer.offloaded},
                  {"dropped", layer.dropped},
                  {"kept_scores", ToJson(layer.kept_scores)},
                  {"other_scores", ToJson(layer.other_scores)}}
                 .dump()
          << '\n';
  }
  if (outcome.plan.empty()) {
    file_ << Json{{"sequence", sequence},
                  {"round", round},
                  {"kept_all_because", outcome.kept_all_because}}
                 .dump()
          << '\n';
  }
  if (file_.flush()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path_));
}

}  // namespace pinboard::app
