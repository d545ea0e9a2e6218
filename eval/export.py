# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Saves a trained model the way Hugging Face's loaders expect to find it."""

from __future__ import annotations

import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from eval.modules import CausalLm
from eval.shapes import Shape
from eval.tokenizer import BEGIN_ID, END_ID, PAD_ID, write_companions

_METADATA = {"format": "pt"}


def _bytes_of(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _split(weights: dict[str, Tensor], shards: int) -> list[dict[str, Tensor]]:
    """Consecutive runs of tensors, of about equal bytes."""
    total = sum(map(_bytes_of, weights.values()))
    parts: list[dict[str, Tensor]] = [{} for _ in range(shards)]
    done = 0
    for name, tensor in weights.items():
        parts[min(shards - 1, done * shards // total)][name] = tensor
        done += _bytes_of(tensor)
    return parts


def save_weights(folder: pathlib.Path, weights: dict[str, Tensor], shards: int) -> None:
    """model.safetensors, or numbered shards with their index."""
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata=_METADATA)
        return
    where: dict[str, str] = {}
    for number, part in enumerate(_split(weights, shards), start=1):
        name = f"model-{number:05d}-of-{shards:05d}.safetensors"
        save_file(part, folder / name, metadata=_METADATA)
        where |= dict.fromkeys(part, name)
    index = {
        "metadata": {"total_size": sum(map(_bytes_of, weights.values()))},
        "weight_map": dict(sorted(where.items())),
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def load_weights(folder: pathlib.Path) -> dict[str, Tensor]:
    """All tensors of an export, from however many files."""
    weights: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    return weights


def save_model(folder: pathlib.Path, model: CausalLm, tokenizer: pathlib.Path) -> None:
    """Weights in bfloat16, both configurations, the tokenizer and its companions."""
    folder.mkdir(parents=True, exist_ok=True)
    shape: Shape = model.shape
    weights = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_weights(folder, weights, shape.shards)
    (folder / "config.json").write_text(json.dumps(shape.config(), indent=2) + "\n")
    generation = {
        "bos_token_id": BEGIN_ID,
        "eos_token_id": END_ID,
        "pad_token_id": PAD_ID,
        "do_sample": False,
    }
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    write_companions(folder, shape.context)
