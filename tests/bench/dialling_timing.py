"""What reading an extension costs, where a tenant says how it dials.

    .venv/bin/python tests/bench/dialling_timing.py [--numbers N]

For each country and outside line: the bytes of the section, the words that a call is decided by, and microseconds a
request over different extensions as people dial them: the median of the time that passed, and the mean of processor
time, which a busy machine does not change much. It exits with 1 where the mean is over the target.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import phonenumbers
from dialling_cases import Numbers

from loader.numbering import numbering_table
from pdp.rules.dialling import Dialling, DiallingPlan
from pdp.rules.patterns.parser import parse

OFFICES: Final = (
    ("FR", ""), ("FR", "0"), ("DE", "0"), ("GB", "9"), ("US", ""), ("US", "9"), ("BR", "0"), ("AU", ""), ("RU", "9"),
    ("CN", ""), ("AR", "0"), ("", ""),
)  # fmt: skip
TARGET: Final = 10.0
"""Microseconds."""
SHARES: Final = {"internal": 0.4, "national": 0.35, "plus": 0.1, "abroad": 0.1, "separated": 0.05}
"""Of what people dial."""


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure what reading an extension costs.")
    parser.add_argument("--numbers", type=int, default=20_000, metavar="N", help="extensions each; default: 20,000")
    count: int = parser.parse_args().numbers
    print(f"{'country':8}{'line':5}{'bytes':>7}{'words':>7}{'p50 µs':>8}{'CPU µs':>8}")
    missed = 0
    for country, line in OFFICES:
        size, words, median, mean = measure(country, line, count)
        missed += mean > TARGET
        print(f"{country or '-':8}{line or '-':5}{size:7}{words:7.2f}{median:8.2f}{mean:8.2f}")
    return 1 if missed else 0


def measure(country: str, line: str, count: int) -> tuple[int, float, float, float]:
    """The bytes of a section, the mean number of words, and the two times."""
    patterns = [f"_{line}00[1-9].", f"_{line}0[1-9].", f"_{line}089.", "_!", "118", "_1XXX", "_+."]
    plan = DiallingPlan(numbering_table(country, line), [(text, parse(text).tokens) for text in patterns])
    dialling = Dialling(memoryview(plan.section))
    times, words = [], 0
    extensions = dialled(country or "FR", line, count)
    for extension in extensions:
        start = perf_counter_ns()
        readings = dialling.readings(extension)
        times.append(perf_counter_ns() - start)
        words += sum(map(len, readings))
    start = thread_time_ns()
    for extension in extensions:
        dialling.readings(extension)
    processor = (thread_time_ns() - start) / count / 1000
    return len(plan.section), words / count, statistics.median(times) / 1000, processor


def dialled(country: str, line: str, count: int) -> list[str]:
    """Extensions as people dial them."""
    numbers = Numbers(1)
    code = phonenumbers.country_code_for_region(country)
    prefix = phonenumbers.ndd_prefix_for_region(country, strip_non_digits=True) or ""
    made = []
    for kind in numbers.random.choices(list(SHARES), list(SHARES.values()), k=count):
        national = numbers.national(country)
        made.append(
            {
                "internal": str(numbers.random.randint(1000, 1999)),
                "national": line + prefix + national,
                "plus": f"+{code}{national}",
                "abroad": f"{line}0044{numbers.national('GB')}",
                "separated": numbers.separated(line + prefix + national),
            }[kind]
        )
    return made


if __name__ == "__main__":
    sys.exit(main())
