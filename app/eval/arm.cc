// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/eval/arm.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "app/flags/flags.h"
#include "base/status_macros.h"
#include "scheduler/layer_budget.h"
#include "scheduler/policy/policy.h"
#include "scheduler/recall_trigger.h"
#include "scheduler/round_plan.h"

namespace pinboard::app {
namespace {

absl::Status SetReal(const std::string& text, double* target) {
  if (absl::SimpleAtod(text, target)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a number"));
}

template <typename Int>
absl::Status SetInt(const std::string& text, Int* target) {
  if (absl::SimpleAtoi(text, target)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a whole number"));
}

/// Sets whether it is the second of the two.
absl::Status SetSecond(const std::string& text, const std::string& first, const std::string& second,
                       bool* target) {
  *target = text == second;
  if (*target || text == first) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is neither ", first, " nor ", second));
}

struct ArmOption {
  const char* name;
  bool in_label;   // false: the results have a field for it
  bool of_policy;  // only policies that say so read it
  bool is_budget;  // an arm has one of them, or the run's
  absl::Status (*set)(const std::string& value, SequenceOptions* options);
};

using Options = SequenceOptions;
using Text = const std::string&;
constexpr std::array kOptions = {
    ArmOption{"fusion", true, true, false,
              [](Text v, Options* o) {
                o->fusion = v;
                return scheduler::ParseFusion(v).status();
              }},
    ArmOption{"alpha", true, true, false, [](Text v, Options* o) { return SetReal(v, &o->alpha); }},
    ArmOption{"tau", true, true, false, [](Text v, Options* o) { return SetReal(v, &o->tau); }},
    ArmOption{"near-share", true, true, false,
              [](Text v, Options* o) { return SetReal(v, &o->near_share); }},
    ArmOption{"align", true, true, false,
              [](Text v, Options* o) { return SetSecond(v, "predicted-i", "at-i", &o->align_at); }},
    ArmOption{
        "entropy-unit", true, true, false,
        [](Text v, Options* o) { return SetSecond(v, "nats", "log-k", &o->entropy_over_log_k); }},
    ArmOption{"window", true, false, false,
              [](Text v, Options* o) { return SetInt(v, &o->window); }},
    ArmOption{"seed", true, true, false, [](Text v, Options* o) { return SetInt(v, &o->seed); }},
    ArmOption{"ratio", true, false, true,
              [](Text v, Options* o) {
                o->budget_of_generated = true;
                return SetReal(v, &o->budget);
              }},
    ArmOption{"cap", true, false, true, [](Text v, Options* o) { return SetInt(v, &o->cap); }},
    ArmOption{"budget", false, false, true,
              [](Text v, Options* o) { return SetReal(v, &o->budget); }},
    ArmOption{"band", false, false, false, [](Text v, Options* o) { return SetReal(v, &o->band); }},
    ArmOption{"recall-when", true, false, false,
              [](Text v, Options* o) {
                o->recall_when = v;
                return scheduler::ParseRecallTrigger(v).status();
              }},
    ArmOption{"recall-ahead", true, false, false,
              [](Text v, Options* o) { return SetInt(v, &o->recall_ahead); }},
    ArmOption{"recall-pages", false, false, false,
              [](Text v, Options* o) { return SetInt(v, &o->recall_pages); }},
    ArmOption{"layers", true, false, false,
              [](Text v, Options* o) {
                o->layers = v;
                return scheduler::ParseLayerShare(v).status();
              }},
    ArmOption{"scope", true, false, false,
              [](Text v, Options* o) {
                o->scope = v;
                return scheduler::ParseKeepScope(v).status();
              }},
};

absl::Status ApplyOption(const std::string& text, const std::vector<std::string>& reads, Arm* arm,
                         std::string* own_budget) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
  std::vector<std::string> known;
  for (const ArmOption& option : kOptions) {
    if (option.of_policy && std::find(reads.begin(), reads.end(), option.name) == reads.end()) {
      continue;
    }
    known.emplace_back(option.name);
    if (parts.first != option.name) continue;
    if (option.is_budget) {
      if (!own_budget->empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat(*own_budget, " and ", parts.first, ": an arm has one of them"));
      }
      *own_budget = parts.first;
    }
    PB_RETURN_IF_ERROR(option.set(parts.second, &arm->options));
    if (option.in_label) absl::StrAppend(&arm->policy, ":", text);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("'", parts.first, "' is no option of ",
                                                 arm->options.policy, ", which has ",
                                                 absl::StrJoin(known, ", ")));
}

/// The policy and its options. A piece without a '=' belongs to the option before it, whose value
/// has a colon: recall-when=interval:8.
std::vector<std::string> SplitOptions(const std::string& text) {
  std::vector<std::string> pieces;
  for (const absl::string_view piece : absl::StrSplit(text, ':')) {
    if (pieces.size() > 1 && piece.find('=') == absl::string_view::npos) {
      absl::StrAppend(&pieces.back(), ":", piece);
    } else {
      pieces.emplace_back(piece);
    }
  }
  return pieces;
}

/// Asks the scheduler, which owns the names and the ranges.
absl::StatusOr<scheduler::PolicySpec> MakeSpec(const SequenceOptions& options) {
  scheduler::MethodOptions method;
  PB_ASSIGN_OR_RETURN(method.fusion, scheduler::ParseFusion(options.fusion));
  method.alpha = options.alpha;
  method.near_share = options.near_share;
  method.tau = options.tau;
  method.window = options.window;
  return scheduler::MakePolicy(options.policy, method);
}

/// Of an arm whose options are set: how its budget is shared out over layers and heads.
absl::Status SettleLayers(const scheduler::PolicySpec& spec, SequenceOptions* options) {
  scheduler::LayerShare share = spec.layers;
  if (!options->layers.empty()) {
    PB_ASSIGN_OR_RETURN(share, scheduler::ParseLayerShare(options->layers));
  }
  options->layers = scheduler::LayerShareName(share);
  PB_ASSIGN_OR_RETURN(const scheduler::KeepScope scope, scheduler::ParseKeepScope(options->scope));
  PB_RETURN_IF_ERROR(scheduler::CheckScope(spec, scope));
  return scheduler::CheckLayerShare(share, scope, /*layer_tables=*/true);
}

absl::StatusOr<Arm> ParseArm(const std::string& text, const SequenceOptions& defaults,
                             bool has_service, std::string* own_budget) {
  const std::vector<std::string> pieces = SplitOptions(text);
  Arm arm;
  arm.options = defaults;
  arm.options.policy = pieces.front();
  arm.policy = pieces.front();
  PB_ASSIGN_OR_RETURN(scheduler::PolicySpec spec, MakeSpec(arm.options));
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    PB_RETURN_IF_ERROR(ApplyOption(pieces[i], spec.reads, &arm, own_budget));
  }
  PB_ASSIGN_OR_RETURN(spec, MakeSpec(arm.options));
  PB_RETURN_IF_ERROR(scheduler::Validate({.budget = arm.options.budget,
                                          .band = arm.options.band,
                                          .recall_pages = arm.options.recall_pages,
                                          .cap = arm.options.cap}));
  PB_RETURN_IF_ERROR(scheduler::ParseRecallTrigger(arm.options.recall_when).status());
  PB_RETURN_IF_ERROR(SettleLayers(spec, &arm.options));
  arm.options.near_share = spec.near_share;
  arm.keeps_all = spec.keeps_all();
  arm.protects_prompt = spec.protect_prompt;
  arm.query_window = spec.window;
  arm.looks_at_all_queries = spec.queries == AttentionQueries::kAll;
  arm.per_head = spec.per_head;
  if (!has_service || arm.keeps_all) {
    arm.options.band = 0.0;
    arm.options.recall_pages = 0;
  }
  PB_RETURN_IF_ERROR(scheduler::CheckPages(spec, arm.options.band, arm.options.recall_pages));
  return arm;
}

absl::StatusOr<std::vector<double>> ParseBudgets(const std::string& text) {
  std::vector<double> budgets;
  absl::Status status = ParseReals(text, &budgets);
  for (const double budget : budgets) status.Update(scheduler::Validate({.budget = budget}));
  if (status.ok()) return budgets;
  return absl::InvalidArgumentError(absl::StrCat("--budget: ", status.message()));
}

absl::Status CheckArm(const Arm& arm, const ArmLimits& limits) {
  PB_RETURN_IF_ERROR(scheduler::CheckRecallAhead(arm.options.recall_ahead, limits.layers));
  if (arm.per_head && limits.backend != Backend::kCpu) {
    return absl::UnimplementedError(
        absl::StrCat(arm.options.policy, " works on the CPU backend alone: use --backend cpu"));
  }
  if (limits.layer_tables || arm.keeps_all || arm.options.layers == "uniform") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(arm.options.layers,
                   " budgets keep unequal counts, which a block table that all layers share "
                   "cannot hold: add --tables layer, or layers=uniform"));
}

