"""Rules in files: definitions, read again whenever they change, with an engine that decides by them."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loader.cycle import Synchronizer
from loader.errors import SourceError
from rightcall.console.findings import Assumed
from rightcall.console.rules import Named, TenantIndex
from rightcall.programs.local import Engine, Local, engine_parts
from rightcall.programs.state import State, TenantState

if TYPE_CHECKING:
    from loader.sources import Reading
    from pdp.snapshots.current import CurrentSnapshots


ASSUMED: Final = Assumed()
"""No options of a server."""


class FileBook:
    """One state of the definitions.

    Args:
        name: the place of the definitions.
        reading: the content of the source.
        current: the rules as they were compiled from it.
    """

    def __init__(self, name: str, reading: Reading, current: CurrentSnapshots) -> None:
        self.name = name
        self.reading = reading
        self.tenants = [Named(each.uuid, each.name) for each in reading.tenants]
        self._by_uuid = {each.uuid: each for each in reading.tenants}
        self._current = current
        self._indexes: dict[str, TenantIndex] = {}

    def index(self, uuid: str) -> TenantIndex | None:
        """The tenant with this UUID; None: there is no such tenant here."""
        tenant = self._by_uuid.get(uuid)
        if tenant is None:
            return None
        held = self._current.get(uuid)
        made = TenantIndex(tenant, ASSUMED, held.snapshot if held is not None else None)
        return self._indexes.setdefault(uuid, made)

    def state(self) -> State:
        """The tenants without faults, and all faults."""
        tenants = [
            TenantState(
                each.uuid,
                each.name,
                len(each.users),
                len(each.groups),
                len(each.outcalls),
                len(each.call_permissions),
                each.emergency,
            )
            for each in self.reading.tenants
        ]
        return State(self.name, tenants, self.reading.faults, sorted(self.reading.faulty))


class FileRules:
    """Definitions at a path, and an engine over them.

    Every method is safe for use by several threads.

    Args:
        path: a file or a directory of definitions.

    Attributes:
        engine: decides by the rules as they were when the book was asked for last.
        assumed: no options of a server.
        path: the path.

    Raises:
        Failure: nothing at all could be read.
    """

    assumed = ASSUMED

    def __init__(self, path: str) -> None:
        # What fails an expectation is shown here, with the proof; it does not stay unread.
        self._local = Local(path, synchronizer=partial(Synchronizer, prove=False), isolate_faults=False)
        self._lock = threading.Lock()
        self._local.load()
        self.path = Path(path)
        self._book = FileBook(path, self._local.reading(), self._local.current.frozen())
        self.engine = Engine(*engine_parts(self._local.current))

    def book(self) -> FileBook:
        """The rules as they are now; the last ones that could be read, where the path cannot be."""
        with self._lock:
            try:
                reading = self._local.reading()
            except SourceError:
                return self._book
            if reading is not self._book.reading:
                self._local.load()
                self._book = FileBook(str(self.path), reading, self._local.current.frozen())
            return self._book

    def close(self) -> None:
        """Closes the source."""
        self._local.close()
