// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The oracle: the same models written down plainly, in double, token by token, without a cache,
// tensor parallelism or absorption. K and V of MLA are expanded as the paper defines them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/plain_moe.h"
#include "tests/engine/plain_rope.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::engine::testing {

using Vector = std::vector<double>;

inline Vector Product(const TinyTensor& weight, const Vector& x) {
  Vector y(weight.shape[0], 0.0);
  for (std::size_t i = 0; i < y.size(); ++i) {
    for (std::size_t j = 0; j < x.size(); ++j) y[i] += weight.row(i)[j] * x[j];
  }
  return y;
}

inline Vector NormOf(const TinyTensor& weight, const Vector& x, double eps) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  Vector y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    y[i] = x[i] / std::sqrt(squares / x.size() + eps) * weight.values[i];
  }
  return y;
}

inline Vector Slice(const Vector& x, int begin, int count) {
  return Vector(x.begin() + begin, x.begin() + begin + count);
}

inline double Dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// As transformers: interleaved pairs leave as halves.
inline Vector Rotated(const Vector& x, int position, const RopeConfig& rope, bool interleaved) {
  const int pairs = static_cast<int>(x.size()) / 2;
  const double scale = PlainRotationScale(rope);
  Vector y(x.size());
  for (int i = 0; i < pairs; ++i) {
    const double angle = position * PlainFrequency(rope, i, pairs);
    const double first = interleaved ? x[2 * i] : x[i];
    const double second = interleaved ? x[2 * i + 1] : x[i + pairs];
    y[i] = scale * (first * std::cos(angle) - second * std::sin(angle));
    y[i + pairs] = scale * (second * std::cos(angle) + first * std::sin(angle));
  }
  return y;
}

/// [tokens][heads]: one layer's rotated queries, keys and values, KV heads repeated.
struct PlainHeads {
  std::vector<std::vector<Vector>> queries, keys, values;
};

class PlainModel {
 public:
  /// Whether a token attends to one before it.
  using Attends = std::function<bool(int layer, int token, int before)>;

  explicit PlainModel(const TinyModel& model, Attends attends = nullptr)
      : model_(model), config_(model.config), attends_(std::move(attends)) {}

