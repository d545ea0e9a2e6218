// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A policy is data: which signals to take and how to rank by them. One file per policy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/score_rule.h"
#include "scheduler/layer_budget.h"

namespace pinboard::scheduler {

/// The named options of the method (docs/method.md section 2), with its defaults.
struct MethodOptions {
  ScoreRule fusion =
      ScoreRule::kPublished;  // of infokv and of pinboard's keep-set: kPublished or kMaxNormalised
  double alpha = 0.9;         // [0, 1]
  double tau = 1.0;           // [0, 8]
  int top_k = 256;            // of H, [2, 512]
  int window = 64;            // W, [1, 1024]: queries looked at, and most recent rows protected
  int sinks = 4;              // first rows protected
  bool align_at = false;      // H of the token's own output instead of the one that predicts it
  bool entropy_over_log_k = false;
  /// Of what the first round of pinboard offloads, [0, 1]: the share ranked like what is kept, for
  /// the near future; the rest, and all of later rounds, is ranked by information, for the far one
  /// (docs/adr/0005).
  double near_share = 0.9;
  std::uint64_t seed = 0;  // of random
};

struct PolicySpec {
  std::string name;
  AttentionQueries queries = AttentionQueries::kNone;
  int window = 0;  // queries of the attention signal, unless kAll; 0: the method's window
  int pool = 1;    // average-pooling kernel of the attention signal
  InformationSignal information = InformationSignal::kProduct;
  ScoreRule keep = ScoreRule::kKeepAll;
  double alpha = 0.0;       // of both rules: the weight of attention against the other signal
  double near_share = 0.0;  // of the rows the first round offloads: those next best by `keep`
  ScoreRule band = ScoreRule::kKeepAll;  // ranks the rest of them, and a full band's pages
  bool protect_prompt = false;
  bool per_head = false;                     // each KV head keeps rows of its own
  LayerShare layers = LayerShare::kUniform;  // unless the sequence's options say otherwise
  /// The names of the method's options that it reads, besides window and sinks, which all read.
  std::vector<std::string> reads = {};
  MethodOptions method;

  bool keeps_all() const { return keep == ScoreRule::kKeepAll; }
};

/// By name: policies.h has them all.
/// InvalidArgument: an unknown name (the message lists the known ones) or an option out of range.
absl::StatusOr<PolicySpec> MakePolicy(absl::string_view name, const MethodOptions& method);

/// MethodOptions::fusion: published | max. InvalidArgument: another name, with the known ones.
absl::StatusOr<ScoreRule> ParseFusion(absl::string_view name);

/// InvalidArgument where the policy keeps rows for which there can be no pages, and there are to
/// be.
absl::Status CheckPages(const PolicySpec& policy, double band, int recall_pages);

/// InvalidArgument where one set of rows is asked for, and the heads keep rows of their own.
absl::Status CheckScope(const PolicySpec& policy, KeepScope scope);

std::vector<std::string> PolicyNames();

}  // namespace pinboard::scheduler
