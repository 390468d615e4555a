"""The report of one cycle of the loader."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loader.faults import Fault, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loader.sources.base import Reading
    from pdp.rules.analysis.expectations import Truth
    from pdp.rules.model import Revision


@dataclass(frozen=True, slots=True)
class Published:
    """A revision that became current.

    Attributes:
        tenant: the tenant's UUID.
        name: the tenant's name.
        revision: number and digest.
        permissions: number of permissions.
        size: bytes of the snapshot.
        seconds: duration of compiling.
        publish_seconds: duration of publishing.
    """

    tenant: str
    name: str
    revision: Revision
    permissions: int
    size: int
    seconds: float
    publish_seconds: float


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The report of one cycle.

    Attributes:
        published: the revisions that became current.
        unchanged: the tenants whose content stands published already.
        removed: the tenants that are gone.
        faults: everything wrong with the definitions, warnings included, sorted.
        faulty: the tenants with errors; each keeps the last good rules.
        pinned: the tenants that an operator rolled back; each keeps the chosen revision.
        closed: the tenants with errors and without good rules: their users and outcalls are known, and their requests
            are rejected.
        isolated: the tenants whose sound permissions count, and whose faulty ones are closed.
        held_back: removals that are too large to be believed, each in words; such a tenant is unchanged.
        complete: all tenants of the source were read, good or faulty; otherwise nothing was removed.
        problems: failures of the source and of publishing, with remedies; empty after a cycle without failures.
        source_failed: nothing could be read at all.
        read_seconds: duration of reading the source.
        expectations: number of expectations by the result of their proofs.
        pending: the tenants that are still being compiled or proven; the next cycle goes on with those.
    """

    published: tuple[Published, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    faulty: frozenset[str] = frozenset()
    pinned: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    complete: bool = False
    problems: tuple[str, ...] = ()
    source_failed: bool = False
    read_seconds: float = 0.0
    expectations: Mapping[Truth, int] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    isolated: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The faults that keep a tenant from being published."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.ERROR)

    @property
    def error(self) -> str:
        """All failures, as one line; empty after a success."""
        return "; ".join((*self.problems, *self.held_back))


@dataclass
class Cycle:
    """The results of a cycle so far."""

    reading: Reading
    read_seconds: float
    expectations: dict[Truth, int]
    published: list[Published] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    pinned: list[str] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    isolated: set[str] = field(default_factory=set)
    pending: tuple[str, ...] = ()
    too_costly: dict[str, Fault] = field(default_factory=dict)
    """By tenant, rules that would take too long to compile or to decide by."""

    def report(self) -> SyncReport:
        """The cycle's outcome."""
        return SyncReport(
            published=tuple(self.published),
            unchanged=tuple(self.unchanged),
            removed=tuple(self.removed),
            faults=tuple(sorted((*self.reading.faults, *self.too_costly.values()))),
            faulty=self.reading.faulty.union(self.too_costly),
            pinned=tuple(self.pinned),
            held_back=tuple(self.held_back),
            complete=self.reading.complete,
            problems=tuple(self.problems),
            read_seconds=self.read_seconds,
            expectations=self.expectations,
            closed=tuple(sorted(self.closed)),
            isolated=tuple(sorted(self.isolated)),
            pending=self.pending,
        )
