# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Tokenised text on disk, and training sequences with facts planted into it.

A sequence depends on nothing but the seed and the number of its step, so a resumed run continues
with exactly the data that an uninterrupted one would have seen.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import platform
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from eval import corpus, facts
from eval.tokenizer import BEGIN_ID, END_ID, encode, line_starts, load_tokenizer, train_tokenizer


@dataclass(frozen=True)
class TokenStore:
    """One split as a long row of tokens.

    tokens: uint16, files one after another, each ended by the end-of-text token.
    starts: sorted int32 positions before which a whole line may be inserted.
    """

    tokens: np.ndarray
    starts: np.ndarray

    @classmethod
    def load(cls, folder: pathlib.Path, split: str) -> TokenStore:
        with np.load(folder / f"{split}.npz") as stored:
            return cls(stored["tokens"], stored["starts"])


@dataclass(frozen=True)
class Mixture:
    """How facts are planted: shares are per sequence, counts are inclusive ranges."""

    fact_share: float
    facts: tuple[int, int]
    asked: tuple[int, int] = (1, 3)
    asked_late_share: float = 0.5  # sequences whose questions all come in the last twelfth
    begin_share: float = 0.95  # sequences that start with the begin-of-text token


class SequenceMixer:
    """Draws sequences of a fixed length from a store."""

    def __init__(self, store: TokenStore, tokenizer_path: pathlib.Path, seed: int) -> None:
        self._store = store
        self._tokenizer = load_tokenizer(tokenizer_path)
        self._seed = seed

    def batch(
        self, step: int, rows: int, length: int, mixture: Mixture
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tokens [rows, length + 1] and, aligned with them, which belong to an answer."""
        dice = random.Random(f"{self._seed}/{step}")
        drawn = [self._sequence(dice, length + 1, mixture) for _ in range(rows)]
        return np.stack([t for t, _ in drawn]), np.stack([a for _, a in drawn])

    def _sequence(
        self, dice: random.Random, length: int, mixture: Mixture
    ) -> tuple[np.ndarray, np.ndarray]:
        planted = []
        if dice.random() < mixture.fact_share:
            planted = facts.draw_facts(dice, dice.randint(*mixture.facts))
        lines = [self._lines_of(dice, fact, mixture) for fact in planted]
        spent = sum(len(line) for group in lines for line in group)
        begin = dice.random() < mixture.begin_share
        room = length - spent - begin
        first = dice.randrange(len(self._store.tokens) - room)
        text = np.asarray(self._store.tokens[first : first + room], dtype=np.int32)
        low, high = np.searchsorted(self._store.starts, (first + 1, first + room))
        places = np.asarray(self._store.starts[low:high]) - first
        if len(places) < 24:  # a window without lines: text alone, drawn to the full length
            return self._plain(dice, length)
        events = self._place(dice, lines, len(places), mixture)
        return self._assemble(text, places, events, begin)

    def _plain(self, dice: random.Random, length: int) -> tuple[np.ndarray, np.ndarray]:
        first = dice.randrange(len(self._store.tokens) - length)
        text = np.asarray(self._store.tokens[first : first + length], dtype=np.int32)
        return text, np.zeros(length, dtype=np.uint8)

    def _lines_of(
        self, dice: random.Random, fact: facts.Fact, mixture: Mixture
    ) -> list[list[int]]:
        """The note's tokens, then those of each question with its answer."""
        note, recall = encode(self._tokenizer, fact.note()), encode(self._tokenizer, fact.recall())
        return [note] + [recall] * dice.randint(*mixture.asked)

    @staticmethod
    def _place(
        dice: random.Random, lines: list[list[list[int]]], places: int, mixture: Mixture
    ) -> list[tuple[int, float, list[int], bool]]:
        """(place, tie-break, tokens, is a question), sorted; a note always comes first."""
        late = dice.random() < mixture.asked_late_share
        events = []
        for note, *questions in lines:
            said = dice.randrange(places - 1)
            earliest = max(said + 1, places - places // 12) if late else said + 1
            events.append((said, dice.random(), note, False))
            for question in questions:
                events.append((dice.randrange(earliest, places), dice.random(), question, True))
        return sorted(events)

    @staticmethod
    def _assemble(
        text: np.ndarray,
        places: np.ndarray,
        events: list[tuple[int, float, list[int], bool]],
        begin: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        parts, flags, done = [], [], 0
        if begin:
            parts.append(np.array([BEGIN_ID], dtype=np.int32))
            flags.append(np.zeros(1, dtype=np.uint8))
        for place, _, line, is_question in events:
            at = int(places[place])
            parts += [text[done:at], np.array(line, dtype=np.int32)]
            answer = np.zeros(len(line), dtype=np.uint8)
            if is_question:  # ... the code, newline
                answer[-1 - facts.CODE_TOKENS : -1] = 1
            flags += [np.zeros(at - done, dtype=np.uint8), answer]
            done = at
        parts.append(text[done:])
        flags.append(np.zeros(len(text) - done, dtype=np.uint8))
        return np.concatenate(parts), np.concatenate(flags)


def _write_split(
    folder: pathlib.Path, split: str, tokenizer: Tokenizer, files: list[corpus.SourceFile]
) -> int:
    """Tokenises the files one after another; returns the number of tokens."""
    tokens: list[np.ndarray] = []
    starts: list[np.ndarray] = []
    position = 0
    for file in files:
        ids, _, eligible = line_starts(tokenizer, file.text)
        tokens.append(np.array([*ids, END_ID], dtype=np.uint16))
        starts.append(np.array(eligible, dtype=np.int32) + position)
        position += len(ids) + 1
    np.savez_compressed(
        folder / f"{split}.npz", tokens=np.concatenate(tokens), starts=np.concatenate(starts)
    )
    return position


def prepare(folder: pathlib.Path) -> dict[str, Any]:
    """Reads the corpus, learns the tokenizer on the training split, writes all splits."""
    folder.mkdir(parents=True, exist_ok=True)
    files = list(corpus.read_library())
    summary: dict[str, Any] = {
        "python": platform.python_version(),
        "library": {"files": len(files), "bytes": sum(len(f.text.encode()) for f in files)},
        "packages": [],
    }
    for package in corpus.find_packages():
        sources = list(corpus.read_package(package))
        size = sum(len(f.text.encode()) for f in sources)
        if size > 20_000:
            files += sources
            entry = {"name": package.name, "version": package.version, "licence": package.licence}
            summary["packages"].append({**entry, "bytes": size})
    tokenizer = train_tokenizer(f.text for f in files if f.split == "train")
    tokenizer.save(str(folder / "tokenizer.json"))
    for split in ("train", "dev", "test"):
        chosen = [f for f in files if f.split == split]
        summary[f"{split}_tokens"] = _write_split(folder, split, tokenizer, chosen)
    (folder / "corpus.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=prepare.__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(".train-data"))
    print(json.dumps(prepare(parser.parse_args().out)))


if __name__ == "__main__":
    main()
