"""The findings of checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The verdict of a check."""

    OK = "ok"
    WARNING = "warning"
    """The part works, with a fault that does or will do harm."""
    FAILURE = "failure"
    """The part does not work."""
    SKIPPED = "skipped"
    """The check was not run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of a check.

    Attributes:
        verdict: the verdict.
        seen: the observation, or the reason for skipping. Holds no secret.
        advice: the remedy of a warning or a failure.
    """

    verdict: Verdict
    seen: str
    advice: str = ""


class NotExamined(Exception):
    """There is nothing to check, or no right to; the message names the reason."""


def ok(seen: str) -> Finding:
    """The finding of a part in order."""
    return Finding(Verdict.OK, seen)


def warning(seen: str, advice: str) -> Finding:
    """The finding of a part that works, with a warning."""
    return Finding(Verdict.WARNING, seen, advice)


def failure(seen: str, advice: str) -> Finding:
    """The finding of a part that does not work."""
    return Finding(Verdict.FAILURE, seen, advice)


def counted(number: int, noun: str) -> str:
    """A number with a noun: 1 tenant, 2 tenants."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(names: list[str], most: int = 3) -> str:
    """The first few of many names."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
