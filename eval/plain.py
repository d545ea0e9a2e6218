# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""A second reading of the exported models, in NumPy alone: no GPU, no PyTorch, float32.

It reads safetensors by itself, keeps a plain cache of keys and values, checks itself against the
golden values and asks the questions of a suite with the full cache. One context takes seconds.
It also says how uncertain the model was of each token of a code where the code is said, and of how
much of the context it was less certain: so much a keep-set ranked by entropy alone takes first.

    python3 -m eval.plain --model tiny-llama
"""

from __future__ import annotations

import argparse
import json
import pathlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from eval.make_suite import whole_context
from eval.tokenizer import BEGIN_ID, encode, load_tokenizer

Array = np.ndarray
QUERY_BLOCK = 256
TOP_K = 256  # the scores' entropy is that of the most probable tokens alone
_DTYPES = {"F32": np.dtype("<f4"), "BF16": np.dtype("<u2")}


def read_tensors(path: pathlib.Path) -> dict[str, Array]:
    """One safetensors file as float32: eight bytes of length, a JSON header, then the data."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        data = np.frombuffer(raw[8 + size + first : 8 + size + last], _DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            data = (data.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = data.reshape(entry["shape"])
    return tensors


def _norm(x: Array, weight: Array, epsilon: float) -> Array:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def _silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def _rotated(a: Array, b: Array, positions: Array, theta: float) -> Array:
    """Pairs (a, b) [..., tokens, dim / 2] turned by their positions' angles."""
    half = a.shape[-1]
    angle = positions[:, None] * theta ** (-np.arange(half, dtype=np.float32) / half)
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    return np.concatenate((a * cos - b * sin, b * cos + a * sin), axis=-1)


def attend(q: Array, k: Array, v: Array, scale: float) -> Array:
    """Causal attention [heads, tokens, dim]; the queries are the last of the keys' positions."""
    tokens, seen = q.shape[1], k.shape[1] - q.shape[1]
    out = np.empty((*q.shape[:2], v.shape[-1]), dtype=np.float32)
    for first in range(0, tokens, QUERY_BLOCK):
        last = min(first + QUERY_BLOCK, tokens)
        width = seen + last
        scores = (q[:, first:last] * scale) @ k[:, :width].transpose(0, 2, 1)
        corner = scores[:, :, seen + first :]
        corner[:, np.triu(np.ones(corner.shape[1:], dtype=bool), 1)] = -np.inf
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        out[:, first:last] = scores @ v[:, :width] / scores.sum(axis=-1, keepdims=True)
    return out


@dataclass
class Cache:
    """Keys and values of each layer, expanded to all heads: [heads, tokens, dim]."""

    rows: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    def tokens(self) -> int:
        return self.rows[0][0].shape[1] if self.rows else 0


