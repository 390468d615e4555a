"""What decisions, compilations and snapshots cost without a server, by size of the rule set.

Every size is measured in a process of its own (``measure``), all in one run: ratios between sizes are worth more than
the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from load.prepare import module_environment

from bench.facts import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.parts import Options

SIZES = (10, 1_000, 100_000, 1_000_000)
QUICK_SIZES = (10, 1_000, 10_000)
MEMORY_A_PERMISSION = 14_000
"""Bytes that generating and compiling a permission may take, generously."""

Result: TypeAlias = "dict[str, float]"
"""What ``measure`` prints: seconds and bytes."""


def measure(options: Options) -> list[Result]:
    """Every size that there is enough memory for."""
    sizes = QUICK_SIZES if options.quick else [size for size in SIZES if size <= options.large]
    return [result for size in sizes if (result := _measure(size))]


def lines(results: list[Result]) -> list[str]:
    """The figures, a line a size."""
    columns: dict[str, Callable[[Result], str]] = {
        "permissions": lambda r: f"{r['permissions']:,}",
        "decide µs": lambda r: f"{r['decide_s'] * 1e6:.2f}",
        "p10 µs": lambda r: f"{r['decide_p10_s'] * 1e6:.2f}",
        "p99 µs": lambda r: f"{r['decide_p99_s'] * 1e6:.2f}",
        "compile s": lambda r: f"{r['compile_s']:.3g}",
        "digest s": lambda r: f"{r['digest_s']:.3g}",
        "one edit s": lambda r: f"{r['edit_digest_s'] + r['edit_compile_s']:.3g}",
        "decided s": lambda r: f"{r['edit_decided_s']:.3g}" if "edit_decided_s" in r else "",
        "blob MB": lambda r: f"{r['blob_bytes'] / 1e6:.3g}",
        "load ms": lambda r: f"{r['load_s'] * 1e3:.3g}",
        "server MB": lambda r: f"{r['server_rss'] / 1e6:.3g}",
        "compiler MB": lambda r: f"{r['compiler_rss'] / 1e6:.4g}",
    }
    rows = [list(columns), *([show(result) for show in columns.values()] for result in results)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    out = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [out[0], "-" * len(out[0]), *out[1:]]


def _measure(size: int) -> Result | None:
    needed, free = size * MEMORY_A_PERMISSION, free_memory()
    if needed > free:
        print(f"{size:,}: left out, it may take {needed / 1e9:.0f} GB and {free / 1e9:.0f} GB are free", flush=True)
        return None
    print(f"{size:,} permissions …", flush=True)
    program = [sys.executable, str(Path(__file__).with_name("measure.py")), str(size)]
    done = subprocess.run(program, env=module_environment(), stdout=subprocess.PIPE, check=True, text=True)
    result: Result = json.loads(done.stdout)
    return result
