"""Detection of changes, without reading the tables into the loader.

Wazo's schema does not announce changes, and PostgreSQL's statistics of tables are written late: a busy server process
reports after a second, one that falls idle after ten. So the rows are counted and summed up in the database. An
inserted or updated row has the number of the transaction (``xmin``), which is larger than earlier ones: any commit
changes the count or the sum. For tables with other content too, the used columns are summed up instead. While no
transaction has ended at all, nothing is counted.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Self, TypeVar

from loader.sources.wazo.database.client import FAILURES, connect
from loader.sources.wazo.database.rows import HAS_NAMES, TABLES

if TYPE_CHECKING:
    import threading
    from collections.abc import Coroutine

    from loader.sources.wazo.database.changes import Database
    from loader.sources.wazo.database.url import Location

_Result = TypeVar("_Result")

_STOP_SECONDS: Final = 0.2
"""Seconds to notice a stop while the server does not respond."""

_LAST_TRANSACTION: Final = "SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"

_RUNNING: Final = """SELECT pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot())
    < pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"""
"""Whether a transaction older than the latest is still running: the end of such a one does not raise the number."""

_SUMMED: Final = tuple(table for table in TABLES if table not in ("userfeatures", "auth_tenant"))
_ROWS_OF: Final = "SELECT '{table}' AS name, count(*) AS rows, coalesce(sum(xmin::text::bigint), 0) AS sum FROM {table}"
_CONTENT_OF: Final = """SELECT '{table}', count(*), coalesce(sum(hashtextextended(concat_ws(' ', {columns}), 0)), 0)
    FROM {table}"""
_SUMS: Final = " UNION ALL ".join(
    [
        *(_ROWS_OF.format(table=table) for table in _SUMMED),
        _CONTENT_OF.format(table="userfeatures", columns="id, uuid, tenant_uuid, rightcallcode"),
    ]
)
_SUMS_WITH_NAMES: Final = f"{_SUMS} UNION ALL {_CONTENT_OF.format(table='auth_tenant', columns='uuid, name')}"


async def sums(database: Database, *, names: bool) -> str:
    """The sums of the rows, as text that differs after a change.

    Args:
        database: the connection.
        names: whether wazo-auth's table is included.
    """
    rows = await database.fetch(_SUMS_WITH_NAMES if names else _SUMS)
    return ",".join(f"{row['name']} {row['rows']} {row['sum']}" for row in rows)


async def last_transaction(database: Database) -> int:
    """A number that grows when a transaction ends that wrote something, and is the latest of those begun so far."""
    number: int = await database.fetchval(_LAST_TRANSACTION)
    return number


class Lookout:
    """Compares the sums repeatedly, on one kept connection.

    Args:
        location: the database's address.
        seconds: limit for one comparison.
    """

    def __init__(self, location: Location, seconds: float) -> None:
        self._location = location
        self._patience = seconds
        self.seconds = 0.0
        """The duration of the last comparison."""
        self._last: tuple[int, bool, str] | None = None
        """The last transaction at the last look, whether others were running, and the sums."""
        self._names = False
        self._runner = asyncio.Runner()
        self._database: Database | None = None

    def __enter__(self) -> Self:
        """Begins; nothing is connected yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hangs up."""
        self._hang_up()
        self._runner.close()

    def look(self, stop: threading.Event) -> str | None:
        """The sums of the rows; None after a failure, or if ``stop`` was set meanwhile."""
        begun = time.monotonic()
        try:
            return self._runner.run(_unless(stop, self._look()))
        except FAILURES:
            self._hang_up()
            return None
        finally:
            self.seconds = time.monotonic() - begun

    async def _look(self) -> str:
        async with asyncio.timeout(self._patience):
            if self._database is None:
                self._database = await connect(self._location, self._patience)
                self._last = None
                self._names = bool(await self._database.fetchval(HAS_NAMES))
            number = await last_transaction(self._database)
            if self._last is None or self._last[0] != number or self._last[1]:
                running = await self._database.fetchval(_RUNNING)
                self._last = number, running, await sums(self._database, names=self._names)
            return self._last[2]

    def _hang_up(self) -> None:
        if self._database is not None:
            self._database.terminate()
            self._database = None


async def _unless(stop: threading.Event, work: Coroutine[None, None, _Result]) -> _Result | None:
    """The result of the work; None if the stop comes first."""
    task = asyncio.ensure_future(work)
    while not task.done():
        if stop.is_set():
            task.cancel()
            await asyncio.wait([task])
            return None
        await asyncio.wait([task], timeout=_STOP_SECONDS)
    return task.result()
