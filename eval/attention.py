# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the attention kernel for training: the faster one of those that agree.

Which of PyTorch's fused kernels wins depends on the head width and the card, so they are timed once
at the start, forward and backward, and their results compared.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


def _pass(inputs: list[Tensor]) -> list[Tensor]:
    out = F.scaled_dot_product_attention(*inputs, is_causal=True)
    return [out.detach(), *torch.autograd.grad(out.square().mean() * 1e3, inputs)]


def _milliseconds(backend: SDPBackend, inputs: list[Tensor]) -> tuple[float, list[Tensor]]:
    with sdpa_kernel(backend):
        results = [_pass(inputs) for _ in range(3)][-1]
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(8):
            _pass(inputs)
        end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 8, results


def _apart(a: list[Tensor], b: list[Tensor]) -> float:
    """The largest relative distance between two lists of results."""
    pairs = zip(a, b, strict=True)
    return max(((x.float() - y.float()).norm() / y.float().norm()).item() for x, y in pairs)


def use_fastest(heads: int, width: int, tokens: int, wanted: str = "auto") -> dict[str, object]:
    """Sets PyTorch's global switches and says what was measured (milliseconds, both passes)."""
    found: dict[str, object] = {}
    name = wanted
    if wanted == "auto":
        inputs = [
            torch.randn(4, tokens, heads, width, device="cuda", dtype=torch.bfloat16)
            .transpose(1, 2)
            .requires_grad_()
            for _ in range(3)
        ]
        name = "flash"
        flash_ms, reference = _milliseconds(SDPBackend.FLASH_ATTENTION, inputs)
        found["flash_ms"] = round(flash_ms, 3)
        try:
            cudnn_ms, other = _milliseconds(SDPBackend.CUDNN_ATTENTION, inputs)
            found |= {"cudnn_ms": round(cudnn_ms, 3), "apart": _apart(other, reference)}
            if cudnn_ms < 0.9 * flash_ms and found["apart"] < 2e-2:  # type: ignore[operator]
                name = "cudnn"
        except RuntimeError as error:
            found["cudnn_error"] = str(error).splitlines()[0]
    torch.backends.cuda.enable_cudnn_sdp(name == "cudnn")
    torch.backends.cuda.enable_flash_sdp(name == "flash")
    torch.backends.cuda.enable_mem_efficient_sdp(False)  # no silent fallback to a slower one
    torch.backends.cuda.enable_math_sdp(False)
    return {"attention": name, **found}
