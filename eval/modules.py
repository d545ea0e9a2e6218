# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""The two architectures in plain PyTorch, with Hugging Face's parameter names.

Attributes are named so that `state_dict()` is what an export writes. Matrix products follow the
surrounding autocast; the residual stream, norms and rotations stay in float32. Layouts:

    hidden  [batch, tokens, hidden]        queries, keys, values  [batch, heads, tokens, dim]
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eval.shapes import DeepseekShape, LlamaShape, Shape


class RmsNorm(nn.Module):
    """y = x / rms(x) * weight, in float32."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self._epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        scaled = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self._epsilon)
        return (scaled * self.weight).to(x.dtype)


def rotary_table(dim: int, tokens: int, theta: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines [tokens, dim / 2] of position times theta^(-2i/dim), float32."""
    frequency = theta ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angle = torch.arange(tokens, device=device, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Llama's pairing: dimension i with dimension i + dim / 2."""
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """DeepSeek's pairing: dimension 2i with 2i + 1. Even results first, then odd ones."""
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


class GroupedAttention(nn.Module):
    """Causal grouped-query attention, as in LlamaForCausalLM."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self._heads, self._kv_heads, self._dim = shape.heads, shape.kv_heads, shape.head_dim
        self.q_proj = nn.Linear(shape.hidden, shape.heads * shape.head_dim, bias=False)
        self.k_proj = nn.Linear(shape.hidden, shape.kv_heads * shape.head_dim, bias=False)
        self.v_proj = nn.Linear(shape.hidden, shape.kv_heads * shape.head_dim, bias=False)
        self.o_proj = nn.Linear(shape.heads * shape.head_dim, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q = self.q_proj(x).unflatten(-1, (self._heads, self._dim)).transpose(1, 2)
        k = self.k_proj(x).unflatten(-1, (self._kv_heads, self._dim)).transpose(1, 2)
        v = self.v_proj(x).unflatten(-1, (self._kv_heads, self._dim)).transpose(1, 2)
        q, k = rotate_halves(q, cos, sin), rotate_halves(k, cos, sin)
        group = self._heads // self._kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class LatentAttention(nn.Module):
    """Causal multi-head latent attention, as in DeepseekV3ForCausalLM without q_lora_rank.

    The latent and the rotated key are what a cache would hold; here both are expanded per head.
    """

    def __init__(self, shape: DeepseekShape) -> None:
        super().__init__()
        self._heads, self._latent = shape.heads, shape.latent
        self._nope, self._rope, self._value = shape.nope_dim, shape.rope_dim, shape.value_dim
        query = self._nope + self._rope
        self.q_proj = nn.Linear(shape.hidden, shape.heads * query, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(shape.hidden, self._latent + self._rope, bias=False)
        self.kv_a_layernorm = RmsNorm(self._latent, 1e-6)
        self.kv_b_proj = nn.Linear(
            self._latent, shape.heads * (self._nope + self._value), bias=False
        )
        self.o_proj = nn.Linear(shape.heads * self._value, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q = self.q_proj(x).unflatten(-1, (self._heads, -1)).transpose(1, 2)
        q_nope, q_rope = q.split((self._nope, self._rope), dim=-1)
        latent, k_rope = self.kv_a_proj_with_mqa(x).split((self._latent, self._rope), dim=-1)
        expanded = self.kv_b_proj(self.kv_a_layernorm(latent))
        expanded = expanded.unflatten(-1, (self._heads, -1)).transpose(1, 2)
        k_nope, v = expanded.split((self._nope, self._value), dim=-1)
        k_rope = rotate_pairs(k_rope[:, None], cos, sin).expand(-1, self._heads, -1, -1)
        q = torch.cat((q_nope, rotate_pairs(q_rope, cos, sin)), dim=-1)
        k = torch.cat((k_nope, k_rope), dim=-1)
        # The fast kernels want one width: zeros beside the values change nothing and are cut off.
        v = F.pad(v, (0, self._nope + self._rope - self._value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)[..., : self._value]
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class GatedMlp(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.mlp_columns, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.mlp_columns, bias=False)
        self.down_proj = nn.Linear(shape.mlp_columns, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """x + attention(norm(x)), then + mlp(norm(.))."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        if isinstance(shape, LlamaShape):
            self.self_attn: nn.Module = GroupedAttention(shape)
        elif isinstance(shape, DeepseekShape):
            self.self_attn = LatentAttention(shape)
        else:
            raise TypeError(f"no attention for {type(shape).__name__}")
        self.mlp = GatedMlp(shape)
        self.input_layernorm = RmsNorm(shape.hidden, shape.norm_epsilon)
        self.post_attention_layernorm = RmsNorm(shape.hidden, shape.norm_epsilon)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Trunk(nn.Module):
    """Embeddings, layers and the final norm (the `model.` prefix of the parameter names)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RmsNorm(shape.hidden, shape.norm_epsilon)


class CausalLm(nn.Module):
    """Tokens [batch, tokens] in, float logits [batch, tokens, vocabulary] out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Trunk(shape)
        if not shape.tied:
            self.lm_head = nn.Linear(shape.hidden, shape.vocabulary, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        last_of_block = ("o_proj.weight", "down_proj.weight")
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            width = 0.02 if "embed" in name or "lm_head" in name else parameter.shape[1] ** -0.5
            if name.endswith(last_of_block):
                width *= (2 * self.shape.layers) ** -0.5
            nn.init.normal_(parameter, std=width)

    def output_weight(self) -> Tensor:
        """The matrix of the output head [vocabulary, hidden], tied or not."""
        return self.model.embed_tokens.weight if self.shape.tied else self.lm_head.weight

    def hidden(self, tokens: Tensor) -> Tensor:
        """The final norm's output [batch, tokens, hidden]."""
        rope = getattr(self.shape, "rope_dim", None) or getattr(self.shape, "head_dim")
        cos, sin = rotary_table(rope, tokens.shape[1], self.shape.rope_theta, tokens.device)
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return self.model.norm(x)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.linear(self.hidden(tokens), self.output_weight()).float()


def weighted_loss(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """(weighted mean loss, plain mean loss), stacked; flattened over batch and tokens."""
    logits = F.linear(hidden, head).float().flatten(0, 1)
    losses = F.cross_entropy(logits, targets.flatten(), reduction="none")
    scale = weights.flatten()
    return torch.stack(((losses * scale).sum() / scale.sum(), losses.mean()))
