#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Joins what device_bench, offload_bench and peers.py measured in one run, beside the targets.

usage: device_table.py OURS.json TRANSFERS.json PEERS.json OUT    writes OUT/device.json and OUT/device.md
"""
import datetime
import json
import pathlib
import subprocess
import sys

import targets


def operations(ours, peers):
    """Rows of the table of operations, in ms; a target without a measurement has none either."""
    measured = ours["operations"]
    for name in [*measured, *(name for name in targets.OPERATIONS if name not in measured)]:
        row = {"operation": name, **measured.get(name, {}), **peers["peers"].get(name, {})}
        if name in measured:
            row["floor_ms"] = max(row["bytes_ms"], row["arithmetic_ms"])
            row["ratio_to_floor"] = round(row["ms"] / row["floor_ms"], 2)
        if name in targets.OPERATIONS:
            target = targets.OPERATIONS[name]
            row["h200_target_ms"] = target.h200_ms
            row["target_ms"] = round(target.ms(ours["device"], ours["copy_gb_per_s"]), 4)
            row["met"] = name in measured and row["ms"] <= row["target_ms"]
        yield row


def transfers(measured, peers):
    """Rows of the table of transfers, in GB/s."""
    by_way = {(row["block_bytes"], row["way"]): row for row in measured["transfers"]}
    for block_bytes in targets.TRANSFER_BLOCK_BYTES:
        for way in ("out", "back"):
            row = {"block_bytes": block_bytes, "way": way, "one_copy": measured["one_copy"][way]}
            for column, of in (("memcpy", "cudaMemcpyAsync"), ("batch", "cudaMemcpyBatchAsync"),
                               ("gathered", "kernel and one copy"), ("ours", "ours")):
                row[column] = by_way[block_bytes, of][way]
            torch = peers["transfers"].get(str(block_bytes), {})
            if way in torch:
                row["torch"] = torch[way]
            row["target"] = targets.TRANSFER_GB_PER_S
            row["met"] = row["ours"] >= row["target"]
            yield row


def cell(row, key, digits):
    return f"{row[key]:.{digits}f}" if key in row else "-"


def line(cells):
    return "| " + " | ".join(cells) + " |"


def verdict(row):
    return "-" if "met" not in row else "met" if row["met"] else "miss"


def markdown(table):
    rows = [*table["operations"], *table["transfers"]]
    met = sum(row.get("met", False) for row in rows)
    yield ", ".join(table["machine"].values()) + "."
    yield f"{met} of {sum('met' in row for row in rows)} targets are met."
    yield ""
    yield line(("operation, ms", "floor", "PyTorch eager", "torch.compile", "ours",
                "ratio to floor", "target on an H200", "here", ""))
    yield "|---" * 9 + "|"
    for row in table["operations"]:
        times = (cell(row, key, 3) for key in ("floor_ms", "eager_ms", "compile_ms", "ms"))
        yield line((row["operation"], *times, cell(row, "ratio_to_floor", 1),
                    cell(row, "h200_target_ms", 3), cell(row, "target_ms", 3), verdict(row)))
    yield ""
    yield line(("scattered blocks, GB/s", "", "one copy", "cudaMemcpyAsync each",
                "cudaMemcpyBatchAsync", "PyTorch", "gather and one copy", "ours", "target", ""))
    yield "|---" * 10 + "|"
    for row in table["transfers"]:
        rates = (cell(row, key, 1)
                 for key in ("one_copy", "memcpy", "batch", "torch", "gathered", "ours", "target"))
        yield line((f"{row['block_bytes']:,} bytes", row["way"], *rates, verdict(row)))


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    ours, offload, peers = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:4])
    out = pathlib.Path(sys.argv[4])
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
        capture_output=True, text=True, check=True).stdout.split()[0]
    machine = {"date": datetime.date.today().isoformat(), "device": ours["device"],
               "driver": f"driver {driver}", "torch": f"PyTorch {peers['torch']}",
               "copy": f"copy {ours['copy_gb_per_s']} GB/s"}
    table = {"machine": machine, "operations": list(operations(ours, peers)),
             "transfers": list(transfers(offload, peers))}
    (out / "device.json").write_text(json.dumps(table, indent=1) + "\n")
    (out / "device.md").write_text("\n".join(markdown(table)) + "\n")
    print((out / "device.md").read_text())


if __name__ == "__main__":
    main()
