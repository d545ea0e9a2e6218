// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which tensors of a model directory make up one rank's weights, whatever they become.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/safetensors.h"
#include "engine/weights.h"

namespace pinboard::engine {

/// Makes weights of tensors, each named with its whole shape, of which `slice` is this rank's.
template <typename Storage>
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  virtual absl::StatusOr<typename Storage::Matrix> Matrix(const std::string& name,
                                                          const std::vector<std::int64_t>& shape,
                                                          const TensorSlice& slice) = 0;
  virtual absl::StatusOr<typename Storage::Vector> Vector(const std::string& name,
                                                          const std::vector<std::int64_t>& shape,
                                                          const TensorSlice& slice) = 0;
};

/// The tensors of one rank of one model.
template <typename Storage>
class WeightsReader {
 public:
  /// All three outlive this.
  WeightsReader(TensorSource<Storage>* source, const ModelConfig& config, const RankPlan& plan)
      : source_(*source), config_(config), plan_(plan) {}

  /// Errors are the source's.
  absl::StatusOr<BasicModelWeights<Storage>> Read() const {
    BasicModelWeights<Storage> weights;
    BasicLinear<Storage> table;
    PB_RETURN_IF_ERROR(RowParallel("model.embed_tokens", config_.vocab_size, config_.hidden_size,
                                   plan_.vocab_begin, plan_.vocab_local, &table));
    weights.embedding = std::move(table.weight);
    if (!config_.tie_word_embeddings) {
      PB_RETURN_IF_ERROR(RowParallel("lm_head", config_.vocab_size, config_.hidden_size,
                                     plan_.vocab_begin, plan_.vocab_local, &table));
      weights.lm_head = std::move(table.weight);
    }
    PB_RETURN_IF_ERROR(Whole("model.norm.weight", config_.hidden_size, &weights.final_norm));
    weights.layers.resize(config_.layers);
    for (int layer = 0; layer < config_.layers; ++layer) {
      PB_RETURN_IF_ERROR(ReadLayer(layer, &weights.layers[layer]));
    }
    return weights;
  }

 private:
  using Linear = BasicLinear<Storage>;
  using Vector = typename Storage::Vector;

  absl::Status Whole(const std::string& name, int size, Vector* out) const {
    return Rows(name, size, 0, size, out);
  }

  absl::Status Rows(const std::string& name, int whole, int begin, int rows, Vector* out) const {
    PB_ASSIGN_OR_RETURN(*out, source_.Vector(name, {whole}, {begin, rows, 0, 1}));
    return absl::OkStatus();
  }

  absl::Status Matrix(const std::string& name, int rows, int columns, const TensorSlice& slice,
                      typename Storage::Matrix* out) const {
    PB_ASSIGN_OR_RETURN(*out,
                        source_.Matrix(absl::StrCat(name, ".weight"), {rows, columns}, slice));
    return absl::OkStatus();
  }

  /// All columns of rows [begin, begin + rows) of a [whole, in] matrix.
  absl::Status RowParallel(const std::string& name, int whole, int in, int begin, int rows,
                           Linear* out) const {
    out->out = rows;
    out->in = in;
    return Matrix(name, whole, in, {begin, rows, 0, in}, &out->weight);
  }

  /// Columns [begin, begin + columns) of all rows of an [out, whole] matrix.
  absl::Status ColumnParallel(const std::string& name, int outputs, int whole, int begin,
                              int columns, Linear* out) const {
    out->out = outputs;
    out->in = columns;
    return Matrix(name, outputs, whole, {0, outputs, begin, columns}, &out->weight);
  }

  absl::Status Bias(const std::string& name, int whole, int begin, Linear* out) const {
    return Rows(absl::StrCat(name, ".bias"), whole, begin, out->out, &out->bias);
  }

  absl::Status ReadGrouped(const std::string& prefix,
                           BasicGroupedAttentionWeights<Storage>* out) const {
    const int dim = config_.head_dim, hidden = config_.hidden_size;
    const int query_rows = config_.heads * dim, kv_rows = config_.kv_heads * dim;
    const int first_query = plan_.first_head * dim, first_kv = plan_.first_kv_head * dim;
    const std::string query = absl::StrCat(prefix, "q_proj");
    const std::string key = absl::StrCat(prefix, "k_proj");
    const std::string value = absl::StrCat(prefix, "v_proj");
    PB_RETURN_IF_ERROR(
        RowParallel(query, query_rows, hidden, first_query, plan_.heads * dim, &out->query));
    PB_RETURN_IF_ERROR(
        RowParallel(key, kv_rows, hidden, first_kv, plan_.kv_heads * dim, &out->key));
    PB_RETURN_IF_ERROR(
        RowParallel(value, kv_rows, hidden, first_kv, plan_.kv_heads * dim, &out->value));
    if (config_.qkv_bias) {
      PB_RETURN_IF_ERROR(Bias(query, query_rows, first_query, &out->query));
      PB_RETURN_IF_ERROR(Bias(key, kv_rows, first_kv, &out->key));
      PB_RETURN_IF_ERROR(Bias(value, kv_rows, first_kv, &out->value));
    }
    return ColumnParallel(absl::StrCat(prefix, "o_proj"), hidden, query_rows, first_query,
                          plan_.heads * dim, &out->output);
  }

