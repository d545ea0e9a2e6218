// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/weights.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

/// Reads parts of tensors under one name prefix.
class Reader {
 public:
  Reader(const Checkpoint& checkpoint, std::string prefix)
      : checkpoint_(checkpoint), prefix_(std::move(prefix)) {}

  absl::Status Vector(const char* name, int size, std::vector<float>* out) const {
    return Rows(name, size, 0, size, out);
  }

  /// All columns of rows [begin, begin + rows) of a [whole, in] matrix.
  absl::Status RowParallel(const char* name, int whole, int in, int begin, int rows,
                           Linear* out) const {
    out->out = rows;
    out->in = in;
    return Matrix(name, whole, in, {begin, rows, 0, in}, out);
  }

  /// Columns [begin, begin + columns) of all rows of an [out, whole] matrix.
  absl::Status ColumnParallel(const char* name, int outputs, int whole, int begin, int columns,
                              Linear* out) const {
    out->out = outputs;
    out->in = columns;
    return Matrix(name, outputs, whole, {0, outputs, begin, columns}, out);
  }

  absl::Status Bias(const char* name, int whole, int begin, Linear* out) const {
    return Rows(absl::StrCat(name, ".bias"), whole, begin, out->out, &out->bias);
  }

 private:
  absl::Status Matrix(const char* name, int rows, int columns, const TensorSlice& slice,
                      Linear* out) const {
    PB_ASSIGN_OR_RETURN(out->weight, checkpoint_.Read(absl::StrCat(prefix_, name, ".weight"),
                                                      {rows, columns}, slice));
    return absl::OkStatus();
  }

  absl::Status Rows(const std::string& name, int whole, int begin, int rows,
                    std::vector<float>* out) const {
    PB_ASSIGN_OR_RETURN(
        *out, checkpoint_.Read(absl::StrCat(prefix_, name), {whole}, {begin, rows, 0, 1}));
    return absl::OkStatus();
  }

  const Checkpoint& checkpoint_;
  std::string prefix_;
};

absl::Status LoadGrouped(const Reader& reader, const ModelConfig& config, const RankPlan& plan,
                         GroupedAttentionWeights* out) {
  const int dim = config.head_dim, hidden = config.hidden_size;
  const int query_rows = config.heads * dim, kv_rows = config.kv_heads * dim;
  const int first_query = plan.first_head * dim, first_kv = plan.first_kv_head * dim;
  PB_RETURN_IF_ERROR(
      reader.RowParallel("q_proj", query_rows, hidden, first_query, plan.heads * dim, &out->query));
  PB_RETURN_IF_ERROR(
      reader.RowParallel("k_proj", kv_rows, hidden, first_kv, plan.kv_heads * dim, &out->key));
  PB_RETURN_IF_ERROR(
      reader.RowParallel("v_proj", kv_rows, hidden, first_kv, plan.kv_heads * dim, &out->value));
  if (config.qkv_bias) {
    PB_RETURN_IF_ERROR(reader.Bias("q_proj", query_rows, first_query, &out->query));
    PB_RETURN_IF_ERROR(reader.Bias("k_proj", kv_rows, first_kv, &out->key));
    PB_RETURN_IF_ERROR(reader.Bias("v_proj", kv_rows, first_kv, &out->value));
  }
  return reader.ColumnParallel("o_proj", hidden, query_rows, first_query, plan.heads * dim,
                               &out->output);
}

/// Parts kv_b_proj [heads, nope + v, latent] into what keys and what values are made of.
absl::Status LoadLatentUp(const Reader& reader, const ModelConfig& config, const RankPlan& plan,
                          LatentAttentionWeights* out) {
  const MlaConfig& mla = config.mla;
  const int head_rows = mla.qk_nope_head_dim + mla.v_head_dim;
  Linear both;
  PB_RETURN_IF_ERROR(reader.RowParallel("kv_b_proj", config.heads * head_rows, mla.kv_lora_rank,
                                        plan.first_head * head_rows, plan.heads * head_rows,
                                        &both));
  auto row = both.weight.begin();
  for (int head = 0; head < plan.heads; ++head) {
    const auto values = row + static_cast<std::ptrdiff_t>(mla.qk_nope_head_dim) * both.in;
    const auto end = row + static_cast<std::ptrdiff_t>(head_rows) * both.in;
    out->key_up.insert(out->key_up.end(), row, values);
    out->value_up.insert(out->value_up.end(), values, end);
    row = end;
  }
  return absl::OkStatus();
}

absl::Status LoadLatentQuery(const Reader& reader, const ModelConfig& config, const RankPlan& plan,
                             LatentAttentionWeights* out) {
  const MlaConfig& mla = config.mla;
  const int dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
  const bool direct = mla.q_lora_rank == 0;
  if (!direct) {
    PB_RETURN_IF_ERROR(reader.RowParallel("q_a_proj", mla.q_lora_rank, config.hidden_size, 0,
                                          mla.q_lora_rank, &out->query_down));
    PB_RETURN_IF_ERROR(reader.Vector("q_a_layernorm.weight", mla.q_lora_rank, &out->query_norm));
  }
  return reader.RowParallel(direct ? "q_proj" : "q_b_proj", config.heads * dim,
                            direct ? config.hidden_size : mla.q_lora_rank, plan.first_head * dim,
                            plan.heads * dim, &out->query);
}

