"""What every benchmark prints: its figures, whether each reaches its mark, and all arms tried."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from pathlib import Path
from typing import Any

YARDSTICK_STEPS = 2_000_000


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the two options that every benchmark has."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="smaller, within a minute")
    return parser


def make_figure(
    figure_id: str,
    value: float | None,
    *,
    n: int,
    seed: int | str | None,
    note: str,
    low: float = -math.inf,
    high: float = math.inf,
    decimals: int | None = None,
) -> dict[str, Any]:
    """Return one figure and whether it lies where it must, both ends included.

    It is judged before it is rounded to ``decimals``. A figure that was not measured neither holds
    nor fails.
    """
    holds = None if value is None else bool(low <= value <= high)
    if value is not None and decimals is not None:
        value = round(float(value), decimals)
    return {"id": figure_id, "value": value, "holds": holds, "n": n, "seed": seed, "note": note}


def describe_machine() -> dict[str, Any]:
    """Return what the seconds were measured on, with a yardstick: machines differ by threefold."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        total = 0
        for number in range(YARDSTICK_STEPS):
            total += number
        seconds.append(time.process_time() - started)
    return {
        "processors": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "yardstick_s": round(min(seconds), 4),
        "yardstick": f"CPU seconds of {YARDSTICK_STEPS:,} additions in a Python loop, best of 3",
    }


def read_peak_bytes() -> int:
    """Return this process's peak memory; ``getrusage`` would begin at that of its parent."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def print_report(report: dict[str, Any], *, is_json: bool) -> None:
    """Print figures, arms and the machine as one JSON object, or the figures as lines."""
    if is_json:
        print(json.dumps({**report, "machine": describe_machine()}, indent=1))
        return
    for row in report["figures"]:
        value = "not measured" if row["value"] is None else f"{row['value']:.6g}"
        print(f"{row['id']:24} {value:>14}  holds {row['holds']}  n {row['n']}  {row['note']}")
