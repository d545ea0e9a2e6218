# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a model's card and plots its loss, from what training and verification left in its folder.

A leg is one run of training; a later one starts from the weights of the one before.

    python3 -m eval.card --model tiny-llama
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

from eval.shapes import SHAPES, DeepseekShape, LlamaShape, Shape  # noqa: E402

_TEXT, _DEV, _RECALL = "#8fa3bf", "#1f4e8c", "#b8501e"


def _points(
    legs: list[dict[str, Any]], begins: list[int], key: str
) -> tuple[list[int], list[float]]:
    steps: list[int] = []
    values: list[float] = []
    for leg, begin in zip(legs, begins, strict=True):
        rows = [(begin + entry["step"], entry[key]) for entry in leg["log"] if key in entry]
        steps += [*(step for step, _ in rows), begin + leg["log"][-1]["step"]]
        values += [*(value for _, value in rows), float("nan")]  # a gap between legs
    return steps, values


def plot(name: str, legs: list[dict[str, Any]], path: pathlib.Path) -> None:
    """Loss on training and held-out text above, recall below, over the steps of all legs."""
    ends = list(itertools.accumulate(leg["log"][-1]["step"] for leg in legs))
    begins = [0, *ends[:-1]]
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7.2, 5.2), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    text, held_out = _points(legs, begins, "loss"), _points(legs, begins, "dev_loss")
    above.plot(*text, color=_TEXT, linewidth=1, label="training")
    above.plot(*held_out, color=_DEV, marker="o", markersize=3, label="held-out")
    above.set(ylabel="loss, nats per token", title=f"{name}: training", ylim=(0.5, 5.5))
    above.legend(frameon=False)
    below.plot(*_points(legs, begins, "recall"), color=_RECALL, marker="o", markersize=3)
    below.set(ylabel="answers right", xlabel="steps of 65,536 tokens", ylim=(-0.03, 1.05))
    for axes in (above, below):
        for begin in begins[1:]:
            axes.axvline(begin, color="#777777", linewidth=0.8, linestyle=":")
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


def _leg_lines(number: int, leg: dict[str, Any], note: str) -> str:
    final, options = leg["log"][-1], leg["options"]
    tokens = final["step"] * leg["tokens_per_step"] / 1e6
    losses = [entry["loss"] for entry in leg["log"] if "loss" in entry][-10:]
    lines = [
        f"{number}. `{leg['command']}`",
        f"   - {final['step']:,} steps of {leg['tokens_per_step']:,} tokens ({tokens:.0f} M tokens), "
        f"{final['seconds']:.0f} s of wall time; seed {options['seed']}",
        f"   - rate {options['rate']}, weight decay {options['weight_decay']}; tokens of an answer "
        f"weigh {options['answer_weight']} in the loss",
        f"   - training loss, mean of the last ten readings: {sum(losses) / len(losses):.3f}; at the "
        f"end, on the dev half: loss {final['dev_loss']:.3f}, {final['recall']:.1%} of "
        f"{final['questions']} questions right",
    ]
    return "\n".join([*lines, f"   - {note}"] if note else lines)


def _training_lines(legs: list[dict[str, Any]], notes: list[str]) -> str:
    told = itertools.zip_longest(legs, notes[: len(legs)], fillvalue="")
    return "\n".join(_leg_lines(number, *leg) for number, leg in enumerate(told, start=1))


def _table(results: dict[str, Any]) -> str:
    test, dev = results["said-once"], results["said-once-dev"]
    texts = results["text_test"], results["text_dev"]
    rows = [
        ("questions", [f"{r['questions']}" for r in (test, dev)]),
        ("answers right", [f"{r['recall']:.2%}" for r in (test, dev)]),
        ("recall measured by", [r["by"] for r in (test, dev)]),
        ("loss on held-out text, nats per token", [f"{t['loss']:.3f}" for t in texts]),
        ("perplexity", [f"{t['perplexity']:.2f}" for t in texts]),
    ]
    head = ["| | said-once (test) | said-once-dev |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {name} | {a} | {b} |" for name, (a, b) in rows)])


def _certainty_line(found: dict[str, Any]) -> str:
    """How uncertain the model was of a code, if the NumPy reading measured it."""
    if "code_entropy" not in found:
        return ""
    whole, ahead, worst = (
        found[key]
        for key in ("code_entropy", "less_certain_context", "less_certain_context_worst")
    )
    return (
        "\nWhere a code is said, the predictions of its two tokens have an entropy of "
        f"{whole[0]:.1f} and {whole[1]:.1f} nats\n(mean over said-once). Less certain, by the entropy "
        f"of the 256 most probable tokens, were {ahead[0]:.1%} and {ahead[1]:.1%}\nof the context's "
        f"tokens; {worst[0]:.1%} and {worst[1]:.1%} at the worst.\n"
    )


def card(
    shape: Shape,
    legs: list[dict[str, Any]],
    results: dict[str, Any],
    corpus: dict[str, Any],
    notes: list[str],
) -> str:
    """The README of a model's folder."""
    start = next(e for e in legs[0]["log"] if e.get("event") == "start")
    head = "tied to the embeddings" if shape.tied else "not tied"
    architecture = shape.config()["architectures"][0]
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
after the context. An answer is two tokens, three digits and two, and right if both are. Loss by
transformers {results['transformers']}, bfloat16 autocast:

{_table(results)}
{_certainty_line(results['said-once'])}
The largest difference between the logits of the training module and of transformers, both in
float32 over 512 tokens, is {results['largest_logit_difference']:.1e}.

## Training
In {len(legs)} leg(s), each on half of one {legs[0]['device']} (two trainings shared it), PyTorch
{legs[0]['torch']}. The wall clock ends a leg and drives the fall of its learning rate, so a
repetition is alike, not identical. Optimiser: orthogonalised momentum for matrices, AdamW for the rest.

{_training_lines(legs, notes)}
![loss and recall over steps](training.png)

The first leg's held-out windows are 4,096 tokens long from the start, its training's only after 500
steps of 1,024: hence the gap before and the step there.

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
    parser.add_argument("--note", action="append", default=[], help="a line for leg 1, then 2")
    options = parser.parse_args()
    folder = pathlib.Path("models") / options.model
    legs = json.loads((folder / "training.json").read_text())["legs"]
    results = json.loads((folder / "results.json").read_text())
    corpus = json.loads(options.corpus.read_text())
    plot(options.model, legs, folder / "training.png")
    text = card(SHAPES[options.model], legs, results, corpus, options.note)
    (folder / "README.md").write_text(text)


if __name__ == "__main__":
    main()
