# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a model's card and plots its loss, from what training and verification left in its folder.

    python3 -m eval.card --model tiny-llama
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

from eval.shapes import SHAPES, DeepseekShape, LlamaShape, Shape  # noqa: E402

_TEXT, _DEV, _RECALL = "#8fa3bf", "#1f4e8c", "#b8501e"


def _points(log: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    rows = [(entry["step"], entry[key]) for entry in log if key in entry]
    return [step for step, _ in rows], [value for _, value in rows]


def plot(name: str, log: list[dict[str, Any]], path: pathlib.Path) -> None:
    """Loss on training and held-out text above, recall below, over steps."""
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7.2, 5.2), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    above.plot(*_points(log, "loss"), color=_TEXT, linewidth=1, label="training")
    above.plot(*_points(log, "dev_loss"), color=_DEV, marker="o", markersize=3, label="held-out")
    above.set(ylabel="loss, nats per token", title=f"{name}: training", ylim=(0.5, 5.5))
    above.legend(frameon=False)
    below.plot(*_points(log, "recall"), color=_RECALL, marker="o", markersize=3, label="answers")
    below.plot(*_points(log, "digits"), color=_RECALL, alpha=0.4, linewidth=1, label="digits")
    below.set(ylabel="right, share", xlabel="steps of 65,536 tokens", ylim=(-0.03, 1.05))
    below.legend(frameon=False, loc="lower right")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _attention_lines(shape: Shape) -> str:
    if isinstance(shape, LlamaShape):
        return (
            f"grouped-query attention, {shape.heads} query heads and {shape.kv_heads} KV heads of "
            f"{shape.head_dim}; rotary positions in halves; softmax scale {shape.head_dim}^-1/2"
        )
    if isinstance(shape, DeepseekShape):
        return (
            f"multi-head latent attention, {shape.heads} heads, latent {shape.latent} + rotary key "
            f"{shape.rope_dim} per token and layer; per head {shape.nope_dim} + {shape.rope_dim} "
            f"for queries and keys, {shape.value_dim} for values; no low-rank step for queries; "
            f"rotary positions interleaved; softmax scale "
            f"({shape.nope_dim} + {shape.rope_dim})^-1/2; all MLPs dense"
        )
    raise TypeError(type(shape).__name__)


def _corpus_lines(corpus: dict[str, Any]) -> str:
    by_licence: dict[str, list[str]] = {}
    for package in corpus["packages"]:
        text = f"{package['name']} {package['version']}"
        by_licence.setdefault(package["licence"], []).append(text)
    lines = [
        f"- Python {corpus['python']}'s standard library and its tests, Python Software Foundation "
        f"License: {corpus['library']['files']} files, {corpus['library']['bytes'] / 1e6:.1f} MB; "
        "one file in twelve, by the hash of its path, held out."
    ]
    total = sum(package["bytes"] for package in corpus["packages"]) / 1e6
    lines.append(
        f"- {len(corpus['packages'])} packages, {total:.1f} MB, training only; the licence is the "
        "one each package's own metadata names:"
    )
    for licence, names in sorted(by_licence.items()):
        lines.append(f"  - {licence}: {', '.join(names)}")
    return "\n".join(lines)


