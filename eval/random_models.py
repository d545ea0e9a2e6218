# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny models with random weights: the architectures and paths the trained two do not reach.

random-llama:    untied output head, grouped queries, float32 weights
random-qwen2:    biases on queries, keys and values, tied embeddings, bfloat16 weights
random-deepseek: queries through a low-rank step (q_lora_rank), untied, bfloat16 weights
random-llama-llama3: rotary frequencies stretched as in Llama 3.1, tied, bfloat16 weights
random-deepseek-moe: experts in groups and shared ones, YaRN with both mscales, bfloat16 weights
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from eval.export import save_weights

_COMMON: dict[str, Any] = {
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "hidden_act": "silu",
    "hidden_size": 32,
    "initializer_range": 0.02,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "num_attention_heads": 8,
    "num_hidden_layers": 2,
    "rope_scaling": None,
    "use_cache": True,
    "vocab_size": 256,
}

_STRETCHED = {key: value for key, value in _COMMON.items() if key != "rope_scaling"}

CONFIGS: dict[str, dict[str, Any]] = {
    "random-llama": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **_COMMON,
        "attention_bias": False,
        "head_dim": 8,
        "mlp_bias": False,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
    },
    "random-qwen2": {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        **_COMMON,
        "max_window_layers": 2,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
    },
    "random-deepseek": {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        **_COMMON,
        "attention_bias": False,
        "first_k_dense_replace": 2,
        "kv_lora_rank": 16,
        "moe_intermediate_size": 16,
        "n_group": 1,
        "n_routed_experts": 8,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
        "num_experts_per_tok": 2,
        "num_key_value_heads": 8,
        "num_nextn_predict_layers": 0,
        "q_lora_rank": 24,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 4,
        "rms_norm_eps": 1e-5,
        "rope_interleave": True,
        "rope_theta": 50000.0,
        "routed_scaling_factor": 1.0,
        "tie_word_embeddings": False,
        "topk_group": 1,
        "torch_dtype": "bfloat16",
        "v_head_dim": 8,
    },
    "random-llama-llama3": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **_STRETCHED,
        "attention_bias": False,
        "head_dim": 16,
        "mlp_bias": False,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {
            "factor": 8.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 64,
            "rope_theta": 10000.0,
            "rope_type": "llama3",
        },
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    },
    "random-deepseek-moe": {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        **_STRETCHED,
        "attention_bias": False,
        "first_k_dense_replace": 1,
        "kv_lora_rank": 16,
        "moe_intermediate_size": 12,
        "moe_layer_freq": 1,
        "n_group": 4,
        "n_routed_experts": 12,
        "n_shared_experts": 2,
        "norm_topk_prob": True,
        "num_experts_per_tok": 3,
        "num_hidden_layers": 3,
        "num_key_value_heads": 8,
        "num_nextn_predict_layers": 0,
        "q_lora_rank": 24,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 16,
        "rms_norm_eps": 1e-6,
        "rope_interleave": True,
        "rope_scaling": {
            "beta_fast": 4,
            "beta_slow": 1,
            "factor": 16,
            "mscale": 0.707,
            "mscale_all_dim": 1.0,
            "original_max_position_embeddings": 64,
            "type": "yarn",
        },
        "rope_theta": 1000.0,
        "routed_scaling_factor": 2.5,
        "scoring_func": "sigmoid",
        "tie_word_embeddings": False,
        "topk_group": 2,
        "topk_method": "noaux_tc",
        "torch_dtype": "bfloat16",
        "v_head_dim": 8,
    },
}

# Golden prompts of these run far beyond original_max_position_embeddings.
LONG_PROMPTS = ("random-llama-llama3", "random-deepseek-moe")


def _draw(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Gains around one, biases and matrices wide enough that logits differ clearly."""
    noise = torch.randn(tensor.shape, generator=generator)
    if name.endswith("e_score_correction_bias"):
        return 0.1 * noise  # of scores around one half: it decides close calls alone
    if name.endswith("norm.weight"):
        return 1.0 + 0.2 * noise
    if name.endswith("bias"):
        return 0.5 * noise
    if "embed_tokens" in name or "lm_head" in name:
        return 0.3 * noise
    return noise * 1.5 * tensor.shape[-1] ** -0.5


def _published(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of published checkpoints, where each expert has three matrices of its own."""
    apart: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        prefix, joined, name = key.partition(".experts.")
        if not joined or name not in ("gate_up_proj", "down_proj"):
            apart[key] = tensor
            continue
        for number, expert in enumerate(tensor):
            parts = dict(down_proj=expert)
            if name == "gate_up_proj":
                parts = dict(zip(("gate_proj", "up_proj"), expert.chunk(2), strict=True))
            for part, values in parts.items():
                apart[f"{prefix}.experts.{number}.{part}.weight"] = values.contiguous()
    return apart


def write(name: str, folder: pathlib.Path, seed: int) -> None:
    """config.json and model.safetensors of one random model."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = CONFIGS[name]
    (folder / "config.json").write_text(json.dumps(raw, indent=2) + "\n")
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, raw["torch_dtype"])
    weights = {
        key: _draw(key, tensor, generator)
        .to(torch.float32 if key.endswith("e_score_correction_bias") else dtype)
        .contiguous()
        for key, tensor in model.state_dict().items()
        if not (raw["tie_word_embeddings"] and key == "lm_head.weight")
    }
    save_weights(folder, _published(weights), shards=1)
