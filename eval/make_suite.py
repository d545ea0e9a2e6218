# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Builds a said-once suite: held-out text with twelve facts in it, of which eight are asked for.

One JSON object a line: `prompt` (the text's first lines, no fact in them), `context`, which goes on
from there, `continuation` (the text that really follows, no fact in it) and `questions` (`prompt`,
`answer`). Strings, to be tokenised by whichever model is loaded: the first three end at a line's
end, a question's prompt ends in the space before the digits, so the parts give the same tokens
apart as together. That is checked here for the tokenizer that is given.

Those asked for are the first. tiny-deepseek looks at the latest notes whatever it reads, so a
policy that goes by attention keeps them: what is asked must have been followed by other notes.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from eval import corpus, facts
from eval.tokenizer import encode, line_starts, load_tokenizer


PASSES = 24  # over the files of a split
NOTE_TOKENS = 20  # of a fact's line, about
SLACK = 30  # tokens by which the facts' lines may differ from that


@dataclass(frozen=True)
class Plan:
    """Sizes in tokens, the begin-of-text token not counted."""

    context: tuple[int, int] = (3500, 3690)  # the prompt included
    continuation: int = 256
    facts: int = 12
    asked: int = 8  # the first of them
    head: int = 16  # no fact within so many first tokens, whose whole lines are the prompt
    tail: int = 400  # nor within so many last ones


@dataclass(frozen=True)
class Window:
    """A stretch of one file: whole lines, with the characters where a line may be put in."""

    path: str
    first_token: int
    text: str
    places: list[int]
    continuation: str


def _last_at_most(values: list[int], limit: int) -> int | None:
    fitting = [v for v in values if v <= limit]
    return fitting[-1] if fitting else None


def draw_window(
    dice: random.Random, tokenizer: Tokenizer, file: corpus.SourceFile, plan: Plan
) -> Window | None:
    """A window with room for the facts' lines, or nothing where the file is too short."""
    ids, offsets, starts = line_starts(tokenizer, file.text)
    fact_room = plan.facts * NOTE_TOKENS
    size = dice.randint(plan.context[0] + SLACK, plan.context[1] - SLACK) - fact_room
    fitting = [s for s in starts if s + size + plan.continuation + 8 < len(ids)]
    if not fitting:
        return None
    first = dice.choice(fitting)
    end = _last_at_most(starts, first + size)
    stop = _last_at_most(starts, (end or 0) + plan.continuation)
    if end is None or stop is None or stop - end < 200:
        return None
    if end - first + fact_room < plan.context[0] + SLACK:
        return None
    low, high = first + plan.head, end - plan.tail
    places = [offsets[s] - offsets[first] for s in starts if low <= s <= high]
    return Window(
        file.path,
        first,
        file.text[offsets[first] : offsets[end]],
        places,
        file.text[offsets[end] : offsets[stop]],
    )


def plant(dice: random.Random, window: Window, plan: Plan) -> tuple[str, list[facts.Fact]]:
    """The context with one note in each of as many equal stretches, and the facts in order."""
    planted = facts.draw_facts(dice, plan.facts, held_out=True)
    while any(fact.code in window.text for fact in planted):
        planted = facts.draw_facts(dice, plan.facts, held_out=True)
    parts, done = [], 0
    for number, fact in enumerate(planted):
        low = len(window.places) * number // plan.facts
        high = len(window.places) * (number + 1) // plan.facts
        at = window.places[dice.randrange(low, high)]
        parts += [window.text[done:at], fact.note()]
        done = at
    return "".join([*parts, window.text[done:]]), planted


def whole_context(entry: dict[str, Any]) -> str:
    """All that is read before the continuation or a question."""
    return entry["prompt"] + entry["context"]


def prompt_end(starts: list[int], plan: Plan) -> int:
    """Tokens of the prompt, given those at which lines start: the lines that fit the head, or one."""
    behind = [s for s in starts if s > 0]
    return _last_at_most(behind, plan.head) or behind[0]


def check(tokenizer: Tokenizer, entry: dict[str, Any], plan: Plan, limit: int = 4096) -> None:
    """Raises if parts and whole differ in tokens, or if sizes or places are off."""
    text = whole_context(entry)
    context = encode(tokenizer, text)
    opening, rest = encode(tokenizer, entry["prompt"]), encode(tokenizer, entry["context"])
    if opening + rest != context:
        raise ValueError("the prompt is not separable")
    follow = encode(tokenizer, entry["continuation"])
    if not plan.context[0] <= len(context) <= plan.context[1]:
        raise ValueError(f"context of {len(context)} tokens")
    if encode(tokenizer, text + entry["continuation"]) != context + follow:
        raise ValueError("the continuation is not separable")
    for asked in entry["questions"]:
        prompt, answer = encode(tokenizer, asked["prompt"]), encode(tokenizer, asked["answer"])
        if len(answer) != facts.CODE_TOKENS:
            raise ValueError(f"an answer of {len(answer)} tokens")
        question = asked["prompt"] + asked["answer"]
        for before, ids in (
            (text, context),
            (text + entry["continuation"], context + follow),
        ):
            if encode(tokenizer, before + question) != ids + prompt + answer:
                raise ValueError("a question is not separable")
        if 1 + len(context) + len(follow) + len(prompt) + len(answer) > limit:
            raise ValueError("too long for the models' context")
        at = len(encode(tokenizer, text[: text.index(f"is {asked['answer']}\n")]))
        if not plan.head <= at <= len(context) - plan.tail:
            raise ValueError(f"a fact at token {at} of {len(context)}")
        if text.count(asked["answer"]) != 1:
            raise ValueError("a code is there more than once")


def build(tokenizer: Tokenizer, split: str, seed: int, contexts: int) -> list[dict[str, Any]]:
    """The suite's entries. Files are taken in a drawn order, again from the first when used up.

    Windows of one file start at least half a context apart, so no two share most of their text.
    """
    plan, dice = Plan(), random.Random(f"{split}/{seed}")
    files = [f for f in corpus.read_library() if f.split == split]
    dice.shuffle(files)
    entries: list[dict[str, Any]] = []
    taken: dict[str, list[int]] = {}
    for file in files * PASSES:
        window = draw_window(dice, tokenizer, file, plan)
        if window is None or len(entries) == contexts:
            continue
        others = taken.setdefault(file.path, [])
        if all(abs(window.first_token - o) >= plan.context[0] // 2 for o in others):
            others.append(window.first_token)
            text, planted = plant(dice, window, plan)
            _, offsets, starts = line_starts(tokenizer, text)
            end = offsets[prompt_end(starts, plan)]
            entry = {
                "id": f"{split}-{len(entries):02d}",
                "source": window.path,
                "prompt": text[:end],
                "context": text[end:],
                "continuation": window.continuation,
                "questions": [
                    {"prompt": fact.question(), "answer": fact.code}
                    for fact in planted[: plan.asked]
                ],
            }
            check(tokenizer, entry, plan)
            entries.append(entry)
    if len(entries) < contexts:
        raise ValueError(f"the {split} split has room for {len(entries)} contexts only")
    return entries


def write_suites(
    description: str,
    stem: str,
    build_split: Callable[[Tokenizer, str, int, int], list[dict[str, Any]]],
) -> None:
    """The command line of a suite's builder: writes STEM.jsonl and STEM-dev.jsonl."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tokenizer", type=pathlib.Path, default=pathlib.Path("models/tiny-llama"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("eval/suites"))
    parser.add_argument("--contexts", type=int, default=40)
    parser.add_argument("--test-seed", type=int, default=2026)
    parser.add_argument("--dev-seed", type=int, default=7)
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.tokenizer)
    options.out.mkdir(parents=True, exist_ok=True)
    suites = {stem: ("test", options.test_seed), f"{stem}-dev": ("dev", options.dev_seed)}
    for name, (split, seed) in suites.items():
        entries = build_split(tokenizer, split, seed, options.contexts)
        lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
        (options.out / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        questions = sum(len(entry["questions"]) for entry in entries)
        print(f"{name}: {len(entries)} contexts, {questions} questions, seed {seed}")


def main() -> None:
    write_suites("Builds the suites of said-once questions.", "said-once", build)


if __name__ == "__main__":
    main()
