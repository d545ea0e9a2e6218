// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What of a model decides how large its KV cache is.
#pragma once

namespace pinboard::app {

/// The same in every layer. MHA, GQA and MQA cache a key and a value of `head_dim` for each KV
/// head; MLA caches one latent of `latent_dim` values with a rotary part of `rotary_dim`.
struct AttentionShape {
  int layers = 0;
  int heads = 0;  // query heads
  int kv_heads = 0;
  int head_dim = 0;    // MLA: 0
  int latent_dim = 0;  // 0: not MLA
  int rotary_dim = 0;  // MLA only

  constexpr bool is_mla() const { return latent_dim > 0; }
  friend bool operator==(const AttentionShape&, const AttentionShape&) = default;
};

}  // namespace pinboard::app
