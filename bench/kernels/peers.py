#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Times what a user would write in PyTorch for the operations of device_bench, at the same shapes, and
for the transfers of offload_bench.

usage: peers.py OUT.json [NAME...]     every operation, or those whose names begin with one of NAME

Each operation runs eagerly and through torch.compile (its default mode), both as replays
of one CUDA graph where capture is possible: median of 30, a buffer larger than L2 read before each.
Caches are contiguous, which spares the peers the block table. Their results are compared with each
other, not with ours: tests do that.
"""
import json
import statistics
import sys

import torch

DEVICE = "cuda"
RUNS = 30
TOP_K = 256
FLUSHED_BYTES = 256 << 20
POOL_BYTES = 8 << 30
TRANSFER_BYTES = 256 << 20


def normal(*shape, deviation=1.0):
    """bf16 of a normal distribution."""
    return (torch.randn(*shape, device=DEVICE) * deviation).to(torch.bfloat16)


def restricted_entropy(logits):
    """H of docs/method.md section 2: over the k largest logits."""
    log_p = torch.log_softmax(torch.topk(logits, TOP_K, dim=-1).values.float(), dim=-1)
    return -(log_p.exp() * log_p).sum(-1)


def full_entropy(logits):
    log_p = torch.log_softmax(logits.float(), dim=-1)
    return -(log_p.exp() * log_p).sum(-1)


def shift(hidden, last):
    return 1 - torch.nn.functional.cosine_similarity(hidden.float(), last.float(), dim=-1)


def select(keep_score, keep):
    classes = torch.zeros(keep_score.shape, dtype=torch.uint8, device=DEVICE)
    return classes.scatter_(1, torch.topk(keep_score, keep, dim=1, sorted=False).indices, 2)


def select_band(keep_score, band_score, keep, band):
    classes = select(keep_score, keep)
    rest = band_score.masked_fill(classes == 2, torch.iinfo(torch.int64).min)
    return classes.scatter_(1, torch.topk(rest, band, dim=1, sorted=False).indices, 1)


def compact(keys, values, sources):
    return keys.index_select(0, sources), values.index_select(0, sources)


def pooled(shares, heads, window):
    mean = shares / (heads * window)
    return torch.nn.functional.avg_pool1d(mean[None, None], 9, 1, 4, count_include_pad=True)[0, 0]


def logits_of(queries, keys, seen_from):
    """[kv_heads, queries, rows]; row r is seen by queries whose position is at least r."""
    rows = keys.shape[1]
    logits = torch.bmm(queries, keys.transpose(1, 2)).float() * queries.shape[-1] ** -0.5
    hidden = torch.arange(rows, device=DEVICE)[None, None, :] > seen_from[None, :, None]
    return logits.masked_fill(hidden, float("-inf"))


def attention_given(queries, keys, seen_from, log_sum_exp, heads, window):
    weights = (logits_of(queries, keys, seen_from) - log_sum_exp[..., None]).exp()
    return pooled(weights.sum((0, 1)), heads, window)


def attention_own(queries, keys, seen_from, heads, window):
    weights = torch.softmax(logits_of(queries, keys, seen_from), dim=-1)
    return pooled(weights.sum((0, 1)), heads, window)


def attention_arguments(kv_heads, heads, dim, window, rows):
    group = heads // kv_heads
    queries = normal(kv_heads, window * group, dim)
    keys = normal(kv_heads, rows, dim)
    seen_from = torch.arange(rows - window, rows, device=DEVICE).repeat_interleave(group)
    log_sum_exp = torch.full((kv_heads, window * group), 12.0, device=DEVICE)
    return queries, keys, seen_from, log_sum_exp


def operations():
    """name: (function, its arguments made on demand), named as device_bench names them."""
    for problems, rows in ((61, 131_072), (1, 1_048_576)):
        def scores(problems=problems, rows=rows):
            heavy = torch.empty(problems, rows, device=DEVICE, dtype=torch.float64).exponential_()
            return (heavy * 2**30).to(torch.int64)
        tenth = rows // 10
        yield f"select {problems} x {rows}", select, lambda s=scores, t=tenth: (s(), t)
        yield (f"select and band {problems} x {rows}", select_band,
               lambda s=scores, t=tenth: (s(), s(), t, 4 * t))
    for vocab in (128_256, 16_032):
        yield (f"top-256 entropy 4096 x {vocab}", restricted_entropy,
               lambda v=vocab: (normal(4096, v, deviation=3.0),))
        yield (f"full entropy 4096 x {vocab}", full_entropy,
               lambda v=vocab: (normal(4096, v, deviation=3.0),))
    yield "shift 32768 x 7168", shift, lambda: (normal(32_768, 7_168), normal(32_768, 7_168))

    def compact_arguments():
        sources = (torch.rand(131_072, device=DEVICE) < 0.25).nonzero()[:, 0]
        return normal(131_072, 1024), normal(131_072, 1024), sources
    yield "compact 25 % of 131072 x 4096 B", compact, compact_arguments
    for kind, kv_heads, heads, dim, window, rows in (
            ("GQA 32/8 x 128", 8, 32, 128, 64, 131_072), ("GQA 32/8 x 128", 8, 32, 128, 64, 32_768),
            ("GQA 32/8 x 128", 8, 32, 128, 32, 131_072), ("MLA 16 x 576", 1, 16, 576, 32, 131_072)):
        shape = (kv_heads, heads, dim, window, rows)
        name = f"attention {kind}, W {window}, {rows}"
        yield name, attention_given, lambda s=shape: (*attention_arguments(*s), s[1], s[3])
        yield (f"{name}, own sums", attention_own,
               lambda s=shape: (*attention_arguments(*s)[:3], s[1], s[3]))


def median_ms(call):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    run, how = call, "launches"
    try:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        run, how = graph.replay, "graph"
    except RuntimeError:
        torch.cuda.synchronize()
    flushed = torch.ones(FLUSHED_BYTES // 4, device=DEVICE)
    times = []
    for i in range(RUNS + 3):
        flushed.max()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        if i >= 3:
            times.append(begin.elapsed_time(end))
    return statistics.median(times), how


def transfers():
    """GB/s of blocks scattered over a pool, by index_select and one copy, and back."""
    rates = {}
    for block_bytes in (1_152, 4_096, 16_384, 73_728):
        values = block_bytes // 2
        blocks = TRANSFER_BYTES // block_bytes
        pool = torch.zeros(POOL_BYTES // block_bytes, values, dtype=torch.bfloat16, device=DEVICE)
        pool[:4096].normal_()
        chosen = torch.randperm(len(pool), device=DEVICE)[:blocks]
        host = torch.empty(blocks, values, dtype=torch.bfloat16, pin_memory=True)

        def out(pool=pool, chosen=chosen, host=host):
            host.copy_(pool.index_select(0, chosen), non_blocking=True)

        def back(pool=pool, chosen=chosen, host=host):
            pool.index_copy_(0, chosen, host.to(DEVICE, non_blocking=True))
        rates[block_bytes] = {way: blocks * block_bytes / median_ms(call)[0] * 1e-6
                              for way, call in (("out", out), ("back", back))}
        print(block_bytes, rates[block_bytes], flush=True)
        del pool
        torch.cuda.empty_cache()
    return rates


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    torch.manual_seed(20261128)
    rows = {}
    for name, function, arguments in operations():
        if len(sys.argv) > 2 and not any(name.startswith(only) for only in sys.argv[2:]):
            continue
        torch._dynamo.reset()
        made = arguments()
        row = {}
        compiled = torch.compile(function, dynamic=False)
        for column, call in (("eager", function), ("compile", compiled)):
            try:
                row[f"{column}_ms"], row[f"{column}_by"] = median_ms(lambda c=call: c(*made))
            except (RuntimeError, torch.OutOfMemoryError) as error:
                row[f"{column}_error"] = str(error).splitlines()[0]
            torch.cuda.empty_cache()
        rows[name] = row
        print(name, row, flush=True)
    moved = {} if len(sys.argv) > 2 else transfers()
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump({"torch": torch.__version__, "peers": rows, "transfers": moved}, out, indent=1)


if __name__ == "__main__":
    main()
