# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of a model: said-once recall on a suite, and the loss on held-out text.

A model here is any function from tokens [batch, tokens] to logits [batch, tokens, vocabulary].
"""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from eval.make_suite import whole_context
from eval.tokenizer import BEGIN_ID, encode

Logits = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Question:
    """Everything up to the answer's first token, and the answer."""

    prompt: list[int]
    answer: list[int]


def read_suite(path: pathlib.Path, tokenizer: Tokenizer) -> list[Question]:
    """Every question asked straight after its context, begin-of-text in front."""
    questions = []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        context = [BEGIN_ID, *encode(tokenizer, whole_context(entry))]
        for asked in entry["questions"]:
            prompt = context + encode(tokenizer, asked["prompt"])
            questions.append(Question(prompt, encode(tokenizer, asked["answer"])))
    return questions


def _answer_hits(logits: Logits, rows: list[Question], length: int) -> list[list[bool]]:
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    for row, question in enumerate(rows):
        ids = question.prompt + question.answer
        tokens[row, : len(ids)] = torch.tensor(ids)
    best = logits(tokens.cuda()).argmax(-1).cpu()
    hits = []
    for row, question in enumerate(rows):
        first = len(question.prompt) - 1
        given = best[row, first : first + len(question.answer)].tolist()
        hits.append([a == b for a, b in zip(given, question.answer, strict=True)])
    return hits


@torch.no_grad()
def recall(
    logits: Logits, questions: list[Question], length: int, batch: int = 8
) -> dict[str, float]:
    """Shares of answers and of their single tokens that greedy decoding gets right.

    Greedy decoding gives the whole answer exactly if each token is the most probable one after the
    right tokens before it, so one forward pass decides. Rows are padded behind; attention is
    causal, so padding is never seen.
    """
    hits: list[list[bool]] = []
    for first in range(0, len(questions), batch):
        hits += _answer_hits(logits, questions[first : first + batch], length)
    tokens = [hit for answer in hits for hit in answer]
    return {
        "questions": len(hits),
        "recall": sum(map(all, hits)) / len(hits),
        "tokens": sum(tokens) / len(tokens),
    }


@torch.no_grad()
def text_loss(
    logits: Logits, tokens: np.ndarray, length: int, windows: int = 32, batch: int = 4
) -> dict[str, float]:
    """Mean loss in nats per token over evenly spaced windows of held-out text."""
    starts = np.linspace(0, len(tokens) - length, windows).astype(int)
    rows = np.stack([tokens[s : s + length].astype(np.int64) for s in starts])
    rows[:, 0] = BEGIN_ID
    total = 0.0
    for first in range(0, windows, batch):
        part = torch.from_numpy(rows[first : first + batch]).cuda()
        scores = logits(part)[:, :-1].flatten(0, 1).float()
        total += F.cross_entropy(scores, part[:, 1:].flatten(), reduction="sum").item()
    loss = total / (windows * (length - 1))
    return {"loss": loss, "perplexity": math.exp(loss)}
