# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""The shapes of the two trained models, and the Hugging Face configuration each is saved with.

Both divide over 1, 2, 4 and 8 ranks: 16 query heads, the columns of the MLP and the vocabulary do;
the 4 KV heads of the first are replicated beyond 4 ranks, the latent of the second always is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eval.tokenizer import BEGIN_ID, END_ID, PAD_ID, VOCABULARY

CONTEXT_TOKENS = 4096


@dataclass(frozen=True)
class Shape:
    """What both architectures share."""

    name: str
    hidden: int
    layers: int
    heads: int
    mlp_columns: int
    tied: bool
    shards: int
    norm_epsilon: float
    rope_theta: float = 10000.0
    vocabulary: int = VOCABULARY
    context: int = CONTEXT_TOKENS

    def _common(self) -> dict[str, Any]:
        return {
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": BEGIN_ID,
            "eos_token_id": END_ID,
            "pad_token_id": PAD_ID,
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "initializer_range": 0.02,
            "intermediate_size": self.mlp_columns,
            "max_position_embeddings": self.context,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "rms_norm_eps": self.norm_epsilon,
            "rope_scaling": None,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tied,
            "torch_dtype": "bfloat16",
            "use_cache": True,
            "vocab_size": self.vocabulary,
        }

    def config(self) -> dict[str, Any]:
        """The contents of config.json."""
        raise NotImplementedError


@dataclass(frozen=True)
class LlamaShape(Shape):
    """Grouped-query attention: heads / kv_heads query heads share one key and value head."""

    kv_heads: int = 4
    head_dim: int = 32

    def config(self) -> dict[str, Any]:
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            **self._common(),
            "head_dim": self.head_dim,
            "mlp_bias": False,
            "num_key_value_heads": self.kv_heads,
        }


@dataclass(frozen=True)
class DeepseekShape(Shape):
    """Multi-head latent attention, dense MLPs in every layer, no low-rank step for the queries."""

    latent: int = 96
    rope_dim: int = 32
    nope_dim: int = 32
    value_dim: int = 32

    def config(self) -> dict[str, Any]:
        return {
            "architectures": ["DeepseekV3ForCausalLM"],
            "model_type": "deepseek_v3",
            **self._common(),
            "first_k_dense_replace": self.layers,
            "kv_lora_rank": self.latent,
            "moe_intermediate_size": 64,
            "n_group": 1,
            "n_routed_experts": 8,
            "n_shared_experts": 1,
            "norm_topk_prob": True,
            "num_experts_per_tok": 2,
            "num_key_value_heads": self.heads,
            "num_nextn_predict_layers": 0,
            "q_lora_rank": None,
            "qk_nope_head_dim": self.nope_dim,
            "qk_rope_head_dim": self.rope_dim,
            "rope_interleave": True,
            "routed_scaling_factor": 1.0,
            "topk_group": 1,
            "v_head_dim": self.value_dim,
        }


SHAPES: dict[str, Shape] = {
    "tiny-llama": LlamaShape(
        name="tiny-llama",
        hidden=256,
        layers=7,
        heads=16,
        mlp_columns=768,
        tied=True,
        shards=1,
        norm_epsilon=1e-5,
    ),
    "tiny-deepseek": DeepseekShape(
        name="tiny-deepseek",
        hidden=256,
        layers=6,
        heads=16,
        mlp_columns=512,
        tied=False,
        shards=2,
        norm_epsilon=1e-6,
    ),
}
