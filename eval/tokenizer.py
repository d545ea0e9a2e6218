# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""The tokenizer shared by both models: byte-level BPE, and one token for up to three digits.

The split pattern is that of the Llama 3 family. Digits are taken in threes from the left, and every
run of two or three of them is in the vocabulary; it is put there, not learned, so that a
number costs the same tokens however rare it is. A newline that is followed by a non-blank line
always ends a piece, so a whole line put there changes no token around it: planted facts and the
suites rest on that.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from tokenizers import trainers

VOCABULARY = 4096
BEGIN, END, PAD = "<|begin_of_text|>", "<|end_of_text|>", "<|pad|>"
SPECIALS = (BEGIN, END, PAD)
BEGIN_ID, END_ID, PAD_ID = 0, 1, 2
PAIRS = [f"{n:02d}" for n in range(100)]
TRIPLES = [f"{n:03d}" for n in range(1000)]
LEARNED = VOCABULARY - len(PAIRS) - len(TRIPLES)  # ids below it: specials, bytes, learned merges


def split_pattern(digits: str) -> str:
    """The pre-tokenizer's pattern, given what it takes for one piece of a number."""
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        + digits
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Learns the merges, digits apart, then adds the numbers.

    Deterministic for the same texts in the same order.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _pieces(r"\p{N}")
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=LEARNED,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in SPECIALS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=16,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, BEGIN_ID)]
    )
    if tokenizer.get_vocab_size() != LEARNED:
        raise ValueError(f"vocabulary of {tokenizer.get_vocab_size()}, wanted {LEARNED}")
    return _with_numbers(tokenizer)


def _pieces(digits: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split_pattern(digits)), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _with_numbers(tokenizer: Tokenizer) -> Tokenizer:
    """Every run of two or three digits as a token, behind the learned ones.

    Pairs merge by their rank, so in "321" the last two may merge before the first two do: a triple
    is reached from either side.
    """
    description = json.loads(tokenizer.to_str())
    model = description["model"]
    for text in PAIRS + TRIPLES:
        model["vocab"][text] = len(model["vocab"])
    model["merges"] += [[text[0], text[1]] for text in PAIRS]
    for text in TRIPLES:
        model["merges"] += [[text[:2], text[2]], [text[0], text[1:]]]
    grouped = Tokenizer.from_str(json.dumps(description))
    grouped.pre_tokenizer = _pieces(r"\p{N}{1,3}")
    for text in PAIRS + TRIPLES:
        if len(encode(grouped, text)) != 1:
            raise ValueError(f"{text} is not one token")
    return grouped


def load_tokenizer(path: pathlib.Path) -> Tokenizer:
    """Reads a tokenizer.json, or the one inside a model's folder."""
    return Tokenizer.from_file(str(path / "tokenizer.json" if path.is_dir() else path))


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids without any special token around them."""
    return tokenizer.encode(text, add_special_tokens=False).ids


def line_starts(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[int], list[int]]:
    """Ids, the character where each token starts, and the tokens before which a line may be put.

    Such a token starts a non-blank line, and a newline stands before it.
    """
    encoding = tokenizer.encode(text, add_special_tokens=False)
    offsets = [start for start, _ in encoding.offsets]
    eligible = []
    position = 0
    starts = set()
    for line in text.splitlines(keepends=True):
        if position and line.strip() and text[position - 1] == "\n":
            starts.add(position)
        position += len(line)
    previous = -1
    for index, start in enumerate(offsets):
        if start in starts and start != previous:
            eligible.append(index)
        previous = start
    return encoding.ids, offsets, eligible


def write_companions(folder: pathlib.Path, context_tokens: int) -> None:
    """tokenizer_config.json and special_tokens_map.json, as Hugging Face's loaders expect them."""
    names = {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD}
    added = {
        str(i): {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for i, text in enumerate(SPECIALS)
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": added,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context_tokens,
        **names,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=2) + "\n")
