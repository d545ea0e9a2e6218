// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What an evaluation has to tell.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/eval/arm.h"
#include "app/eval/arm_result.h"

namespace pinboard::app {

struct EvalResults {
  std::string model;  // as given
  std::string suite;
  int tp = 1;
  int block_size = 16;
  std::string tables = "shared";  // or layer: a block table for each
  int round_every = 0;            // tokens; 0: one compression, after the context
  bool has_service = false;
  std::int64_t row_bytes = 0;  // of one token, all layers and ranks
  double prefill_seconds = 0.0;
  std::vector<Arm> arms;
  std::vector<ArmResult> results;  // parallel to arms
};

}  // namespace pinboard::app
