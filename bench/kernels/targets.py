# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""What the device's operations are to reach, and what that is on another card.

The targets were set on an H200 and stand there as they are. On another card, those of operations that
memory bounds are multiplied by the ratio of the H200's copy bandwidth to the card's; those that
arithmetic bounds stand, for Hopper's cards multiply at the same rate. Those of the link to the host
are shares of one large copy.
"""
import dataclasses

H200_COPY_GB_PER_S = 4250


@dataclasses.dataclass(frozen=True)
class Operation:
    h200_ms: float
    bytes_ms: float  # the floors on the H200
    products_ms: float = 0.0

    def ms(self, device, copy_gb_per_s):
        """The target on a card of that name and copy bandwidth."""
        if "H200" in device or self.products_ms > self.bytes_ms:
            return self.h200_ms
        return self.h200_ms * H200_COPY_GB_PER_S / copy_gb_per_s


OPERATIONS = {
    "select 61 x 131072": Operation(0.05, 0.007),
    "select 1 x 1048576": Operation(0.03, 0.001),
    "top-256 entropy 4096 x 128256": Operation(0.45, 0.239),
    "top-256 entropy 4096 x 16032": Operation(0.07, 0.030),
    "full entropy 4096 x 128256": Operation(0.28, 0.239),
    "full entropy 4096 x 16032": Operation(0.04, 0.030),
    "shift 32768 x 7168": Operation(0.25, 0.214),
    "compact 25 % of 131072 x 4096 B": Operation(0.075, 0.063),
    "attention GQA 32/8 x 128, W 64, 131072": Operation(0.20, 0.061, 0.087),
    "attention GQA 32/8 x 128, W 64, 131072, own sums": Operation(0.35, 0.122, 0.174),
    "attention GQA 32/8 x 128, W 64, 32768": Operation(0.06, 0.015, 0.022),
    "attention GQA 32/8 x 128, W 64, 32768, own sums": Operation(0.10, 0.030, 0.044),
    "attention GQA 32/8 x 128, W 32, 131072": Operation(0.12, 0.061, 0.044),
    "attention GQA 32/8 x 128, W 32, 131072, own sums": Operation(0.20, 0.122, 0.088),
    "attention MLA 16 x 576, W 32, 131072": Operation(0.18, 0.034, 0.098),
    "attention MLA 16 x 576, W 32, 131072, own sums": Operation(0.33, 0.068, 0.196),
}

# Blocks of 1,152 bytes and more, out and back: 52 GB/s where one copy makes 55.3.
TRANSFER_GB_PER_S = 52.0
TRANSFER_BLOCK_BYTES = (1_152, 4_096, 16_384, 73_728)
