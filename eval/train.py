# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Trains one of the small models, within a wall-clock limit, resumable.

Short sequences dense in facts come first: in them a small model finds out how to look a fact up.
Then the full context. The learning rate warms up, stays, and falls to zero over the last part of
the time; the state before that fall is kept, so a later run can go on from there.

    python3 -m eval.data --out .train-data
    python3 -m eval.train --model tiny-llama --minutes 5.5

`--start-from` begins with the weights of an export instead of random ones. Where its tokenizer had
other tokens from some id on, `--new-from` names that id: the rows of those tokens start anew.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from eval import attention, measure
from eval.data import Mixture, SequenceMixer, TokenStore
from eval.export import load_weights, save_model
from eval.modules import CausalLm, weighted_loss
from eval.optim import make_optimizers, set_rate
from eval.shapes import SHAPES, LlamaShape
from eval.tokenizer import load_tokenizer


@dataclass(frozen=True)
class Options:
    """Everything that decides a run."""

    model: str
    data: pathlib.Path
    state: pathlib.Path
    export: pathlib.Path
    suite: pathlib.Path
    seed: int
    minutes: float
    decay_share: float
    rate: float
    weight_decay: float
    answer_weight: float
    warmup_steps: int
    short_steps: int
    dense_steps: int
    stop_after: int
    attention: str
    resume: bool
    start_from: pathlib.Path | None
    new_from: int


def parse_options() -> Options:
    parser = argparse.ArgumentParser(description="Trains one of the small models.")
    add = parser.add_argument
    add("--model", choices=sorted(SHAPES), required=True)
    add("--data", type=pathlib.Path, default=pathlib.Path(".train-data"))
    add("--state", type=pathlib.Path, default=pathlib.Path(".train"), help="checkpoints and logs")
    add("--export", type=pathlib.Path, default=pathlib.Path("models"))
    add("--suite", type=pathlib.Path, default=pathlib.Path("eval/suites/said-once-dev.jsonl"))
    add("--seed", type=int, default=1)
    add("--minutes", type=float, default=5.5, help="wall-clock limit, compilation included")
    add("--decay-share", type=float, default=0.6, help="last part of the time, rate falling")
    add("--rate", type=float, default=3e-3)
    add("--weight-decay", type=float, default=0.1)
    add("--answer-weight", type=float, default=25.0, help="weight of answer tokens in the loss")
    add("--warmup-steps", type=int, default=100)
    add("--short-steps", type=int, default=500, help="steps of 1,024-token sequences at first")
    add("--dense-steps", type=int, default=1500, help="steps in which nearly all have facts")
    add("--stop-after", type=int, default=0, help="steps after which to stop in any case")
    add("--attention", choices=("auto", "flash", "cudnn"), default="auto")
    add("--resume", action="store_true", help="go on from the state before the rate fell")
    add("--start-from", type=pathlib.Path, help="begin with the weights of this export")
    add("--new-from", type=int, default=0, help="with it: ids from here on are new numbers")
    return Options(**vars(parser.parse_args()))


@dataclass(frozen=True)
class Stage:
    """What a batch of a step looks like: 65,536 tokens in either case."""

    rows: int
    length: int
    mixture: Mixture


def stage_of(step: int, options: Options) -> Stage:
    """The curriculum."""
    dense = step < options.dense_steps
    if step < options.short_steps:
        return Stage(64, 1024, Mixture(0.9, facts=(2, 6)))
    if dense:
        return Stage(16, 4096, Mixture(0.9, facts=(6, 20), asked=(1, 2)))
    return Stage(16, 4096, Mixture(0.75, facts=(3, 12), asked=(1, 2)))


@torch.no_grad()
def renew_rows(table: torch.Tensor, first: int, digits: slice) -> None:
    """Rows from `first` on become rows of numbers: around the mean of the digits, as far apart.

    Each keeps the direction in which it differed from its kind, in the embedding and in the output
    head, so that heads which copy any token copy the new ones at once.
    """
    apart = table[first:] - table[first:].mean(0)
    middle = table[digits].mean(0)
    spread = (table[digits] - middle).norm(dim=1).mean() / apart.norm(dim=1).mean()
    table[first:] = middle + spread * apart


