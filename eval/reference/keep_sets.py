# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Kept rows of snapkv, h2o, tova, rpc and random from their definitions, in NumPy and float64.

Written from the method's definitions alone, as a second opinion on the C++:

  snapkv  A of the last `window` queries, average-pooled along the rows
  h2o     A of all queries, not pooled
  tova    A of the last query, not pooled
  rpc     A of the last 32 queries, average-pooled over 7 rows
  random  SplitMix64(SplitMix64(SplitMix64(seed) + layer) + position) >> 18

where A of a row is the mean, over queries and over all heads, of softmax attention to it. The first
`sinks` and the last `window` rows are kept whatever their score, then the highest scores until
`keep` rows are kept, ties to the lower row.

    python3 eval/reference/keep_sets.py tests/testdata/keep_sets.json

writes the inputs, as whole numbers to be divided by `denominator`, and the kept rows. Seeds are
skipped until no decision hangs on less than `MARGIN`, so that float32 and fixed-point implementations
must agree.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import pathlib
from typing import Any

import numpy as np

MARGIN = 2.0**-24  # of A; 64 steps of the fixed-point format with 30 fraction bits
MASK = 2**64 - 1


@dataclasses.dataclass(frozen=True)
class Case:
    """One layer of one sequence: row r holds the token at position r."""

    name: str
    query_heads: int
    kv_heads: int
    key_dim: int
    value_in_key: bool  # MLA: one latent that all heads read
    scale: float
    rows: int = 300
    window: int = 64
    pool: int = 5
    sinks: int = 4
    keep: int = 120
    denominator: int = 4
    random_seed: int = 20260625
    random_layer: int = 3


CASES = (
    Case("gqa", query_heads=4, kv_heads=2, key_dim=8, value_in_key=False, scale=0.5),
    Case("mla", query_heads=4, kv_heads=1, key_dim=12, value_in_key=True, scale=0.375),
)


def softmax_attention(case: Case, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Weights [heads, queries, rows] of queries [rows, heads, dim] on keys [rows, kv_heads, dim]."""
    per_head = np.repeat(keys, case.query_heads // case.kv_heads, axis=1)
    logits = case.scale * np.einsum("qhd,rhd->hqr", queries, per_head)
    future = np.triu(np.ones((case.rows, case.rows), dtype=bool), k=1)
    logits = np.where(future, -np.inf, logits)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def average_pool(scores: np.ndarray, kernel: int) -> np.ndarray:
    """The mean of `kernel` neighbours, zeros beyond both ends."""
    padded = np.pad(scores, kernel // 2)
    return np.lib.stride_tricks.sliding_window_view(padded, kernel).mean(axis=-1)


def splitmix64(x: int) -> int:
    """The first output of SplitMix64 seeded with x."""
    z = (x + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def random_scores(case: Case) -> list[int]:
    """One hash per position."""
    layer = splitmix64((splitmix64(case.random_seed) + case.random_layer) & MASK)
    return [splitmix64((layer + position) & MASK) >> 18 for position in range(case.rows)]


def keep_set(case: Case, scores: list[Any]) -> tuple[list[int], Any]:
    """The kept rows, ascending, and the score between the last kept row and the first evicted."""
    recent = case.rows - case.window
    protected = [r for r in range(case.rows) if r < case.sinks or r >= recent]
    others = sorted(range(case.sinks, recent), key=lambda r: (-scores[r], r))
    chosen = case.keep - len(protected)
    return sorted(protected + others[:chosen]), scores[others[chosen - 1]] - scores[others[chosen]]


def solve(case: Case, seed: int) -> dict[str, Any] | None:
    """The case with inputs drawn from `seed`, or None where a decision is too close."""
    generator = np.random.default_rng(seed)

    def draw(heads: int) -> np.ndarray:
        values = generator.standard_normal((case.rows, heads, case.key_dim))
        return np.rint(values * case.denominator).astype(np.int64)

    queries, keys = draw(case.query_heads), draw(case.kv_heads)
    weights = softmax_attention(case, queries / case.denominator, keys / case.denominator)
    window_mean = weights[:, -case.window :].mean(axis=(0, 1))
    snapkv, snapkv_margin = keep_set(case, average_pool(window_mean, case.pool).tolist())
    h2o, h2o_margin = keep_set(case, weights.mean(axis=(0, 1)).tolist())
    tova, tova_margin = keep_set(case, weights[:, -1].mean(axis=0).tolist())
    rpc_mean = weights[:, -32:].mean(axis=(0, 1))
    rpc, rpc_margin = keep_set(case, average_pool(rpc_mean, 7).tolist())
    if min(snapkv_margin, h2o_margin, tova_margin, rpc_margin) < MARGIN:
        return None
    kept = {
        "snapkv": snapkv,
        "h2o": h2o,
        "tova": tova,
        "rpc": rpc,
        "random": keep_set(case, random_scores(case))[0],
    }
    return {
        **dataclasses.asdict(case),
        "input_seed": seed,
        "queries": queries.ravel().tolist(),
        "keys": keys.ravel().tolist(),
        "kept": kept,
    }


def main() -> None:
    """Writes one solved instance of each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    output = parser.parse_args().output
    solved = [next(filter(None, (solve(case, s) for s in itertools.count(1)))) for case in CASES]
    output.write_text(json.dumps({"cases": solved}, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
