#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Joins what device_bench and peers.py measured into one table, beside the targets.

usage: device_table.py OURS.json PEERS.json OUT     writes OUT/device.json and OUT/device.md

The targets were set on an H200. Those that memory bounds are multiplied by the ratio of its copy
bandwidth to this card's; those of attention, which arithmetic bounds, stand as they are.
"""
import datetime
import json
import pathlib
import subprocess
import sys

H200_COPY_GB_PER_S = 4250
MEMORY, ARITHMETIC = "memory", "arithmetic"

# name: (target on an H200 in ms, what bounds it)
TARGETS = {
    "select 61 x 131072": (0.05, MEMORY),
    "select and band 61 x 131072": (0.05, MEMORY),
    "select 1 x 1048576": (0.03, MEMORY),
    "select and band 1 x 1048576": (0.03, MEMORY),
    "top-256 entropy 4096 x 128256": (0.45, MEMORY),
    "top-256 entropy 4096 x 16032": (0.07, MEMORY),
    "shift 32768 x 7168": (0.25, MEMORY),
    "compact 25 % of 131072 x 4096 B": (0.075, MEMORY),
    "attention GQA 32/8 x 128, W 64, 131072": (0.20, ARITHMETIC),
    "attention GQA 32/8 x 128, W 64, 131072, own sums": (0.35, ARITHMETIC),
    "attention GQA 32/8 x 128, W 64, 32768": (0.06, ARITHMETIC),
    "attention GQA 32/8 x 128, W 64, 32768, own sums": (0.10, ARITHMETIC),
    "attention GQA 32/8 x 128, W 32, 131072": (0.12, ARITHMETIC),
    "attention GQA 32/8 x 128, W 32, 131072, own sums": (0.20, ARITHMETIC),
    "attention MLA 16 x 576, W 32, 131072": (0.18, ARITHMETIC),
    "attention MLA 16 x 576, W 32, 131072, own sums": (0.33, ARITHMETIC),
}


def joined(ours, peers):
    for name, row in ours["operations"].items():
        row = {"operation": name, **row, **peers["peers"].get(name, {})}
        row["floor_ms"] = max(row["bytes_ms"], row["arithmetic_ms"])
        row["ratio_to_floor"] = round(row["ms"] / row["floor_ms"], 2)
        if name in TARGETS:
            target, bound = TARGETS[name]
            scale = H200_COPY_GB_PER_S / ours["copy_gb_per_s"] if bound == MEMORY else 1.0
            row["target_ms"] = round(target * scale, 4)
            row["met"] = row["ms"] <= row["target_ms"]
        yield row


def cell(row, key):
    return f"{row[key]:.3f}" if key in row else "-"


def markdown(machine, rows):
    yield ", ".join(machine.values()) + "."
    yield ""
    yield "| operation | floor, ms | PyTorch eager | torch.compile | ours | ratio to floor | target | |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        verdict = "-" if "met" not in row else "met" if row["met"] else "miss"
        times = " | ".join(cell(row, key) for key in ("floor_ms", "eager_ms", "compile_ms", "ms"))
        yield (f"| {row['operation']} | {times} | {row['ratio_to_floor']:.1f} | "
               f"{cell(row, 'target_ms')} | {verdict} |")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    ours, peers = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:3])
    out = pathlib.Path(sys.argv[3])
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
        capture_output=True, text=True, check=True).stdout.split()[0]
    machine = {"date": datetime.date.today().isoformat(), "device": ours["device"],
               "driver": f"driver {driver}", "torch": f"PyTorch {peers['torch']}",
               "copy": f"copy {ours['copy_gb_per_s']} GB/s"}
    rows = list(joined(ours, peers))
    (out / "device.json").write_text(json.dumps({"machine": machine, "operations": rows}, indent=1))
    (out / "device.md").write_text("\n".join(markdown(machine, rows)) + "\n")
    print((out / "device.md").read_text())


if __name__ == "__main__":
    main()