absl::Status InPolicy(const std::string& policy, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("--policy ", policy, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::vector<Arm>> ParseArms(const std::string& policies, const std::string& budgets,
                                           const SequenceOptions& defaults, bool has_service) {
  PB_ASSIGN_OR_RETURN(const std::vector<double> shares, ParseBudgets(budgets));
  std::vector<Arm> arms;
  const std::vector<std::string> texts = absl::StrSplit(policies, ',');
  for (const std::string& text : texts) {
    std::string own_budget;
    auto parsed = ParseArm(text, defaults, has_service, &own_budget);
    if (!parsed.ok()) return InPolicy(text, parsed.status());
    if (parsed->keeps_all) {
      parsed->options.budget = 1.0;
      parsed->budgets = shares;
      arms.push_back(*std::move(parsed));
      continue;
    }
    const std::vector<double> own = {parsed->options.budget};
    for (const double share : own_budget.empty() ? shares : own) {
      Arm arm = *parsed;
      arm.options.budget = share;
      arm.budgets = {share};
      arms.push_back(std::move(arm));
    }
  }
  return arms;
}

absl::Status CheckArms(absl::Span<const Arm> arms, const ArmLimits& limits) {
  for (const Arm& arm : arms) PB_RETURN_IF_ERROR(InPolicy(arm.policy, CheckArm(arm, limits)));
  return absl::OkStatus();
}

}  // namespace pinboard::app
