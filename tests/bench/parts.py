"""The parts of the benchmark, each of which can be run alone, and what they are told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure.

    Attributes:
        permissions: of the rules that servers have; as many users.
        large: the most of them.
        seconds: that one run under load takes.
        minutes: that the soak takes.
        quick: small sizes alone, to see whether it works.
    """

    permissions: int = 100_000
    large: int = 1_000_000
    seconds: int = 5
    minutes: int = 10
    quick: bool = False