absl::Status LoadLatent(const Reader& reader, const ModelConfig& config, const RankPlan& plan,
                        LatentAttentionWeights* out) {
  const MlaConfig& mla = config.mla;
  PB_RETURN_IF_ERROR(LoadLatentQuery(reader, config, plan, out));
  PB_RETURN_IF_ERROR(reader.RowParallel("kv_a_proj_with_mqa", config.key_dim(), config.hidden_size,
                                        0, config.key_dim(), &out->latent));
  PB_RETURN_IF_ERROR(reader.Vector("kv_a_layernorm.weight", mla.kv_lora_rank, &out->latent_norm));
  PB_RETURN_IF_ERROR(LoadLatentUp(reader, config, plan, out));
  return reader.ColumnParallel("o_proj", config.hidden_size, config.heads * mla.v_head_dim,
                               plan.first_head * mla.v_head_dim, plan.heads * mla.v_head_dim,
                               &out->output);
}

/// Columns [first, first + columns) of an MLP that has `whole` of them.
absl::Status LoadMlp(const Reader& reader, int hidden, int whole, int first, int columns,
                     MlpWeights* out) {
  PB_RETURN_IF_ERROR(reader.RowParallel("gate_proj", whole, hidden, first, columns, &out->gate));
  PB_RETURN_IF_ERROR(reader.RowParallel("up_proj", whole, hidden, first, columns, &out->up));
  return reader.ColumnParallel("down_proj", hidden, whole, first, columns, &out->down);
}

absl::Status LoadExperts(const Checkpoint& checkpoint, const ModelConfig& config,
                         const RankPlan& plan, const std::string& prefix, LayerWeights* out) {
  const MoeConfig& moe = config.moe;
  const int hidden = config.hidden_size;
  const Reader mlp(checkpoint, prefix);
  PB_RETURN_IF_ERROR(mlp.RowParallel("gate", moe.routed_experts, hidden, 0, moe.routed_experts,
                                     &out->experts.gate));
  PB_RETURN_IF_ERROR(
      mlp.Vector("gate.e_score_correction_bias", moe.routed_experts, &out->experts.gate_bias));
  out->experts.routed.resize(moe.routed_experts);
  for (int expert = 0; expert < moe.routed_experts; ++expert) {
    PB_RETURN_IF_ERROR(LoadMlp(Reader(checkpoint, absl::StrCat(prefix, "experts.", expert, ".")),
                               hidden, moe.intermediate_size, plan.first_expert_column,
                               plan.expert_columns, &out->experts.routed[expert]));
  }
  const int shared = moe.shared_experts;
  if (shared == 0) return absl::OkStatus();
  return LoadMlp(Reader(checkpoint, absl::StrCat(prefix, "shared_experts.")), hidden,
                 shared * moe.intermediate_size, shared * plan.first_expert_column,
                 shared * plan.expert_columns, &out->mlp);
}

absl::Status LoadLayer(const Checkpoint& checkpoint, const ModelConfig& config,
                       const RankPlan& plan, int index, LayerWeights* out) {
  const std::string prefix = absl::StrCat("model.layers.", index, ".");
  const Reader layer(checkpoint, prefix);
  const Reader attention(checkpoint, absl::StrCat(prefix, "self_attn."));
  PB_RETURN_IF_ERROR(
      layer.Vector("input_layernorm.weight", config.hidden_size, &out->attention_norm));
  PB_RETURN_IF_ERROR(
      layer.Vector("post_attention_layernorm.weight", config.hidden_size, &out->mlp_norm));
  PB_RETURN_IF_ERROR(config.is_mla() ? LoadLatent(attention, config, plan, &out->latent)
                                     : LoadGrouped(attention, config, plan, &out->grouped));
  const std::string mlp = absl::StrCat(prefix, "mlp.");
  return config.moe.HasExperts(index)
             ? LoadExperts(checkpoint, config, plan, mlp, out)
             : LoadMlp(Reader(checkpoint, mlp), config.hidden_size, config.intermediate_size,
                       plan.first_column, plan.columns, &out->mlp);
}

}  // namespace

absl::StatusOr<ModelWeights> LoadWeights(const Checkpoint& checkpoint, const ModelConfig& config,
                                         const RankPlan& plan) {
  ModelWeights weights;
  const Reader model(checkpoint, "model.");
  Linear table;
  PB_RETURN_IF_ERROR(model.RowParallel("embed_tokens", config.vocab_size, config.hidden_size,
                                       plan.vocab_begin, plan.vocab_local, &table));
  weights.embedding = std::move(table.weight);
  if (!config.tie_word_embeddings) {
    PB_RETURN_IF_ERROR(Reader(checkpoint, "")
                           .RowParallel("lm_head", config.vocab_size, config.hidden_size,
                                        plan.vocab_begin, plan.vocab_local, &table));
    weights.lm_head = std::move(table.weight);
  }
  PB_RETURN_IF_ERROR(model.Vector("norm.weight", config.hidden_size, &weights.final_norm));
  weights.layers.resize(config.layers);
  for (int layer = 0; layer < config.layers; ++layer) {
    PB_RETURN_IF_ERROR(LoadLayer(checkpoint, config, plan, layer, &weights.layers[layer]));
  }
  return weights;
}

}  // namespace pinboard::engine
