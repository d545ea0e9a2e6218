# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Facts that are said once: a note with a fresh name and five fresh digits, and its question.

Names are two pronounceable pieces ("zan-vik"). One name in eight, by its checksum, is held out of
training; the suites use held-out names only, so recall there is never a memory of training.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Protocol

CODE_DIGITS = 5
CODE_TOKENS = 2  # three digits, then two
HELD_OUT_NAMES = 8
_ONSETS = ("b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z",
           "br", "dr", "gr", "kl", "pl", "st", "tr")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("b", "d", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "x", "z")


class Dice(Protocol):
    """What is asked of a random generator here (random.Random has it)."""

    def choice(self, seq: tuple[str, ...]) -> str: ...

    def randrange(self, stop: int) -> int: ...


@dataclass(frozen=True)
class Fact:
    """A name and its code of five digits."""

    name: str
    code: str

    def note(self) -> str:
        """The line that says it once."""
        return f"# note: the code for {self.name} is {self.code}\n"

    def question(self) -> str:
        """The line that asks for it, up to the first digit: it ends in a space."""
        return f"# recall: the code for {self.name} is "

    def recall(self) -> str:
        """The question with its answer, as training text has it."""
        return f"{self.question()}{self.code}\n"


def is_held_out(name: str) -> bool:
    """True for names that training never sees."""
    return zlib.crc32(name.encode()) % HELD_OUT_NAMES == 0


def _piece(dice: Dice) -> str:
    return dice.choice(_ONSETS) + dice.choice(_VOWELS) + dice.choice(_CODAS)


def draw_facts(dice: Dice, count: int, held_out: bool = False) -> list[Fact]:
    """Facts with distinct names; the digits are drawn anew every time."""
    facts: dict[str, Fact] = {}
    while len(facts) < count:
        name = f"{_piece(dice)}-{_piece(dice)}"
        if is_held_out(name) == held_out:
            facts[name] = Fact(name, f"{dice.randrange(10**CODE_DIGITS):0{CODE_DIGITS}d}")
    return list(facts.values())
