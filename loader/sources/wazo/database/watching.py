"""Noticing that something may have changed, without reading the tables.

Nothing in Wazo's schema tells of a change. But PostgreSQL counts, for each table, the rows that were inserted, updated
and deleted, and anybody may read the counts. They are a hint and no proof: a server process may report late, a crash
sets them to zero and a standby has none. So they only make a change take effect sooner than the next reading would.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self, TypeVar

from loader.sources.wazo.database.client import FAILURES, connect
from loader.sources.wazo.database.rows import TABLES

if TYPE_CHECKING:
    import threading
    from collections.abc import Coroutine

    from loader.sources.wazo.database.rows import Database
    from loader.sources.wazo.database.url import Location

_Result = TypeVar("_Result")

_STOP_SECONDS: Final = 0.2
"""How long it takes to notice a stop while the server does not answer."""

_COUNTS: Final = """
    SELECT coalesce(string_agg(concat_ws(' ', relid, n_tup_ins, n_tup_upd, n_tup_del), ',' ORDER BY relid), '')
    FROM pg_stat_user_tables WHERE relname = ANY($1)"""


async def counts(database: Database) -> str:
    """What PostgreSQL has counted; another text after a change."""
    text: str = await database.fetchval(_COUNTS, TABLES)
    return text


class Lookout:
    """Reads the counts again and again, on a connection that it keeps.

    Args:
        location: where the database is.
        seconds: how long a look may take.
    """

    def __init__(self, location: Location, seconds: float) -> None:
        self._location = location
        self._seconds = seconds
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
        """The counts; None where they cannot be had, or ``stop`` was set meanwhile."""
        try:
            return self._runner.run(_unless(stop, self._look()))
        except FAILURES:
            self._hang_up()
            return None

    async def _look(self) -> str:
        async with asyncio.timeout(self._seconds):
            if self._database is None:
                self._database = await connect(self._location, self._seconds)
            return await counts(self._database)

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
