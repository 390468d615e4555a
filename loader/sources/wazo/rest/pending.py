"""Changes that are not read yet, marked by one thread and taken by another."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loader.sources.wazo.events import TENANT_EVENTS, part_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loader.sources.wazo.events import Part


@dataclass(frozen=True, slots=True)
class Wanted:
    """The marks: everything that is to be read, with the time of the first mark, by the monotonic clock.

    Attributes:
        everything: time of the first mark of everything; None without one.
        tenants: time of the first mark of the list of tenants; None without one.
        whole: tenants with unknown changes.
        parts: the changed parts, by tenant.
    """

    everything: float | None = None
    tenants: float | None = None
    whole: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Mapping[Part, float]] = field(default_factory=dict)


class Pending:
    """Collects marks until there is silence, with a time limit. Listens to a bus.

    Args:
        silence: seconds without a mark after which marks are due.
        longest: seconds after the first mark at which marks are due in any case.
    """

    def __init__(self, silence: float, longest: float) -> None:
        self._silence = silence
        self._longest = longest
        self._changed = threading.Condition()
        self._everything: float | None = None
        self._tenants: float | None = None
        self._whole: dict[str, float] = {}
        self._parts: dict[str, dict[Part, float]] = {}
        self._first: float | None = None
        self._last = 0.0
        self._rung = False

    def connected(self) -> None:
        """Marks everything: earlier events may have been missed."""
        self.mark_everything()

    def heard(self, name: str, tenant: str, body: bytes) -> None:
        """Marks what an event names."""
        if name in TENANT_EVENTS:
            self.mark_tenants()
        elif not tenant:
            self.mark_everything()
        else:
            self.mark(tenant, part_of(name, body))

    def mark(self, tenant: str, part: Part | None) -> None:
        """Marks a changed part of a tenant; None: the whole tenant."""
        with self._changed:
            if part is None:
                self._whole.setdefault(tenant, time.monotonic())
            else:
                self._parts.setdefault(tenant, {}).setdefault(part, time.monotonic())
            self._marked()

    def mark_tenants(self) -> None:
        """Tenants came or went, or have other names."""
        with self._changed:
            self._tenants = self._tenants or time.monotonic()
            self._marked()

    def mark_everything(self) -> None:
        """Marks everything: the changes are unknown."""
        with self._changed:
            self._everything = self._everything or time.monotonic()
            self._marked()

    def take(self) -> Wanted:
        """Takes the marks; none remain."""
        with self._changed:
            wanted = Wanted(self._everything, self._tenants, self._whole, self._parts)
            self._everything = self._tenants = self._first = None
            self._whole, self._parts = {}, {}
        return wanted

    def since(self) -> float | None:
        """The time of the first mark that was not taken yet; None without marks."""
        with self._changed:
            return self._first

    def ring(self) -> None:
        """Wakes who waits."""
        with self._changed:
            self._rung = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Waits for due marks or a ring, for at most the given time; returns whether marks are due."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                now = time.monotonic()
                due = self._due()
                if due is not None and now >= due:
                    return True
                if self._rung or now >= end:
                    self._rung = False
                    return False
                self._changed.wait((end if due is None else min(due, end)) - now)

    def _marked(self) -> None:
        """A waiting thread is not woken for each mark, but wakes when the marks would be due."""
        self._last = time.monotonic()
        if self._first is None:
            self._first = self._last
            self._changed.notify_all()

    def _due(self) -> float | None:
        return None if self._first is None else min(self._last + self._silence, self._first + self._longest)
