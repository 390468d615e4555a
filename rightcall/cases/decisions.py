"""The decision log, searched: entries of files and of a stream in Redis, and which of them are wanted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.rules.dialling import fold
from pdp.runtime.files import lines_of, open_text
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from redis import Redis

Entry = dict[str, Any]
"""An entry of the decision log, as docs/decision-log.md describes it."""

_AGO = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PAGE = 1000
"""Entries of a stream that are read at once."""
_FIELD = b"decision"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The entries to find; an empty value does not restrict.

    Attributes:
        since, until: the times, the second one excluded.
        tenant: the tenant's UUID.
        callers: UUIDs of users who call, or whose forward or transfer sends the call on.
        extension: the beginning of what was dialled, without separators.
        outcall: the outcall's id.
        decisions: names of decisions.
        permission: the id of the permission that decided.
    """

    since: datetime | None = None
    until: datetime | None = None
    tenant: str = ""
    callers: tuple[str, ...] = ()
    extension: str = ""
    outcall: str = ""
    decisions: tuple[str, ...] = ()
    permission: int = 0

    def holds(self, entry: Entry) -> bool:
        """Whether an entry is wanted."""
        return (
            self._in_time(str(entry.get("time", "")))
            and self.tenant in ("", entry.get("tenant"))
            and (not self.callers or bool({entry.get("caller"), entry.get("forwarded_by")} & set(self.callers)))
            and fold(str(entry.get("extension", ""))).startswith(fold(self.extension))
            and self.outcall in ("", entry.get("outcall"))
            and (not self.decisions or entry.get("decision") in self.decisions)
            and (not self.permission or permission_id(entry) == str(self.permission))
        )

    def _in_time(self, text: str) -> bool:
        if self.since is None and self.until is None:
            return True
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return False
        return (self.since is None or self.since <= time) and (self.until is None or time < self.until)


def permission_id(entry: Entry) -> str:
    """The id of the permission that decided; empty without one."""
    permission = entry.get("permission")
    return str(permission.get("id", "")) if isinstance(permission, dict) else ""


def moment(text: str, now: datetime) -> datetime:
    """A time: an ISO one, in UTC where it names no other zone, or how long ago, as in 90m, 2h and 7d.

    Raises:
        ValueError: the text is none of these.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def file_entries(path: Path) -> Iterator[Entry]:
    """The entries of a file of the decision log; other lines are passed over.

    Raises:
        Failure: the file cannot be read.
    """
    try:
        with open_text(path, errors="replace") as file:
            yield from _entries(lines_of(file, path))
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", ExitCode.USAGE) from error


def stream_entries(client: Redis, key: str, since: datetime | None) -> Iterator[Entry]:
    """The entries of a stream in Redis, oldest first.

    Args:
        client: a connected client that returns bytes.
        key: the stream's key.
        since: the time to begin at, by the clock of Redis; None: the oldest entry.
    """
    start = str(int((since - timedelta(minutes=1)).timestamp() * 1000)) if since else "-"
    while True:
        page: Any = client.xrange(key, start, "+", count=_PAGE)
        for _, fields in page:
            yield from _entries([fields.get(_FIELD, b"").decode("utf-8", "replace")])
        if len(page) < _PAGE:
            return
        start = f"({page[-1][0].decode()}"


def _entries(lines: Iterable[str]) -> Iterator[Entry]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "decision" in entry:
            yield entry