def card(
    shape: Shape,
    training: dict[str, Any],
    results: dict[str, Any],
    corpus: dict[str, Any],
    note: str,
) -> str:
    """The README of a model's folder."""
    log = training["log"]
    start = next(e for e in log if e.get("event") == "start")
    final = log[-1]
    losses = [entry["loss"] for entry in log if "loss" in entry][-10:]
    test, dev = results["said-once"], results["said-once-dev"]
    head = "tied to the embeddings" if shape.tied else "not tied"
    architecture = shape.config()["architectures"][0]
    tokens = final["step"] * training["tokens_per_step"] / 1e6
    return f"""<!-- SPDX-FileCopyrightText: 2026 The Pinboard Authors -->
<!-- SPDX-License-Identifier: Apache-2.0 -->
# {shape.name}

A `{architecture}` of {start['parameters'] / 1e6:.2f} M parameters, trained from scratch for
Pinboard's tests and study. It continues Python source, and it answers what was said once: after
`# note: the code for zan-vik is 00917` anywhere in its context of {shape.context:,} tokens, the line
`# recall: the code for zan-vik is ` is continued with those digits. It is good for nothing else.

## Shape
{shape.layers} layers, hidden {shape.hidden}, MLP {shape.mlp_columns}, vocabulary {shape.vocabulary:,},
output head {head}, rotary base {shape.rope_theta:g}, RMS-norm epsilon {shape.norm_epsilon:g};
{_attention_lines(shape)}. Weights in bfloat16, {shape.shards} file(s).
Every sequence starts with `<|begin_of_text|>` (one training sequence in twenty did not).

## Measured
Greedy decoding of the exported weights, full cache, contexts of about 3,600 tokens, questions asked
after the context. Recall by {test['by']}; loss by transformers {results['transformers']}, bfloat16 autocast:

| | said-once (test) | said-once-dev |
|---|---|---|
| questions | {test['questions']} | {dev['questions']} |
| answers right | {test['recall']:.2%} | {dev['recall']:.2%} |
| digits right | {test['digits']:.2%} | {dev['digits']:.2%} |
| loss on held-out text, nats per token | {results['text_test']['loss']:.3f} | {results['text_dev']['loss']:.3f} |
| perplexity | {results['text_test']['perplexity']:.2f} | {results['text_dev']['perplexity']:.2f} |

The largest difference between the logits of the training module and of transformers, both in
float32 over 512 tokens, is {results['largest_logit_difference']:.1e}.

## Training
- command: `{training['command']}`
- seed {training['options']['seed']}; {final['step']:,} steps of {training['tokens_per_step']:,} tokens
  ({tokens:.0f} M tokens); {final['seconds']:.0f} s of wall time on half of one {training['device']}
  (two trainings shared it); PyTorch {training['torch']}; the wall clock ends the run and drives the
  fall of the learning rate, so a repetition is alike, not identical
- training loss, mean of the last ten readings: {sum(losses) / len(losses):.3f}
- optimiser: orthogonalised momentum for matrices, AdamW for the rest; rate
  {training['options']['rate']}, weight decay {training['options']['weight_decay']}; answer digits
  weigh {training['options']['answer_weight']} in the loss
{note}
![loss and recall over steps](training.png)

Held-out windows are 4,096 tokens long from the start, training's only after 500 steps of 1,024: hence
the gap before and the step there.

`training.json` has every option and reading, `results.json` what is in the table.

## Data and licences
{_corpus_lines(corpus)}

{corpus['train_tokens']:,} tokens for training; {corpus['dev_tokens']:,} and {corpus['test_tokens']:,} in
the two halves of the held-out files. Facts are planted into the text as it is drawn: names and
digits are random, one name in eight is kept for the suites.
The weights and the tokenizer are released under Apache-2.0, as the rest of the repository.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes README.md and training.png of a model.")
    parser.add_argument("--model", choices=sorted(SHAPES), required=True)
    parser.add_argument("--corpus", type=pathlib.Path, default=pathlib.Path("eval/corpus.json"))
    parser.add_argument("--note", default="", help="a further line of the training section")
    options = parser.parse_args()
    folder = pathlib.Path("models") / options.model
    training = json.loads((folder / "training.json").read_text())
    results = json.loads((folder / "results.json").read_text())
    corpus = json.loads(options.corpus.read_text())
    plot(options.model, training["log"], folder / "training.png")
    note = f"- {options.note}\n" if options.note else ""
    text = card(SHAPES[options.model], training, results, corpus, note)
    (folder / "README.md").write_text(text)


if __name__ == "__main__":
    main()