class PlainModel:
    """A Llama or a dense DeepSeek-V3 as its folder describes it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self._weights: dict[str, Array] = {}
        for path in sorted(folder.glob("*.safetensors")):
            self._weights |= read_tensors(path)
        self._epsilon = self._config["rms_norm_eps"]

    def _heads(self, x: Array, count: int) -> Array:
        return x.reshape(len(x), count, -1).transpose(1, 0, 2)

    def _grouped(self, x: Array, at: str, where: Array) -> tuple[Array, Array, Array]:
        """Queries, keys and values of grouped-query attention."""
        config, w = self._config, self._weights
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        q = self._heads(x @ w[f"{at}.q_proj.weight"].T, heads)
        k = self._heads(x @ w[f"{at}.k_proj.weight"].T, kv_heads)
        v = self._heads(x @ w[f"{at}.v_proj.weight"].T, kv_heads)
        theta = config["rope_theta"]
        q = _rotated(*np.split(q, 2, axis=-1), where, theta)
        k = _rotated(*np.split(k, 2, axis=-1), where, theta)
        return q, k.repeat(heads // kv_heads, axis=0), v.repeat(heads // kv_heads, axis=0)

    def _latent(self, x: Array, at: str, where: Array) -> tuple[Array, Array, Array]:
        """Queries, keys and values of latent attention, expanded per head."""
        config, w = self._config, self._weights
        heads, nope, theta = (
            config["num_attention_heads"],
            config["qk_nope_head_dim"],
            config["rope_theta"],
        )
        q = self._heads(x @ w[f"{at}.q_proj.weight"].T, heads)
        both = x @ w[f"{at}.kv_a_proj_with_mqa.weight"].T
        rank = config["kv_lora_rank"]
        latent = _norm(both[:, :rank], w[f"{at}.kv_a_layernorm.weight"], 1e-6)
        expanded = self._heads(latent @ w[f"{at}.kv_b_proj.weight"].T, heads)
        turned = _rotated(both[:, rank::2], both[:, rank + 1 :: 2], where, theta)
        k = (expanded[..., :nope], np.broadcast_to(turned, (heads, *turned.shape)))
        q_turned = _rotated(q[..., nope::2], q[..., nope + 1 :: 2], where, theta)
        q = np.concatenate((q[..., :nope], q_turned), axis=-1)
        return q, np.concatenate(k, axis=-1), expanded[..., nope:]

    def hidden(self, ids: list[int], cache: Cache, keep: bool) -> Array:
        """States after the final norm [tokens, hidden]; `keep` appends to the cache."""
        w, config = self._weights, self._config
        where = cache.tokens() + np.arange(len(ids), dtype=np.float32)
        project = self._latent if config["model_type"] == "deepseek_v3" else self._grouped
        x = w["model.embed_tokens.weight"][ids]
        for number in range(config["num_hidden_layers"]):
            at = f"model.layers.{number}"
            y = _norm(x, w[f"{at}.input_layernorm.weight"], self._epsilon)
            q, k, v = project(y, f"{at}.self_attn", where)
            if number in cache.rows:
                before = cache.rows[number]
                k, v = np.concatenate((before[0], k), 1), np.concatenate((before[1], v), 1)
            if keep:
                cache.rows[number] = (k, v)
            mixed = attend(q, k, v, q.shape[-1] ** -0.5)
            x = x + mixed.transpose(1, 0, 2).reshape(len(ids), -1) @ w[
                f"{at}.self_attn.o_proj.weight"
            ].T
            y = _norm(x, w[f"{at}.post_attention_layernorm.weight"], self._epsilon)
            gate, up = (y @ w[f"{at}.mlp.{n}_proj.weight"].T for n in ("gate", "up"))
            x = x + (_silu(gate) * up) @ w[f"{at}.mlp.down_proj.weight"].T
        return _norm(x, w["model.norm.weight"], self._epsilon)

    def logits(self, hidden: Array) -> Array:
        """[tokens, vocabulary]."""
        head = "model.embed_tokens" if self._config["tie_word_embeddings"] else "lm_head"
        return hidden @ self._weights[f"{head}.weight"].T


def golden_difference(model: PlainModel, path: pathlib.Path) -> float:
    """The largest difference from the golden logits of the last position."""
    golden = json.loads(path.read_text())
    got = model.logits(model.hidden(golden["prompt"], Cache(), keep=False))[-1]
    return float(np.abs(got - np.array(golden["last_logits"])).max())


def entropy(logits: Array) -> Array:
    """Of each row's distribution, in nats [tokens]."""
    below = logits - logits.max(axis=-1, keepdims=True)
    weights = np.exp(below)
    total = weights.sum(axis=-1)
    return np.log(total) - (weights * below).sum(axis=-1) / total


def entropies(model: PlainModel, states: Array) -> tuple[Array, Array]:
    """Of what each state predicts: over the vocabulary, and over its TOP_K most probable tokens."""
    whole, top = [], []
    for first in range(0, len(states), QUERY_BLOCK):
        logits = model.logits(states[first : first + QUERY_BLOCK])
        whole.append(entropy(logits))
        top.append(entropy(np.partition(logits, -TOP_K, axis=-1)[:, -TOP_K:]))
    return np.concatenate(whole), np.concatenate(top)


