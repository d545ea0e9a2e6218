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


def measure_reference(
    reference: torch.nn.Module, folder: pathlib.Path, suites: list[pathlib.Path], data: pathlib.Path
) -> dict[str, Any]:
    """Recall on each suite, loss on both held-out splits, by transformers on the GPU."""
    reference.cuda().set_attn_implementation("sdpa")

    def logits(tokens: Tensor) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return reference(tokens, use_cache=False).logits

    tokenizer = load_tokenizer(folder)
    found: dict[str, Any] = {}
    for suite in suites:
        questions = measure.read_suite(suite, tokenizer)
        by = f"transformers {transformers.__version__}, bfloat16 autocast"
        found[suite.stem] = {**measure.recall(logits, questions, 4096), "by": by}
    for split in ("dev", "test"):
        tokens = TokenStore.load(data, split).tokens
        found[f"text_{split}"] = measure.text_loss(logits, tokens, 4096)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares an exported model with transformers.")
    parser.add_argument("--model", choices=sorted(SHAPES), required=True)
    parser.add_argument("--folder", type=pathlib.Path, help="default: models/MODEL")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(".train-data"))
    parser.add_argument("--agree-only", action="store_true", help="compare logits, measure nothing")
    options = parser.parse_args()
    folder = options.folder or pathlib.Path("models") / options.model
    reference = load_reference(folder)
    check_tokenizer(folder)
    text = TokenStore.load(options.data, "dev").tokens[:512].astype(np.int64)
    apart = largest_difference(options.model, reference, torch.from_numpy(text)[None])
    found: dict[str, Any] = {
        "model": options.model,
        "transformers": transformers.__version__,
        "largest_logit_difference": apart,
        "rope": str(getattr(reference.config, "rope_parameters", None)),
    }
    if not options.agree_only:
        suites = sorted(pathlib.Path("eval/suites").glob("*.jsonl"))
        found |= measure_reference(reference, folder, suites, options.data)
        (folder / "results.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))
    if apart > TOLERANCE:
        raise SystemExit(f"logits differ by {apart}")


if __name__ == "__main__":
    main()
