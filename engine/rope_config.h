// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How rotary frequencies are stretched beyond the context a model was trained with.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/config_fields.h"

namespace pinboard::engine {

enum class RopeType : std::uint8_t { kDefault, kLinear, kLlama3, kYarn };

/// The field names of config.json, which transformers and the models' own code share.
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000.0;                       // base of the frequencies
  double factor = 1.0;                          // how many times longer the context became
  double original_max_position_embeddings = 0;  // tokens; kLlama3, kYarn
  double low_freq_factor = 1.0;                 // kLlama3: turns within the original context
  double high_freq_factor = 4.0;                // likewise
  double beta_fast = 32.0;                      // kYarn: turns within the original context
  double beta_slow = 1.0;                       // likewise
  bool truncate = true;                         // kYarn: the ramp's ends are whole pairs
  double mscale = 0.0;                          // kYarn; 0: not given
  double mscale_all_dim = 0.0;                  // likewise
  double attention_factor = 0.0;                // kYarn; 0: follows from the others

  /// Factor of every cosine and sine. 1 but for YaRN, whose paper (arXiv 2309.00071) multiplies
  /// queries and keys by m(1) = 0.1 ln(factor) + 1; DeepSeek takes m(mscale) / m(mscale_all_dim)
  /// where both are given, with m(x) = 0.1 x ln(factor) + 1.
  double RotationScale() const;

  /// Factor of MLA's attention logits: m(mscale_all_dim)^2 where that is given. It concerns all
  /// dimensions of a key, the ones that are not rotated, too.
  double LatentLogitsScale() const;
};

/// Reads "rope_scaling", or where that is absent or empty "rope_parameters" (transformers 5), and
/// "rope_theta" from there or from the top. `max_position_embeddings` stands in for an original
/// length that is not given. InvalidArgument: a value is missing or makes no sense. Unimplemented:
/// another type, parameters that differ between layers, or heads rotated in part.
absl::StatusOr<RopeConfig> ReadRopeConfig(const ConfigFields& fields, int max_position_embeddings);

}  // namespace pinboard::engine
