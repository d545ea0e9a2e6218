# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Golden values for the C++ tests, computed by transformers in float32 with eager attention.

Writes, below tests/testdata: golden/NAME.json for each trained model, golden/tokenizer.json, and
random-NAME/ (configuration, weights and golden.json) for each random one.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

import torch
import transformers
from torch import Tensor

from eval import random_models
from eval.make_suite import whole_context
from eval.shapes import SHAPES
from eval.tokenizer import BEGIN_ID, encode, load_tokenizer
from eval.verify import load_reference

PROMPT_TOKENS = 48
LONG_PROMPT_TOKENS = 192
GREEDY_TOKENS = 16
TOP = 16
POSITIONS = {
    PROMPT_TOKENS: (0, 1, 7, 15, 31, 46, 47),
    LONG_PROMPT_TOKENS: (0, 1, 31, 63, 127, 190, 191),
}
LAYER_VALUES = 8

STRINGS = (
    "",
    " ",
    "\n",
    "hello world",
    "Hello, World!",
    "def f(x):\n    return x + 1\n",
    "for i in range(10):\n\tprint(i)\n",
    "0123456789",
    "3.14159e-10 and 1,000,000",
    "version 3.11.7",
    "  two leading spaces",
    "trailing spaces   ",
    "a  b   c    d",
    "tabs\t\tand spaces \t mixed",
    "line one\n\n\nline four\n   \n    indented after a blank\n",
    "carriage\r\nreturns\r\n",
    "it's they're we've I'm you'll he'd IT'S THEY'RE",
    "snake_case camelCase SCREAMING_CASE kebab-case",
    "# note: the code for zan-vik is 00917\n",
    "# recall: the code for zan-vik is ",
    "naïve café, Ærøskøbing, Straße",
    "Привет, мир",
    "漢字かな交じり文",
    "한국어 텍스트",
    "العربية ١٢٣ और हिन्दी १२३",
    "emoji: 🙂 👩‍👩‍👧 🇩🇰 ❤️",
    "combining: e\u0301 o\u0308 and \u00a0no-break\u2003em space",
    "x² + y³ ≤ ∞ — “quoted” … ½ Ⅷ",
    "<|begin_of_text|>specials inside<|end_of_text|>",
    "if __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]) or 0)\n",
    "\u200bzero width\u200b and \x00 control \x7f",
    "..., !!! ??? ((())) [[]] {{}} ==> <<= >>= ** // -> :=\n\n",
)


def _rounded(values: Tensor) -> list[float]:
    return [round(v, 5) for v in values.double().tolist()]


@torch.no_grad()
def golden(folder: pathlib.Path, prompt: list[int]) -> dict[str, Any]:
    """Logits, states of every layer and a greedy continuation for one prompt."""
    model = load_reference(folder)
    states: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(
            lambda _m, _i, out: states.append(out[0] if isinstance(out, tuple) else out)
        )
        for layer in model.model.layers
    ]
    logits = model(torch.tensor([prompt]), use_cache=False).logits[0]
    for hook in hooks:
        hook.remove()
    positions = []
    for position in POSITIONS[len(prompt)]:
        top = logits[position].topk(TOP)
        positions.append(
            {"position": position, "ids": top.indices.tolist(), "logits": _rounded(top.values)}
        )
    ids = list(prompt)
    for _ in range(GREEDY_TOKENS):
        ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    last = [state.reshape(-1, len(prompt), state.shape[-1])[0, -1] for state in states]
    rope = getattr(model.config, "rope_parameters", None) or {}
    return {
        "compute": "float32 from the stored weights, eager attention, no cache",
        "transformers": transformers.__version__,
        "rope": {
            "theta": rope.get("rope_theta"),
            "type": rope.get("rope_type"),
            "interleave": getattr(model.config, "rope_interleave", None),
        },
        "attention_scale": float(model.model.layers[0].self_attn.scaling),
        "prompt": prompt,
        "top": positions,
        "last_logits": _rounded(logits[-1]),
        "layers_at_last_position": [
            {
                "layer": number,
                "first_values": _rounded(state[:LAYER_VALUES]),
                "norm": round(state.norm().item(), 5),
            }
            for number, state in enumerate(last)
        ],
        "greedy": ids[len(prompt) :],
    }


def _write(path: pathlib.Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n")


def write_trained(out: pathlib.Path, models: pathlib.Path, suite: pathlib.Path) -> None:
    """Golden values of both trained models on the same 48 tokens of held-out text."""
    text = whole_context(json.loads(suite.read_text().splitlines()[0]))
    for name in SHAPES:
        tokenizer = load_tokenizer(models / name)
        prompt = [BEGIN_ID, *encode(tokenizer, text)][:PROMPT_TOKENS]
        head = {"model": f"models/{name}", "text": tokenizer.decode(prompt)}
        _write(out / "golden" / f"{name}.json", {**head, **golden(models / name, prompt)})


def write_tokenizer(out: pathlib.Path, folder: pathlib.Path) -> None:
    """Ids of every string, without special tokens added around them."""
    tokenizer = load_tokenizer(folder)
    cases = [{"text": text, "ids": encode(tokenizer, text)} for text in STRINGS]
    for case in cases:
        case["decoded"] = tokenizer.decode(case["ids"], skip_special_tokens=False)
    _write(out / "golden" / "tokenizer.json", {"begin_id": BEGIN_ID, "cases": cases})


def write_random(out: pathlib.Path, seed: int) -> None:
    """All random models with their golden values; the prompt is drawn, too."""
    generator = torch.Generator().manual_seed(seed)
    for name in random_models.CONFIGS:
        random_models.write(name, out / name, seed)
        tokens = LONG_PROMPT_TOKENS if name in random_models.LONG_PROMPTS else PROMPT_TOKENS
        prompt = torch.randint(2, 256, (tokens,), generator=generator).tolist()
        _write(out / name / "golden.json", {"model": name, **golden(out / name, [0, *prompt[1:]])})


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes golden values for the tests.")
    parser.add_argument("what", nargs="+", choices=("trained", "tokenizer", "random"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/testdata"))
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("models"))
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    if "random" in options.what:
        write_random(options.out, options.seed)
    if "tokenizer" in options.what:
        write_tokenizer(options.out, options.models / "tiny-llama")
    if "trained" in options.what:
        suite = pathlib.Path("eval/suites/said-once.jsonl")
        write_trained(options.out, options.models, suite)


if __name__ == "__main__":
    main()
