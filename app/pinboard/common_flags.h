// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Options of more than one subcommand.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "app/eval/arm.h"
#include "app/flags/flags.h"
#include "app/launch/rank_group.h"
#include "app/session/rank_session.h"
#include "cache_service/access/key_ring.h"
#include "engine/model_config.h"
#include "pinboard/shard.h"

namespace pinboard::app {

struct CommonFlags {
  std::string model;           // directory
  std::string random_weights;  // config.json or its directory; empty: weights are read
  int tp = 1;
  std::string backend = "cpu";
  std::string service = "auto";
  std::string service_arena = "512MiB";
  std::string service_key;
  int block_size = 16;
  std::string tables = "shared";
  int sketch_dim = 0;
  std::string metrics;
  bool help = false;
};

void AddModelFlags(FlagTable* flags, CommonFlags* common);
/// --fusion, --alpha, --tau, --window, --band, --recall-pages, --recall-when, --recall-ahead,
/// --layers, --scope.
void AddMethodFlags(FlagTable* flags, SequenceOptions* options);
void AddRunFlags(FlagTable* flags, CommonFlags* common);

/// Once the flags are parsed: `model` is the directory of what --random-weights names, where it is
/// given. InvalidArgument: --model is given too.
absl::Status ResolveModel(CommonFlags* common);

/// Of the tokenizer; empty: random weights have none.
inline std::string TokenizerDir(const CommonFlags& common) {
  return common.random_weights.empty() ? common.model : "";
}

/// The addresses in "HOST:PORT,HOST:PORT". InvalidArgument, which names --service: one is none.
absl::StatusOr<std::vector<std::string>> ParseServices(const std::string& text);

/// Of --service-key; nothing where it is not given. LoadCredentials' error, which names the flag.
absl::StatusOr<std::optional<cache_service::Credentials>> ReadServiceKey(const std::string& file);

/// InvalidArgument, NotFound, Unimplemented: one line on the first thing that cannot work, the
/// model's configuration included.
absl::Status CheckCommon(const CommonFlags& common);

/// What the arms of a run must fit. Errors: CheckModel's.
absl::StatusOr<ArmLimits> ToArmLimits(const CommonFlags& common);

GroupOptions ToGroupOptions(const CommonFlags& common);
SessionOptions ToSessionOptions(const CommonFlags& common);

/// Writes one line, "pinboard: ...", and returns the exit code of a usage error.
int UsageError(const absl::Status& status);

/// The same after a run-time failure.
int RunError(const absl::Status& status);
/// Of a program that was told to end by Ctrl-C.
inline constexpr int kInterrupted = 130;

}  // namespace pinboard::app
