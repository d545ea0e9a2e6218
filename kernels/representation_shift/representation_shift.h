// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// D: how far a token's hidden state still has to travel to the final layer's.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::kernels {

/// shift[t] = 1 - cos(hidden[t], final_hidden[t]); both [tokens, dim], the residual stream after a
/// layer and after the last layer, before the final norm (docs/method.md section 2, D). A zero
/// vector gives 1. Of several layers, one after another: hidden [layers, tokens, dim] and shift
/// [layers, tokens].
absl::Status RepresentationShift(absl::Span<const float> hidden,
                                 absl::Span<const float> final_hidden, int tokens, int dim,
                                 absl::Span<float> shift);

}  // namespace pinboard::kernels
