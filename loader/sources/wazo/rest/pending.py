"""What has changed and is not read yet, told by one thread and fetched by another."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read.

    Attributes:
        everything: all tenants.
        tenants: these, where it is not everything.
    """

    everything: bool = False
    tenants: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether anything is."""
        return self.everything or bool(self.tenants)


class Pending:
    """Collects marks until there is silence, but not for ever.

    Args:
        silence: seconds without a mark after which what is marked is due.
        longest: seconds after the first mark at which it is due in any case.
    """

    def __init__(self, silence: float, longest: float) -> None:
        self._silence = silence
        self._longest = longest
        self._changed = threading.Condition()
        self._everything = False
        self._tenants: set[str] = set()
        self._first: float | None = None
        self._last = 0.0

    def mark(self, tenant: str) -> None:
        """Something of a tenant has changed."""
        with self._changed:
            self._tenants.add(tenant)
            self._marked()

    def mark_everything(self) -> None:
        """Nobody knows what has changed."""
        with self._changed:
            self._everything = True
            self._marked()

    def take(self) -> Wanted:
        """What is marked; the marks are gone then."""
        with self._changed:
            wanted = Wanted(self._everything, frozenset(self._tenants))
            self._everything, self._first = False, None
            self._tenants.clear()
        return wanted

    def put_back(self, wanted: Wanted) -> None:
        """Marks again what could not be read. It becomes due with the next mark, or whenever somebody takes it."""
        with self._changed:
            self._everything |= wanted.everything
            self._tenants |= wanted.tenants

    def wait(self, seconds: float) -> bool:
        """Waits until something is due, at most so long; whether something is."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                now = time.monotonic()
                due = self._due()
                if due is not None and now >= due:
                    return True
                if now >= end:
                    return False
                self._changed.wait((end if due is None else min(due, end)) - now)

    def _marked(self) -> None:
        """Whoever waits need not be woken for each mark: it wakes when what is marked would be due, and looks."""
        self._last = time.monotonic()
        if self._first is None:
            self._first = self._last
            self._changed.notify()

    def _due(self) -> float | None:
        return None if self._first is None else min(self._last + self._silence, self._first + self._longest)