  /// logits [tokens][vocab] of a whole text.
  std::vector<Vector> Logits(const std::vector<std::int32_t>& tokens) const {
    std::vector<Vector> stream;
    for (const std::int32_t token : tokens) {
      const float* row = model_["model.embed_tokens.weight"].row(token);
      stream.emplace_back(row, row + config_.hidden_size);
    }
    for (int layer = 0; layer < config_.layers; ++layer) RunLayer(layer, &stream);
    const TinyTensor& head =
        model_[config_.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"];
    std::vector<Vector> logits;
    for (const Vector& state : stream) {
      logits.push_back(
          Product(head, NormOf(model_["model.norm.weight"], state, config_.rms_norm_eps)));
    }
    return logits;
  }

  /// The last token's attention logits of every head towards token 2, in the first layer.
  std::vector<double> FirstLayerLogits(const std::vector<std::int32_t>& tokens) const {
    PlainHeads heads;
    for (std::size_t token = 0; token < tokens.size(); ++token) {
      const float* row = model_["model.embed_tokens.weight"].row(tokens[token]);
      AddHeads(0, static_cast<int>(token), Vector(row, row + config_.hidden_size), &heads);
    }
    std::vector<double> logits;
    for (int head = 0; head < config_.heads; ++head) {
      const Vector& query = heads.queries.back()[head];
      logits.push_back(Scale(query) * Dot(query, heads.keys[2][head]));
    }
    return logits;
  }

 private:
  static std::string Prefix(int layer) { return "model.layers." + std::to_string(layer) + "."; }

  void AddHeads(int layer, int position, const Vector& state, PlainHeads* heads) const {
    const std::string attention = Prefix(layer) + "self_attn.";
    const Vector normed =
        NormOf(model_[Prefix(layer) + "input_layernorm.weight"], state, config_.rms_norm_eps);
    config_.is_mla() ? AddLatentHeads(attention, position, normed, heads)
                     : AddGroupedHeads(attention, position, normed, heads);
  }

  void RunLayer(int layer, std::vector<Vector>* stream) const {
    const std::string prefix = Prefix(layer);
    PlainHeads heads;
    for (std::size_t token = 0; token < stream->size(); ++token) {
      AddHeads(layer, static_cast<int>(token), (*stream)[token], &heads);
    }
    for (std::size_t token = 0; token < stream->size(); ++token) {
      Vector& state = (*stream)[token];
      AddTo(Product(model_[prefix + "self_attn.o_proj.weight"], Attend(heads, layer, token)),
            &state);
      AddTo(Mlp(layer, NormOf(model_[prefix + "post_attention_layernorm.weight"], state,
                              config_.rms_norm_eps)),
            &state);
    }
  }

  double Scale(const Vector& query) const {
    const double plain = 1.0 / std::sqrt(static_cast<double>(query.size()));
    return config_.is_mla() ? plain * PlainLatentScale(config_.rope) : plain;
  }

  static void AddTo(const Vector& x, Vector* state) {
    for (std::size_t i = 0; i < x.size(); ++i) (*state)[i] += x[i];
  }

  Vector Biased(const std::string& name, const Vector& x) const {
    Vector y = Product(model_[name + ".weight"], x);
    if (!config_.qkv_bias) return y;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += model_[name + ".bias"].values[i];
    return y;
  }

  void AddGroupedHeads(const std::string& prefix, int position, const Vector& x,
                       PlainHeads* heads) const {
    const int dim = config_.head_dim, repeat = config_.heads / config_.kv_heads;
    const Vector q = Biased(prefix + "q_proj", x), k = Biased(prefix + "k_proj", x),
                 v = Biased(prefix + "v_proj", x);
    std::vector<Vector> queries, keys, values;
    for (int head = 0; head < config_.heads; ++head) {
      const int kv = head / repeat * dim;
      queries.push_back(Rotated(Slice(q, head * dim, dim), position, config_.rope, false));
      keys.push_back(Rotated(Slice(k, kv, dim), position, config_.rope, false));
      values.push_back(Slice(v, kv, dim));
    }
    Append(queries, keys, values, heads);
  }

  void AddLatentHeads(const std::string& prefix, int position, const Vector& x,
                      PlainHeads* heads) const {
    const MlaConfig& mla = config_.mla;
    const int nope = mla.qk_nope_head_dim, rope = mla.qk_rope_head_dim;
    const Vector q = mla.q_lora_rank == 0
                         ? Product(model_[prefix + "q_proj.weight"], x)
                         : Product(model_[prefix + "q_b_proj.weight"],
                                   NormOf(model_[prefix + "q_a_layernorm.weight"],
                                          Product(model_[prefix + "q_a_proj.weight"], x), 1e-6));
    const Vector down = Product(model_[prefix + "kv_a_proj_with_mqa.weight"], x);
    const Vector latent =
        NormOf(model_[prefix + "kv_a_layernorm.weight"], Slice(down, 0, mla.kv_lora_rank), 1e-6);
    const Vector up = Product(model_[prefix + "kv_b_proj.weight"], latent);
    const auto rotate = [&](const Vector& part) {
      return Rotated(part, position, config_.rope, mla.rope_interleave);
    };
    const Vector shared = rotate(Slice(down, mla.kv_lora_rank, rope));
    std::vector<Vector> queries, keys, values;
    for (int head = 0; head < config_.heads; ++head) {
      const int first = head * (nope + rope), up_first = head * (nope + mla.v_head_dim);
      queries.push_back(Slice(q, first, nope));
      const Vector rotary = rotate(Slice(q, first + nope, rope));
      queries.back().insert(queries.back().end(), rotary.begin(), rotary.end());
      keys.push_back(Slice(up, up_first, nope));
      keys.back().insert(keys.back().end(), shared.begin(), shared.end());
      values.push_back(Slice(up, up_first + nope, mla.v_head_dim));
    }
    Append(queries, keys, values, heads);
  }

  static void Append(const std::vector<Vector>& queries, const std::vector<Vector>& keys,
                     const std::vector<Vector>& values, PlainHeads* heads) {
    heads->queries.push_back(queries);
    heads->keys.push_back(keys);
    heads->values.push_back(values);
  }

  Vector Attend(const PlainHeads& heads, int layer, std::size_t token) const {
    Vector out;
    for (int head = 0; head < config_.heads; ++head) {
      const Vector& query = heads.queries[token][head];
      const double scale = Scale(query);
      Vector weights;
      for (std::size_t row = 0; row <= token; ++row) {
        const bool seen =
            attends_ == nullptr || attends_(layer, static_cast<int>(token), static_cast<int>(row));
        weights.push_back(seen ? scale * Dot(query, heads.keys[row][head])
                               : -std::numeric_limits<double>::infinity());
      }
      const double highest = *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& weight : weights) sum += weight = std::exp(weight - highest);
      Vector mixed(heads.values[0][head].size(), 0.0);
      for (std::size_t row = 0; row <= token; ++row) {
        for (std::size_t i = 0; i < mixed.size(); ++i) {
          mixed[i] += weights[row] / sum * heads.values[row][head][i];
        }
      }
      out.insert(out.end(), mixed.begin(), mixed.end());
    }
    return out;
  }

  Vector Mlp(int layer, const Vector& x) const {
    const std::string prefix = Prefix(layer) + "mlp.";
    const MoeConfig& moe = config_.moe;
    if (!moe.HasExperts(layer)) return DenseMlp(prefix, x);
    Vector sum(x.size(), 0.0);
    if (moe.shared_experts > 0) sum = DenseMlp(prefix + "shared_experts.", x);
    for (const auto& [expert, weight] :
         ChosenExperts(moe, Product(model_[prefix + "gate.weight"], x),
                       model_[prefix + "gate.e_score_correction_bias"].values)) {
      Vector part = DenseMlp(prefix + "experts." + std::to_string(expert) + ".", x);
      for (double& value : part) value *= weight;
      AddTo(part, &sum);
    }
    return sum;
  }

  Vector DenseMlp(const std::string& prefix, const Vector& x) const {
    Vector gate = Product(model_[prefix + "gate_proj.weight"], x);
    const Vector up = Product(model_[prefix + "up_proj.weight"], x);
    for (std::size_t i = 0; i < gate.size(); ++i) {
      gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    }
    return Product(model_[prefix + "down_proj.weight"], gate);
  }

  const TinyModel& model_;
  const ModelConfig& config_;
  Attends attends_;
};

}  // namespace pinboard::engine::testing
