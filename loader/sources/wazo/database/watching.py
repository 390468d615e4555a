"""Noticing that something has changed, without reading the tables into the loader.

Nothing in Wazo's schema tells of a change, and the statistics that PostgreSQL keeps of its tables are written late: a
server process that is busy reports after a second, one that falls idle after ten. So the rows are counted and summed up
where they are. A row that is inserted or updated has the number of its transaction (``xmin``), which is larger than
those before: whatever is committed, either the count or the sum becomes another. Of tables that hold other things too,
the columns that are read are summed up instead. While no transaction ended at all, nothing is counted.
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

    from loader.sources.wazo.database.rows import Database
    from loader.sources.wazo.database.url import Location

_Result = TypeVar("_Result")

_STOP_SECONDS: Final = 0.2
"""How long it takes to notice a stop while the server does not answer."""

_LAST_TRANSACTION: Final = "SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"

_RUNNING: Final = """SELECT pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot())
    < pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())"""
"""Whether one that began before the latest is still at work: its end does not make that number grow."""

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
    """What the rows come to; another text after a change.

    Args:
        database: where they are.
        names: whether wazo-auth's table is to be looked at.
    """
    rows = await database.fetch(_SUMS_WITH_NAMES if names else _SUMS)
    return ",".join(f"{row['name']} {row['rows']} {row['sum']}" for row in rows)


async def last_transaction(database: Database) -> int:
    """A number that grows when a transaction ends that wrote something, and is the latest of those begun so far."""
    number: int = await database.fetchval(_LAST_TRANSACTION)
    return number


class Lookout:
    """Looks again and again, on a connection that it keeps.

    Args:
        location: where the database is.
        seconds: how long a look may take.
    """

    def __init__(self, location: Location, seconds: float) -> None:
        self._location = location
        self._patience = seconds
        self.seconds = 0.0
        """How long the last look took."""
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
        """What the rows come to; None where that cannot be had, or ``stop`` was set meanwhile."""
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
    """The result of the work; None where the stop comes before it."""
    task = asyncio.ensure_future(work)
    while not task.done():
        if stop.is_set():
            task.cancel()
            await asyncio.wait([task])
            return None
        await asyncio.wait([task], timeout=_STOP_SECONDS)
    return task.result()
