"""What every source of definitions is: something that can be read as a whole, and watched for changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from loader.faults import Fault
    from pdp.rules.model import Tenant


@dataclass(frozen=True, slots=True)
class FaultyTenant:
    """What is known of a tenant with an error.

    Attributes:
        closed: without its rules.
        isolated: with its sound permissions, the faulty ones closed; None: something else is at fault as well.
    """

    closed: Tenant
    isolated: Tenant | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a source holds at one time.

    Attributes:
        tenants: the tenants without an error, sorted by UUID. UUIDs are in lower case and every reference exists.
        faults: errors and warnings, sorted by file and line.
        faulty: the UUIDs, where known, of tenants with an error: their last good rules stay in force.
        complete: False when a tenant may be missing although its source still has it (a file that could not be read, a
            tenant whose UUID could not be read). Then no tenant may be removed because it is not in this reading.
        shut: what is known of the tenants with an error, sorted by UUID.
    """

    tenants: tuple[Tenant, ...]
    faults: tuple[Fault, ...]
    faulty: frozenset[str]
    complete: bool
    shut: tuple[FaultyTenant, ...] = ()


class Source(Protocol):
    """Where definitions come from."""

    @property
    def name(self) -> str:
        """Shown to people; without credentials."""
        ...

    def read(self) -> Reading:
        """Reads everything. What is wrong in a definition is a fault of the reading.

        Raises:
            SourceError: nothing at all could be read.
        """
        ...

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yields whenever something may have changed, and when nothing did, at regular intervals nevertheless.

        Returns soon (half a second) after ``stop`` is set. A source that has become unreadable ends no watch.
        """
        ...

    def stale_seconds(self) -> float:
        """For how long at most the source may have held something that no reading has, in seconds.

        Callable from any thread, at any time.
        """
        ...

    def close(self) -> None:
        """Lets go of what it holds outside this process, such as a session. Whoever reads it again opens it anew.

        To be called once nobody reads or watches it. It raises nothing, and may be called more than once.
        """
        ...