class Batches(Dataset):
    """Item n is the whole batch of step n."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._mixer: SequenceMixer | None = None

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        if self._mixer is None:  # made in the worker
            data = self._options.data
            store = TokenStore.load(data, "train")
            self._mixer = SequenceMixer(store, data / "tokenizer.json", self._options.seed)
        stage = stage_of(step, self._options)
        tokens, answers = self._mixer.batch(step, stage.rows, stage.length, stage.mixture)
        weights = 1.0 + (self._options.answer_weight - 1.0) * answers[:, 1:]
        return torch.from_numpy(tokens), torch.from_numpy(weights.astype(np.float32))


class Trainer:
    """Owns the model, its optimisers and the log of one run."""

    def __init__(self, options: Options) -> None:
        self._began = time.monotonic()
        self._options = options
        self._folder = options.state / options.model
        self._folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        torch._dynamo.config.recompile_limit = 64  # never fall back to eager unnoticed
        shape = SHAPES[options.model]
        self._model = CausalLm(shape).cuda()
        self._tokenizer = load_tokenizer(options.data / "tokenizer.json")
        self._earlier: list[dict[str, Any]] = []
        if options.start_from:
            earlier = json.loads((options.start_from / "training.json").read_text())
            self._earlier = earlier["legs"]
            self._model.load_state_dict(load_weights(options.start_from))
        if options.new_from:
            zero = self._tokenizer.token_to_id("0")
            tables = [self._model.model.embed_tokens.weight]
            tables += [] if shape.tied else [self._model.lm_head.weight]
            for table in tables:
                renew_rows(table, options.new_from, slice(zero, zero + 10))
        self._optimizers = make_optimizers(self._model, options.rate, options.weight_decay)
        self._step = 0
        self._seconds_before = 0.0
        self._log: list[dict[str, Any]] = []
        self._falling = False
        if options.resume:
            self._restore()
        self._questions = measure.read_suite(options.suite, self._tokenizer)
        self._dev_tokens = TokenStore.load(options.data, "dev").tokens
        width = shape.head_dim if isinstance(shape, LlamaShape) else 64
        kernel = attention.use_fastest(shape.heads, width, shape.context, options.attention)
        self._note({"event": "start", "kernel": kernel, "parameters": self._parameters()})
        for layer in self._model.model.layers:
            layer.compile(dynamic=False)
        self._loss = torch.compile(weighted_loss, dynamic=False)

    def _parameters(self) -> int:
        return sum(p.numel() for p in self._model.parameters())

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _note(self, entry: dict[str, Any]) -> None:
        seconds = round(self._seconds_before + self._elapsed(), 2)
        self._log.append({"step": self._step, "seconds": seconds, **entry})
        print(self._options.model, json.dumps(self._log[-1]), flush=True)

    def _rate_now(self) -> float:
        """Warm-up by steps, the final fall by wall-clock time."""
        limit = self._options.minutes * 60
        fall = limit * self._options.decay_share
        left = max(0.0, limit - self._elapsed())
        warm = min(1.0, (self._step + 1) / self._options.warmup_steps)
        return self._options.rate * warm * min(1.0, left / fall)

    def _save(self, name: str) -> None:
        state = {
            "model": self._model.state_dict(),
            "optimizers": [o.state_dict() for o in self._optimizers],
            "step": self._step,
            "seconds": self._seconds_before + self._elapsed(),
            "log": self._log,
        }
        partial = self._folder / f"{name}.partial"
        torch.save(state, partial)
        partial.rename(self._folder / f"{name}.pt")

    def _restore(self) -> None:
        state = torch.load(self._folder / "stable.pt", map_location="cuda", weights_only=True)
        self._model.load_state_dict(state["model"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._step, self._log = state["step"], state["log"]
        self._seconds_before = state["seconds"]

    @torch.no_grad()
    def _logits(self, tokens: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16), torch.compiler.set_stance("force_eager"):
            return self._model(tokens)

    def _measure(self, questions: int, windows: int) -> dict[str, float]:
        length = self._model.shape.context
        found = measure.recall(self._logits, self._questions[:questions], length)
        text = measure.text_loss(self._logits, self._dev_tokens, length, windows)
        return {**found, "dev_loss": text["loss"], "dev_perplexity": text["perplexity"]}

    def _train_step(self, tokens: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        rate = self._rate_now()
        set_rate(self._optimizers, rate)
        tokens = tokens.cuda(non_blocking=True).long()
        weights = weights.cuda(non_blocking=True)
        with torch.autocast("cuda", torch.bfloat16):
            hidden = self._model.hidden(tokens[:, :-1])
            losses = self._loss(hidden, self._model.output_weight(), tokens[:, 1:], weights)
        losses[0].backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._step += 1
        return losses.detach()

    def _after_step(self, losses: torch.Tensor) -> None:
        if self._step % 20 == 0:
            weighted, plain = losses.tolist()
            if plain != plain:
                raise FloatingPointError(f"the loss is not a number at step {self._step}")
            self._note({"loss": plain, "weighted": weighted, "rate": self._rate_now()})
        if self._step % 150 == 0:
            self._note({"event": "dev", **self._measure(40, 8)})
        falls = self._elapsed() > self._options.minutes * 60 * (1 - self._options.decay_share)
        if not self._falling and (falls or self._step % 500 == 0):
            self._save("stable")
            self._falling = falls

    def run(self) -> None:
        """Trains until the time is over, then exports and measures what was exported."""
        target = self._options.export / self._options.model
        tokenizer = self._options.data / "tokenizer.json"
        save_model(self._folder / "first", self._model, tokenizer)
        loader = DataLoader(
            Batches(self._options),
            batch_size=None,
            sampler=range(self._step, 1 << 30),
            num_workers=5,
            prefetch_factor=8,
            pin_memory=True,
        )
        for tokens, weights in loader:
            self._after_step(self._train_step(tokens, weights))
            over = self._elapsed() > self._options.minutes * 60
            if over or self._step == self._options.stop_after:
                break
        save_model(target, self._model, tokenizer)
        with torch.no_grad():  # what was exported is what is measured
            for parameter in self._model.parameters():
                parameter.copy_(parameter.bfloat16())
        self._note({"event": "final", **self._measure(len(self._questions), 32)})
        self._write_log()

    def _write_log(self) -> None:
        run = {
            "options": {k: str(v) for k, v in dataclasses.asdict(self._options).items()},
            "command": " ".join(["python3 -m eval.train", *sys.argv[1:]]),
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "tokens_per_step": 65536,
            "log": self._log,
        }
        path = self._options.export / self._options.model / "training.json"
        path.write_text(json.dumps({"legs": [*self._earlier, run]}, separators=(",", ":")) + "\n")


def main() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the loaders fork
    Trainer(parse_options()).run()


if __name__ == "__main__":
    main()
