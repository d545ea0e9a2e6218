# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Kept rows of the baselines from their definitions, in NumPy and float64.

Written from the method's definitions alone, as a second opinion on the C++:

  snapkv  A of the last `window` queries, average-pooled along the rows
  h2o     A of all queries, not pooled
  tova    A of the last query, not pooled
  rpc     A of the last 32 queries, average-pooled over 7 rows
  rkv     0.07 * A' - 0.93 * R: A' the largest A of the last 8 queries among the 7 rows around, R the
          mean over KV heads of the softmax over rows of their mean cosine to all rows' keys, in which
          a row does not count for the last row that is similar to it (cosine above 1/2)
  expected-attention   queries of 512 positions to come, normal with the mean and covariance of the
          last `window` queries before rotation: softmax of the log of exp(q . k)'s expectation, times
          the value's norm over the KV head's largest, mean over heads
  snapkv-heads   snapkv for each KV head by itself, mean over the query heads that read it
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
    value_dim: int
    value_in_key: bool  # MLA: one latent that all heads read
    rotary_first: int  # where the rotary values of a key begin; they are the rest of it
    rotary_interleaved: bool
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
    Case("gqa", 4, 2, 8, 6, False, rotary_first=0, rotary_interleaved=False, scale=0.5),
    Case("mla", 4, 1, 12, 8, True, rotary_first=8, rotary_interleaved=True, scale=0.375),
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


def redundancy(keys: np.ndarray) -> tuple[np.ndarray, float]:
    """R of keys [rows, heads, dim], and how far the nearest cosine is from 1/2."""
    shares, nearest = np.zeros(len(keys)), 1.0
    for head in keys.transpose(1, 0, 2):
        unit = head / np.linalg.norm(head, axis=-1, keepdims=True)
        cosine = unit @ unit.T
        np.fill_diagonal(cosine, 0.0)
        nearest = min(nearest, np.abs(cosine - 0.5).min())
        for row in cosine:
            similar = np.flatnonzero(row > 0.5)
            if len(similar):
                row[similar[-1]] = 0.0
        exps = np.exp(cosine.mean(axis=0))
        shares += exps / exps.sum() / keys.shape[1]
    return shares, nearest


def rkv_scores(attention: np.ndarray, redundant: np.ndarray) -> np.ndarray:
    """Of one set for all heads."""
    peaks = np.lib.stride_tricks.sliding_window_view(np.pad(attention, 3), 7).max(axis=-1)
    return 0.07 * peaks - 0.93 * redundant


def rotation(case: Case, frequencies: np.ndarray, position: int) -> np.ndarray:
    """The matrix [dim, dim] that turns a query or a key to `position`."""
    matrix = np.eye(case.key_dim)
    for i, angle in enumerate(frequencies * position):
        x = case.rotary_first + (2 * i if case.rotary_interleaved else i)
        y = x + (1 if case.rotary_interleaved else len(frequencies))
        matrix[[x, x, y, y], [x, y, x, y]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    return matrix


def expected_attention(
    case: Case, frequencies: np.ndarray, queries: np.ndarray, keys: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Of the window's rotated queries [window, heads, dim], for all rows."""
    first = case.rows - case.window
    back = [rotation(case, frequencies, first + w).T for w in range(case.window)]
    ahead = np.mean(
        [rotation(case, frequencies, case.rows + t) for t in range(512)], axis=0
    )
    norms = np.linalg.norm(values, axis=-1)
    shares = np.zeros(case.rows)
    for head in range(case.query_heads):
        kv_head = head // (case.query_heads // case.kv_heads)
        plain = np.stack([turn @ query[head] for turn, query in zip(back, queries)])
        mean = ahead @ plain.mean(axis=0)
        covariance = ahead @ np.cov(plain, rowvar=False, bias=True) @ ahead.T
        key = keys[:, kv_head]
        logits = case.scale * key @ mean
        logits += case.scale**2 / 2 * np.einsum("rd,de,re->r", key, covariance, key)
        exps = np.exp(logits - logits.max())
        shares += exps / exps.sum() * norms[:, kv_head] / norms[:, kv_head].max()
    return shares / case.query_heads


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

    def draw(heads: int, dim: int) -> np.ndarray:
        values = generator.standard_normal((case.rows, heads, dim))
        return np.rint(values * case.denominator).astype(np.int64)

    queries, keys = draw(case.query_heads, case.key_dim), draw(case.kv_heads, case.key_dim)
    values = keys[..., : case.value_dim]
    if not case.value_in_key:
        values = draw(case.kv_heads, case.value_dim)
    real_queries, real_keys = queries / case.denominator, keys / case.denominator
    weights = softmax_attention(case, real_queries, real_keys)
    window_mean = weights[:, -case.window :].mean(axis=(0, 1))
    snapkv, snapkv_margin = keep_set(case, average_pool(window_mean, case.pool).tolist())
    h2o, h2o_margin = keep_set(case, weights.mean(axis=(0, 1)).tolist())
    tova, tova_margin = keep_set(case, weights[:, -1].mean(axis=0).tolist())
    rpc_mean = weights[:, -32:].mean(axis=(0, 1))
    rpc, rpc_margin = keep_set(case, average_pool(rpc_mean, 7).tolist())
    redundant, nearest = redundancy(real_keys)
    rkv, rkv_margin = keep_set(
        case, rkv_scores(weights[:, -8:].mean(axis=(0, 1)), redundant).tolist()
    )
    pairs = (case.key_dim - case.rotary_first) // 2
    frequencies = 10000.0 ** (-np.arange(pairs) / pairs)
    expected, expected_margin = keep_set(
        case,
        expected_attention(
            case, frequencies, real_queries[-case.window :], real_keys, values / case.denominator
        ).tolist(),
    )
    heads = [
        keep_set(case, average_pool(group.mean(axis=(0, 1)), case.pool).tolist())
        for group in np.split(weights[:, -case.window :], case.kv_heads)
    ]
    margins = [snapkv_margin, h2o_margin, tova_margin, rpc_margin, rkv_margin, expected_margin]
    if min(margins + [margin for _, margin in heads]) < MARGIN or nearest < MARGIN:
        return None
    kept = {
        "snapkv": snapkv,
        "h2o": h2o,
        "tova": tova,
        "rpc": rpc,
        "rkv": rkv,
        "expected-attention": expected,
        "snapkv-heads": [kept for kept, _ in heads],
        "random": keep_set(case, random_scores(case))[0],
    }
    return {
        **dataclasses.asdict(case),
        "input_seed": seed,
        "frequencies": frequencies.tolist(),
        "queries": queries.ravel().tolist(),
        "keys": keys.ravel().tolist(),
        "values": [] if case.value_in_key else values.ravel().tolist(),
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
