// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels::under_test {

absl::Status Select(const SelectArgs& args, absl::Span<RowClass> classes) {
  return kernels::Select(args, classes);
}

absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                        int vocab_begin, int k, absl::Span<float> values,
                        absl::Span<std::int32_t> ids) {
  return kernels::TopKLogits(logits, tokens, vocab_local, vocab_begin, k, values, ids);
}

absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                           EntropyUnit unit, absl::Span<float> entropy) {
  return kernels::MergedEntropy(values, parts, tokens, k, unit, entropy);
}

}  // namespace pinboard::kernels::under_test
