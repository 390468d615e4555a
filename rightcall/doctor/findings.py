"""What a check comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How well it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something about it will hurt or already does a little."""
    FAILURE = "failure"
    """It does not work."""
    SKIPPED = "skipped"
    """Nobody looked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        verdict: how well it is.
        seen: what was seen, or why nobody looked. It holds no secret.
        advice: of a warning or a failure, what to do.
    """

    verdict: Verdict
    seen: str
    advice: str = ""


class NotExamined(Exception):
    """There is nothing to look at, or nobody may look; the message says why."""


def ok(seen: str) -> Finding:
    """It is well."""
    return Finding(Verdict.OK, seen)


def warning(seen: str, advice: str) -> Finding:
    """It works, but see to it."""
    return Finding(Verdict.WARNING, seen, advice)


def failure(seen: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(Verdict.FAILURE, seen, advice)


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 tenant, 2 tenants."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(names: list[str], most: int = 3) -> str:
    """The first few of many names."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
