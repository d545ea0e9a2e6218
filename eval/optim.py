# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Optimisation: orthogonalised momentum for the matrices inside the layers, AdamW for the rest.

The matrix rule keeps a momentum, replaces it by the nearest orthogonal matrix (five Newton-Schulz
steps in bfloat16) and scales it so that its entries are as large as AdamW's would be, so that one
learning rate serves both (Jordan, "Muon", 2024; the scale from Liu et al., arXiv:2502.16982).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonalise(batch: Tensor) -> Tensor:
    """Each matrix of [n, rows, columns] replaced, nearly, by U V^T of its singular value form."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = batch.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(batch.dtype)


class MatrixMomentum(torch.optim.Optimizer):
    """Momentum with orthogonalised updates; matrices of one shape are updated as one batch."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(
            parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for parameters in alike.values():
                self._step_alike(parameters, group)

    def _step_alike(self, parameters: list[nn.Parameter], group: dict[str, float]) -> None:
        momentum = group["momentum"]
        buffers = []
        for parameter in parameters:
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            buffers.append(state["momentum"])
        gradients = [p.grad for p in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, buffers, momentum)
        updates = orthogonalise(torch.stack(ahead))
        scale = 0.2 * max(parameters[0].shape) ** 0.5
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(updates.unbind()), alpha=-group["lr"] * scale)


def make_optimizers(
    model: nn.Module, rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """One optimiser for the layers' matrices, one for embeddings, output head and norms."""
    matrices, tables, gains = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            gains.append(parameter)
        elif "embed_tokens" in name or "lm_head" in name:
            tables.append(parameter)
        else:
            matrices.append(parameter)
    adam = torch.optim.AdamW(
        [
            {"params": tables, "weight_decay": weight_decay},
            {"params": gains, "weight_decay": 0.0},
        ],
        lr=rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    return [MatrixMomentum(matrices, rate, 0.95, weight_decay), adam]


def set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    """The same learning rate for every group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
