# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Builds a decoding suite: facts said 57, 30, 10 and 1 rounds of compression before they are asked for.

A round follows every 64 tokens behind the prompt, and all contexts have room for 58 rounds. Of each distance two facts are asked for; four more, said in between and after,
are not, so that whatever looks at the latest notes does not find what is asked. Lines are as those of
make_suite, and each question says how many tokens ago its note ended.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from eval import corpus, facts
from eval.make_suite import PASSES, Plan, check, prompt_end, write_suites
from eval.tokenizer import encode, line_starts

ROUND_TOKENS = 64
ROUNDS = 58
ASKED_ROUNDS_AGO = (57, 57, 30, 30, 10, 10, 1, 1)
OTHER_ROUNDS_AGO = (45, 20, 5, 0)
HEAD = 32
GENERATED = (ROUNDS * ROUND_TOKENS, (ROUNDS + 1) * ROUND_TOKENS - 1)  # tokens behind the prompt
PLAN = Plan(
    context=(GENERATED[0], GENERATED[1] + HEAD),
    continuation=256,
    facts=len(ASKED_ROUNDS_AGO) + len(OTHER_ROUNDS_AGO),
    asked=len(ASKED_ROUNDS_AGO),
    head=HEAD,
    tail=24,
)


@dataclass(frozen=True)
class Note:
    """A fact, the line of the text before which it is put, and whether it is asked for."""

    fact: facts.Fact
    place: int  # token of the text without notes
    asked: bool


@dataclass(frozen=True)
class Text:
    """A file from one of its lines on, in tokens, with the places where a line may be put in."""

    text: str
    offsets: list[int]  # character where each token starts
    places: list[int]  # tokens, ascending


def place_notes(
    dice: random.Random, tokenizer: Tokenizer, places: list[int], prompt_tokens: int
) -> list[Note] | None:
    """Notes in order, each ending so many rounds before the last; nothing where no place fits."""
    wanted = sorted(
        [(ago, True) for ago in ASKED_ROUNDS_AGO] + [(ago, False) for ago in OTHER_ROUNDS_AGO],
        key=lambda one: -one[0],
    )
    notes: list[Note] = []
    put_in = -prompt_tokens  # tokens from the prompt's end to a place, besides the text's own
    drawn = facts.draw_facts(dice, len(wanted), held_out=True)
    for number, ((ago, asked), fact) in enumerate(zip(wanted, drawn, strict=True)):
        size = len(encode(tokenizer, fact.note()))
        after = notes[-1].place if notes else PLAN.head
        fitting = [
            place
            for place in places
            if place > after and (put_in + place + size) // ROUND_TOKENS == ROUNDS - ago
        ]
        if number + 1 < len(wanted) and wanted[number + 1][0] == ago:
            fitting = fitting[: max(1, len(fitting) // 2)]  # leaves room for the next one
        if not fitting:
            return None
        notes.append(Note(fact, dice.choice(fitting), asked))
        put_in += size
    return notes


def make_entry(
    dice: random.Random, tokenizer: Tokenizer, file: corpus.SourceFile
) -> tuple[int, dict[str, Any]] | None:
    """The first token of the window and the entry without its id; nothing where it does not fit."""
    ids, offsets, starts = line_starts(tokenizer, file.text)
    room = PLAN.context[1] + PLAN.continuation + 8
    fitting = [s for s in starts if s + room < len(ids)]
    if not fitting:
        return None
    first = dice.choice(fitting)
    places = [s - first for s in starts if first <= s <= first + PLAN.context[1]]
    prompt_tokens = prompt_end(places, PLAN)
    if prompt_tokens > PLAN.head:
        return None
    notes = place_notes(dice, tokenizer, places, prompt_tokens)
    if notes is None or any(note.fact.code in file.text for note in notes):
        return None
    put_in = sum(len(encode(tokenizer, note.fact.note())) for note in notes)
    ends = [p for p in places if GENERATED[0] <= p + put_in - prompt_tokens <= GENERATED[1]]
    stops = [s for s in starts if ends and 200 <= s - first - ends[-1] <= PLAN.continuation]
    if not stops:
        return None
    parts, done = [], first
    for note in notes:
        parts += [file.text[offsets[done] : offsets[first + note.place]], note.fact.note()]
        done = first + note.place
    end = first + ends[-1]
    context = "".join([*parts, file.text[offsets[done] : offsets[end]]])
    total = len(encode(tokenizer, context))
    prompt = file.text[offsets[first] : offsets[first + prompt_tokens]]

    def tokens_ago(fact: facts.Fact) -> int:
        after = context.index(fact.note()) + len(fact.note())
        return total - len(encode(tokenizer, context[:after]))

    return first, {
        "source": file.path,
        "prompt": prompt,
        "context": context[len(prompt) :],
        "continuation": file.text[offsets[end] : offsets[stops[-1]]],
        "questions": [
            {
                "prompt": note.fact.question(),
                "answer": note.fact.code,
                "tokens_ago": tokens_ago(note.fact),
            }
            for note in notes
            if note.asked
        ],
    }


def check_rounds(tokenizer: Tokenizer, entry: dict[str, Any]) -> None:
    """Raises where a note is not as many rounds old as the suite promises."""
    length = len(encode(tokenizer, entry["context"]))
    ago = [
        length // ROUND_TOKENS - (length - asked["tokens_ago"]) // ROUND_TOKENS
        for asked in entry["questions"]
    ]
    if length // ROUND_TOKENS != ROUNDS or tuple(ago) != ASKED_ROUNDS_AGO:
        raise ValueError(f"{length // ROUND_TOKENS} rounds, notes {ago} rounds ago")


def build(tokenizer: Tokenizer, split: str, seed: int, contexts: int) -> list[dict[str, Any]]:
    """The suite's entries; windows of one file start at least half a context apart."""
    dice = random.Random(f"decode/{split}/{seed}")
    files = [f for f in corpus.read_library() if f.split == split]
    dice.shuffle(files)
    entries: list[dict[str, Any]] = []
    taken: dict[str, list[int]] = {}
    for file in files * PASSES:
        if len(entries) == contexts:
            break
        made = make_entry(dice, tokenizer, file)
        if made is None:
            continue
        first, entry = made
        others = taken.setdefault(file.path, [])
        if all(abs(first - other) >= PLAN.context[0] // 2 for other in others):
            others.append(first)
            check(tokenizer, entry, PLAN)
            check_rounds(tokenizer, entry)
            entries.append({"id": f"{split}-{len(entries):02d}", **entry})
    if len(entries) < contexts:
        raise ValueError(f"the {split} split has room for {len(entries)} contexts only")
    return entries


def main() -> None:
    write_suites("Builds the suites of decoding questions.", "decode", build)


if __name__ == "__main__":
    main()
