"""Figures that were measured several times in turn, so that a machine's slow minute is in all that is compared."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Figures: TypeAlias = "dict[str, dict[str, dict[str, float]]]"
"""By server and kind of run: what ``clients.Load`` holds."""


def medians(rounds: Sequence[Figures]) -> Figures:
    """What the rounds agree on."""
    return {
        kind: {
            what: {name: statistics.median(one[kind][what][name] for one in rounds) for name in run}
            for what, run in runs.items()
        }
        for kind, runs in rounds[0].items()
    }


def median(values: Iterable[float | None]) -> float | None:
    """Of those that were measured."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def figure(a_round: Mapping[str, Any], server: str, run: str, name: str) -> float | None:
    """One of a round's figures; None where it was not measured."""
    value: float | None = a_round.get(server, {}).get(run, {}).get(name)
    return value
