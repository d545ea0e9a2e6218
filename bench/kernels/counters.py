#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Why an operation takes as long as it does: Nsight Compute's counters of each of its kernels.

usage: counters.py DEVICE_BENCH DEVICE.json OUT [NAME...]

Profiles the operations NAME of device_bench, or those that miss their target in DEVICE.json, each
launched once with cold caches. Writes OUT/counters.json and OUT/counters.md, and what ncu printed
as OUT/counters-N.csv. Stalls are the cycles that a warp waits between two instructions for each
reason, the longest first; the pipe is the busiest one.
"""
import csv
import json
import pathlib
import re
import subprocess
import sys

SECTIONS = ("SpeedOfLight", "Occupancy", "SchedulerStats", "WarpStateStats",
            "ComputeWorkloadAnalysis")
COLUMNS = {  # of a row: (a metric's name begins so, what one of its units is in ours)
    "us": ("gpu__time_duration.sum", {"ns": 1e-3, "us": 1.0, "ms": 1e3, "nsecond": 1e-3,
                                      "usecond": 1.0, "msecond": 1e3}),
    "dram_percent": ("gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed", {}),
    "l2_percent": ("lts__throughput.avg.pct_of_peak_sustained_elapsed", {}),
    "l1_percent": ("l1tex__throughput.avg.pct_of_peak_sustained_active", {}),
    "sm_percent": ("sm__throughput.avg.pct_of_peak_sustained_elapsed", {}),
    "issue_percent": ("smsp__issue_active.avg.per_cycle_active", {"": 100.0, "inst/cycle": 100.0}),
    "occupancy_percent": ("sm__warps_active.avg.pct_of_peak_sustained_active", {}),
}
NAME = re.compile(r"\w+Kernel\b")
STALL = re.compile(r"smsp__average_warps_issue_stalled_(\w+?)_per_issue_active\.ratio")
PIPE = re.compile(r"sm__(?:inst_executed_)?pipe_(\w+?)(?:_cycles_active)?"
                  r"\.avg\.pct_of_peak_sustained_active")


def number(text):
    return float(text.replace(",", "")) if text not in ("", "n/a") else 0.0


def kernels(printed):
    """One dictionary a kernel, from the raw page as CSV: names, units, then a line a kernel."""
    lines = [line for line in printed.splitlines() if line.startswith('"')]
    names, units, *rows = csv.reader(lines)
    for row in rows:
        values = dict(zip(names, row))
        name = NAME.search(values["Kernel Name"])
        kernel = {"kernel": name[0] if name else values["Kernel Name"]}
        for column, (metric, factors) in COLUMNS.items():
            if metric in values:
                factor = factors.get(units[names.index(metric)], 1.0)
                kernel[column] = round(number(values[metric]) * factor, 2)
        kernel["stalls"] = largest(STALL, values, 4)
        kernel["pipes"] = largest(PIPE, values, 2)
        yield kernel


def largest(pattern, values, count):
    found = {match[1]: number(value) for name, value in values.items()
             if (match := pattern.fullmatch(name))}
    return {name: round(found[name], 2)
            for name in sorted(found, key=found.get, reverse=True)[:count]}


def profile(program, name, raw):
    command = ["ncu", "--csv", "--page", "raw", "--clock-control", "none",
               *(f"--section={section}" for section in SECTIONS), program, "--once", name]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    raw.write_text(ended.stdout)
    if ended.returncode != 0:
        sys.exit(f"counters.py: ncu of '{name}' ended with {ended.returncode}: see {raw}\n"
                 f"{ended.stderr}")
    return [{"operation": name, **kernel} for kernel in kernels(ended.stdout)]


def markdown(rows):
    yield ("| operation | kernel | us | DRAM % | L2 % | L1 % | SM % | issue % | occupancy % | "
           "pipe % | stalls, cycles |")
    yield "|---" * 11 + "|"
    for row in rows:
        cells = [f"{row[column]:.1f}" if column in row else "-" for column in COLUMNS]
        pipe = ", ".join(f"{name} {share:.0f}" for name, share in row["pipes"].items())
        stalls = ", ".join(f"{name} {cycles:.1f}" for name, cycles in row["stalls"].items())
        yield "| " + " | ".join((row["operation"], row["kernel"], *cells, pipe, stalls)) + " |"


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    program, table, out, *names = sys.argv[1:]
    out = pathlib.Path(out)
    if not names:
        rows = json.loads(pathlib.Path(table).read_text())["operations"]
        names = [row["operation"] for row in rows if row.get("met") is False and "ms" in row]
    rows = []
    for i, name in enumerate(names):
        rows += profile(program, name, out / f"counters-{i}.csv")
    (out / "counters.json").write_text(json.dumps(rows, indent=1) + "\n")
    (out / "counters.md").write_text("\n".join(markdown(rows)) + "\n")
    print((out / "counters.md").read_text())


if __name__ == "__main__":
    main()