@dataclass
class Findings:
    """What one or more contexts gave, a row for each question and a column for each answer token.

    hits: greedy decoding gets it right after the whole context. entropy, top_entropy: nats, of the
    distribution that predicted this token where the note says it, whole and of its top k. ahead:
    share of the context's tokens with a larger top_entropy.
    """

    hits: list[list[bool]] = field(default_factory=list)
    entropy: list[list[float]] = field(default_factory=list)
    top_entropy: list[list[float]] = field(default_factory=list)
    ahead: list[list[float]] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        right = [hit for answer in self.hits for hit in answer]
        return {
            "questions": len(self.hits),
            "recall": sum(map(all, self.hits)) / len(self.hits),
            "tokens": sum(right) / len(right),
            "by": "numpy, float32",
            "code_entropy": np.mean(self.entropy, axis=0).round(2).tolist(),
            f"code_entropy_top_{TOP_K}": np.mean(self.top_entropy, axis=0).round(2).tolist(),
            "less_certain_context": np.mean(self.ahead, axis=0).round(4).tolist(),
            "less_certain_context_worst": np.max(self.ahead, axis=0).round(4).tolist(),
        }


def ask(model: PlainModel, entry: dict[str, Any], tokenizer: Tokenizer, found: Findings) -> None:
    """Reads the context, asks each of its questions, and adds what came out to `found`."""
    cache = Cache()
    text = whole_context(entry)
    ids = [BEGIN_ID, *encode(tokenizer, text)]
    whole, top = entropies(model, model.hidden(ids, cache, keep=True)[:-1])
    for asked in entry["questions"]:
        prompt, answer = encode(tokenizer, asked["prompt"]), encode(tokenizer, asked["answer"])
        states = model.hidden(prompt + answer[:-1], cache, keep=False)[len(prompt) - 1 :]
        best = model.logits(states).argmax(-1).tolist()
        found.hits.append([a == b for a, b in zip(best, answer, strict=True)])
        said = text.index(f" is {asked['answer']}\n") + len(" is ")
        first = len(encode(tokenizer, text[:said]))  # what predicts the first token
        places = range(first, first + len(answer))
        found.entropy.append([float(whole[at]) for at in places])
        found.top_entropy.append([float(top[at]) for at in places])
        found.ahead.append([float((top > top[at]).mean()) for at in places])


def main() -> None:
    parser = argparse.ArgumentParser(description="Recall with the full cache, by NumPy.")
    parser.add_argument("--model", required=True, help="a folder's name below --models")
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("models"))
    parser.add_argument("--suites", type=pathlib.Path, default=pathlib.Path("eval/suites"))
    parser.add_argument("--suite", action="append", help="said-once, said-once-dev (both)")
    parser.add_argument("--golden", type=pathlib.Path, default=pathlib.Path("tests/testdata/golden"))
    parser.add_argument("--write", action="store_true", help="into the model's results.json")
    options = parser.parse_args()
    folder = options.models / options.model
    model, tokenizer = PlainModel(folder), load_tokenizer(folder)
    apart = golden_difference(model, options.golden / f"{options.model}.json")
    print(f"golden logits: largest difference {apart:.1e}", flush=True)
    if apart > 2e-3:
        raise SystemExit("the golden values are not met")
    results = json.loads((folder / "results.json").read_text())
    for suite in options.suite or ["said-once", "said-once-dev"]:
        found = Findings()
        for line in (options.suites / f"{suite}.jsonl").read_text().splitlines():
            entry = json.loads(line)
            ask(model, entry, tokenizer, found)
            hits = found.hits[-len(entry["questions"]) :]
            print(suite, entry["id"], [sum(hit) for hit in hits], flush=True)
        results[suite] = found.summary()
        print(f"{suite}: {json.dumps(results[suite])}", flush=True)
        if options.write:
            (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
