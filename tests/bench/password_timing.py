"""Whether the time of a look at a password tells how nearly it was right.

    .venv/bin/python tests/bench/password_timing.py [--rounds N]

Passwords that are right, wrong in the first digit, wrong in the last, and of another length are looked at in random
order. The difference of their medians is held against what two halves of the right ones differ by, which is noise. It
exits with 1 where a difference stands out of the noise.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from time import perf_counter_ns

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Revision, Tenant, User
from pdp.rules.snapshot.snapshot import decode

KEY = b"a secret key of the benchmark's own"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
RIGHT = "73519264"
KINDS = {
    "right": RIGHT,
    "right again": RIGHT,
    "first digit wrong": "0" + RIGHT[1:],
    "last digit wrong": RIGHT[:-1] + "0",
    "too short": RIGHT[:-1],
    "too long": RIGHT + "0",
}
TOLERANCE = 0.02
"""Of the median: less than this is nothing that a network lets through."""


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure whether a password's time tells how nearly it was right.")
    parser.add_argument("--rounds", type=int, default=20_000, metavar="N", help="looks at each; default: 20,000")
    rounds: int = parser.parse_args().rounds
    medians = {kind: statistics.median(times) for kind, times in measure(rounds).items()}
    right = medians["right"]
    noise = max(abs(medians["right again"] - right), right * TOLERANCE)
    print(f"noise: {noise:.0f} ns")
    outstanding = 0
    for kind, median in medians.items():
        stands_out = abs(median - right) > noise
        outstanding += stands_out
        print(f"{kind:18} {median:8.0f} ns  {median - right:+6.0f} ns{'  STANDS OUT' if stands_out else ''}")
    return 1 if outstanding else 0


def measure(rounds: int) -> dict[str, list[int]]:
    """Nanoseconds of each look, by kind of password."""
    permission = CallPermission(id=1, password=RIGHT, extensions=("_0!",), users=(ALICE,))
    tenant = Tenant("54eb71f8-1f4b-4ae4-8730-638062fbe521", users=(User(ALICE),), call_permissions=(permission,))
    snapshot = decode(Compiler(secret=KEY).compile(tenant, Revision(1, "ab" * 32), compiled_at=1.5e9))
    number = snapshot.match(ALICE, "0033", "")
    times: dict[str, list[int]] = {kind: [] for kind in KINDS}
    kinds = list(KINDS)
    for _ in range(rounds):
        random.shuffle(kinds)
        for kind in kinds:
            password = KINDS[kind]
            started = perf_counter_ns()
            snapshot.opens(number, ALICE, password, (KEY,))
            times[kind].append(perf_counter_ns() - started)
    return times


if __name__ == "__main__":
    sys.exit(main())
