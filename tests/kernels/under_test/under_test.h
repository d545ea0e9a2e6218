// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The operations as their tests call them: each is the CPU's or the device's implementation behind
// the CPU's contract, whichever the test is linked with. So one test source checks both. What the
// device alone adds (batches of many problems, other element types) its adapters put in.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/entropy/entropy.h"
#include "kernels/select/select.h"

namespace pinboard::kernels::under_test {

absl::Status Select(const SelectArgs& args, absl::Span<RowClass> classes);

absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                        int vocab_begin, int k, absl::Span<float> values,
                        absl::Span<std::int32_t> ids);
absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                           EntropyUnit unit, absl::Span<float> entropy);

}  // namespace pinboard::kernels::under_test
