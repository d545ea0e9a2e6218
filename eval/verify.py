# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks an exported model against Hugging Face's own classes, and measures it through them.

Logits of the training module and of transformers must agree in float32; recall and held-out loss
are then those of the exported bfloat16 weights, computed by transformers.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from eval import measure
from eval.data import TokenStore
from eval.modules import CausalLm
from eval.shapes import SHAPES
from eval.tokenizer import BEGIN_ID, encode, load_tokenizer

TOLERANCE = 2e-3


def load_reference(folder: pathlib.Path, attention: str = "eager") -> torch.nn.Module:
    """The exported weights in float32 under transformers' implementation, on the CPU."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    )
    return model.eval()


def largest_difference(name: str, reference: torch.nn.Module, tokens: Tensor) -> float:
    """The largest absolute difference of logits between transformers and the training module."""
    ours = CausalLm(SHAPES[name])
    ours.load_state_dict(reference.state_dict(), strict=not SHAPES[name].tied)
    with torch.no_grad():
        return (ours(tokens) - reference(tokens).logits).abs().max().item()


def check_tokenizer(folder: pathlib.Path) -> None:
    """transformers' tokenizer gives our ids, with begin-of-text in front."""
    text = "def f(x):\n    return 12345  # note: the code for zan-vik is 00917\n"
    fast = AutoTokenizer.from_pretrained(folder)
    wanted = [BEGIN_ID, *encode(load_tokenizer(folder), text)]
    if fast(text)["input_ids"] != wanted:
        raise ValueError(f"{fast(text)['input_ids']} is not {wanted}")


def gpu_logits(reference: torch.nn.Module) -> measure.Logits:
    """The model on the GPU, in bfloat16 where PyTorch's autocast says so."""
    reference.cuda().set_attn_implementation("sdpa")

    def logits(tokens: Tensor) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return reference(tokens, use_cache=False).logits

    return logits


def suite_recall(logits: measure.Logits, folder: pathlib.Path) -> dict[str, Any]:
    """Recall on each suite with the full cache."""
    tokenizer = load_tokenizer(folder)
    by = f"transformers {transformers.__version__}, bfloat16 autocast"
    found: dict[str, Any] = {}
    for suite in sorted(pathlib.Path("eval/suites").glob("*.jsonl")):
        questions = measure.read_suite(suite, tokenizer)
        found[suite.stem] = {**measure.recall(logits, questions, 4096), "by": by}
    return found


def held_out_loss(logits: measure.Logits, data: pathlib.Path) -> dict[str, Any]:
    """Loss on both held-out splits."""
    splits = {split: TokenStore.load(data, split).tokens for split in ("dev", "test")}
    return {f"text_{s}": measure.text_loss(logits, t, 4096) for s, t in splits.items()}


def agreement(name: str, reference: torch.nn.Module, data: pathlib.Path) -> dict[str, Any]:
    """What is found before anything is measured."""
    text = TokenStore.load(data, "dev").tokens[:512].astype(np.int64)
    return {
        "model": name,
        "transformers": transformers.__version__,
        "largest_logit_difference": largest_difference(name, reference, torch.from_numpy(text)[None]),
        "rope": str(getattr(reference.config, "rope_parameters", None)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares an exported model with transformers.")
    parser.add_argument("--model", choices=sorted(SHAPES), required=True)
    parser.add_argument("--folder", type=pathlib.Path, help="default: models/MODEL")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(".train-data"))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--agree-only", action="store_true", help="compare logits, measure nothing")
    what.add_argument("--recall-only", action="store_true", help="the suites anew, all else as it is")
    options = parser.parse_args()
    folder = options.folder or pathlib.Path("models") / options.model
    results = folder / "results.json"
    reference = load_reference(folder)
    check_tokenizer(folder)
    if options.recall_only:
        found = json.loads(results.read_text()) | suite_recall(gpu_logits(reference), folder)
    else:
        found = agreement(options.model, reference, options.data)
    if not (options.agree_only or options.recall_only):
        logits = gpu_logits(reference)
        found |= suite_recall(logits, folder) | held_out_loss(logits, options.data)
    if not options.agree_only:
        results.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))
    if found["largest_logit_difference"] > TOLERANCE:
        raise SystemExit(f"logits differ by {found['largest_logit_difference']}")


if __name__ == "__main__":
    main()
