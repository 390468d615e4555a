"""The interface of a source of definitions: read as a whole, and watched for changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from loader.faults import Fault
    from pdp.rules.model import Tenant
    from pdp.rules.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class FaultyTenant:
    """The known parts of a tenant with an error.

    Attributes:
        closed: the tenant without rules.
        isolated: the tenant with sound permissions, and faulty ones closed; None: anything else is at fault as well.
    """

    closed: Tenant
    isolated: Tenant | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of a source at one time.

    Attributes:
        tenants: the tenants without an error, sorted by UUID. UUIDs are in lower case and every reference exists.
        faults: errors and warnings, sorted by file and line.
        faulty: the known UUIDs of tenants with an error: their last good rules stay in force.
        complete: False if a tenant of the source may be missing from the reading (an unreadable file, an unreadable
            UUID of a tenant). Then a missing tenant may not be removed.
        shut: the known parts of the tenants with an error, sorted by UUID.
    """

    tenants: tuple[Tenant, ...]
    faults: tuple[Fault, ...]
    faulty: frozenset[str]
    complete: bool
    shut: tuple[FaultyTenant, ...] = ()


class Source(Protocol):
    """A source of definitions."""

    @property
    def name(self) -> str:
        """Shown to people; without credentials."""
        ...

    @property
    def patience(self) -> float:
        """The longest wait for another machine that is not stuck but slow, in seconds; 0: there is none."""
        ...

    def read(self) -> Reading:
        """Reads everything. Errors in definitions are faults of the reading.

        Raises:
            SourceError: nothing at all could be read.
        """
        ...

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Yields whenever something may have changed, and when nothing did, at regular intervals nevertheless.

        Returns soon (half a second) after ``stop`` is set. A source that has become unreadable ends no watch. From this
        call on, a reading that waits for another machine may end early once ``stop`` is set, with an error.
        """
        ...

    def stale_seconds(self) -> float:
        """For how long at most the source may have held something that no reading has, in seconds.

        Callable from any thread, at any time.
        """
        ...

    def close(self) -> None:
        """Releases resources outside this process, such as a session. A later reading opens new ones.

        To be called when no reading or watch is running. Raises nothing, and may be called more than once.
        """
        ...


@runtime_checkable
class ResumableSource(Protocol):
    """A source that is slow to read, and whose readings may come part by part."""

    def resume(self, published: Callable[[], Iterable[Snapshot]]) -> None:
        """From now on the first reading may come part by part: tenants as each is read, in incomplete readings.

        Args:
            published: gives the snapshots published last, whose tenants need not be read whole to be known.
        """
        ...


class WrappedSource:
    """A source whose readings come from another source.

    Args:
        source: the other source.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """The other source's."""
        return self._source.name

    @property
    def patience(self) -> float:
        """The longest wait of the other source; see ``Source``."""
        return self._source.patience

    def read(self) -> Reading:
        """Reads everything; see ``Source``."""
        return self._source.read()

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """Watches the other source; see ``Source``."""
        return self._source.watch(stop)

    def stale_seconds(self) -> float:
        """For how long the other source may have held something unread; see ``Source``."""
        return self._source.stale_seconds()

    def close(self) -> None:
        """Lets go of the other source; see ``Source``."""
        self._source.close()

    @property
    def innermost(self) -> Source:
        """The source below all that wrap it."""
        return self._source.innermost if isinstance(self._source, WrappedSource) else self._source