  absl::Status ReadLatentQuery(const std::string& prefix,
                               BasicLatentAttentionWeights<Storage>* out) const {
    const MlaConfig& mla = config_.mla;
    const int dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
    const bool direct = mla.q_lora_rank == 0;
    if (!direct) {
      PB_RETURN_IF_ERROR(RowParallel(absl::StrCat(prefix, "q_a_proj"), mla.q_lora_rank,
                                     config_.hidden_size, 0, mla.q_lora_rank, &out->query_down));
      PB_RETURN_IF_ERROR(
          Whole(absl::StrCat(prefix, "q_a_layernorm.weight"), mla.q_lora_rank, &out->query_norm));
    }
    return RowParallel(absl::StrCat(prefix, direct ? "q_proj" : "q_b_proj"), config_.heads * dim,
                       direct ? config_.hidden_size : mla.q_lora_rank, plan_.first_head * dim,
                       plan_.heads * dim, &out->query);
  }

  absl::Status ReadLatent(const std::string& prefix,
                          BasicLatentAttentionWeights<Storage>* out) const {
    const MlaConfig& mla = config_.mla;
    PB_RETURN_IF_ERROR(ReadLatentQuery(prefix, out));
    PB_RETURN_IF_ERROR(RowParallel(absl::StrCat(prefix, "kv_a_proj_with_mqa"), config_.key_dim(),
                                   config_.hidden_size, 0, config_.key_dim(), &out->latent));
    PB_RETURN_IF_ERROR(
        Whole(absl::StrCat(prefix, "kv_a_layernorm.weight"), mla.kv_lora_rank, &out->latent_norm));
    // kv_b_proj [heads, nope + v, latent]: what keys and what values are made of.
    const std::string both = absl::StrCat(prefix, "kv_b_proj");
    const int nope = mla.qk_nope_head_dim, head_rows = nope + mla.v_head_dim;
    const TensorSlice keys{.row_begin = std::int64_t{plan_.first_head} * head_rows,
                           .rows = nope,
                           .columns = mla.kv_lora_rank,
                           .groups = plan_.heads,
                           .group_stride = head_rows};
    TensorSlice values = keys;
    values.row_begin += nope;
    values.rows = mla.v_head_dim;
    const int rows = config_.heads * head_rows;
    PB_RETURN_IF_ERROR(Matrix(both, rows, mla.kv_lora_rank, keys, &out->key_up));
    PB_RETURN_IF_ERROR(Matrix(both, rows, mla.kv_lora_rank, values, &out->value_up));
    return ColumnParallel(absl::StrCat(prefix, "o_proj"), config_.hidden_size,
                          config_.heads * mla.v_head_dim, plan_.first_head * mla.v_head_dim,
                          plan_.heads * mla.v_head_dim, &out->output);
  }

  /// Columns [first, first + columns) of an MLP that has `whole` of them.
  absl::Status ReadMlp(const std::string& prefix, int whole, int first, int columns,
                       BasicMlpWeights<Storage>* out) const {
    const int hidden = config_.hidden_size;
    PB_RETURN_IF_ERROR(
        RowParallel(absl::StrCat(prefix, "gate_proj"), whole, hidden, first, columns, &out->gate));
    PB_RETURN_IF_ERROR(
        RowParallel(absl::StrCat(prefix, "up_proj"), whole, hidden, first, columns, &out->up));
    return ColumnParallel(absl::StrCat(prefix, "down_proj"), hidden, whole, first, columns,
                          &out->down);
  }

  absl::Status ReadExperts(const std::string& prefix, BasicLayerWeights<Storage>* out) const {
    const MoeConfig& moe = config_.moe;
    PB_RETURN_IF_ERROR(RowParallel(absl::StrCat(prefix, "gate"), moe.routed_experts,
                                   config_.hidden_size, 0, moe.routed_experts, &out->experts.gate));
    PB_RETURN_IF_ERROR(Whole(absl::StrCat(prefix, "gate.e_score_correction_bias"),
                             moe.routed_experts, &out->experts.gate_bias));
    out->experts.routed.resize(moe.routed_experts);
    for (int expert = 0; expert < moe.routed_experts; ++expert) {
      PB_RETURN_IF_ERROR(ReadMlp(absl::StrCat(prefix, "experts.", expert, "."),
                                 moe.intermediate_size, plan_.first_expert_column,
                                 plan_.expert_columns, &out->experts.routed[expert]));
    }
    const int shared = moe.shared_experts;
    if (shared == 0) return absl::OkStatus();
    return ReadMlp(absl::StrCat(prefix, "shared_experts."), shared * moe.intermediate_size,
                   shared * plan_.first_expert_column, shared * plan_.expert_columns, &out->mlp);
  }

  absl::Status ReadLayer(int index, BasicLayerWeights<Storage>* out) const {
    const std::string prefix = absl::StrCat("model.layers.", index, ".");
    const std::string attention = absl::StrCat(prefix, "self_attn.");
    const std::string mlp = absl::StrCat(prefix, "mlp.");
    PB_RETURN_IF_ERROR(Whole(absl::StrCat(prefix, "input_layernorm.weight"), config_.hidden_size,
                             &out->attention_norm));
    PB_RETURN_IF_ERROR(Whole(absl::StrCat(prefix, "post_attention_layernorm.weight"),
                             config_.hidden_size, &out->mlp_norm));
    PB_RETURN_IF_ERROR(config_.is_mla() ? ReadLatent(attention, &out->latent)
                                        : ReadGrouped(attention, &out->grouped));
    return config_.moe.HasExperts(index) ? ReadExperts(mlp, out)
                                         : ReadMlp(mlp, config_.intermediate_size,
                                                   plan_.first_column, plan_.columns, &out->mlp);
  }

  TensorSource<Storage>& source_;
  const ModelConfig& config_;
  const RankPlan& plan_;
};

}  // namespace pinboard::engine
