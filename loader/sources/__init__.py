"""The sources of definitions. ``open_source`` makes the source of a URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from loader.errors import SourceError
from loader.sources.base import Reading, Source
from loader.sources.file import RECHECK_SECONDS, FileSource
from loader.sources.wazo.database.url import SCHEMES as POSTGRESQL_SCHEMES
from loader.sources.wazo.rest.settings import SCHEMES as WAZO_SCHEMES
from loader.sources.wazo.rest.settings import WazoOptions, settings_from

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RECHECK_SECONDS", "SOURCES", "Reading", "Source", "WazoOptions", "open_source"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def open_source(url: str, *, recheck: float = RECHECK_SECONDS, wazo: WazoOptions | None = None) -> Source:
    """Makes the source of a URL, without reading.

    Args:
        url: ``file:PATH``, ``file:///PATH`` or a plain path, of a file or of a directory of files; or
            ``postgresql://USER@HOST/DATABASE`` or ``confd+https://HOST/api/confd/1.1`` of a Wazo Platform.
        recheck: seconds after which a watch yields without a noticed change.
        wazo: options for a Wazo Platform beside the URL.

    Raises:
        SourceError: no source of this kind, or no path.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        return FileSource(_path(url), recheck=recheck)
    opener = SOURCES.get(scheme[1].lower())
    if opener is None:
        raise SourceError(
            f"source scheme '{scheme[1]}' is not known; write file:PATH, or ./PATH for a file with such a name"
        )
    return opener(url, recheck, wazo)


def _open_file(url: str, recheck: float, _: WazoOptions | None) -> Source:
    return FileSource(_path(_local(url.partition(":")[2])), recheck=recheck)


def _open_database(url: str, recheck: float, wazo: WazoOptions | None) -> Source:
    from loader.sources.wazo.database.source import PostgresqlSource  # noqa: PLC0415 - files need no client

    given = wazo or WazoOptions()
    return PostgresqlSource(url, recheck=recheck, bus_url=given.bus_url, ca_file=given.ca_file)


def _open_wazo(url: str, recheck: float, wazo: WazoOptions | None) -> Source:
    from loader.sources.wazo.rest.source import WazoSource  # noqa: PLC0415 - files need no client

    return WazoSource(settings_from(url, wazo, poll_seconds=recheck))


SOURCES: Final[dict[str, Callable[[str, float, WazoOptions | None], Source]]] = {
    "file": _open_file,
    **dict.fromkeys(POSTGRESQL_SCHEMES, _open_database),
    **dict.fromkeys(WAZO_SCHEMES, _open_wazo),
}
"""The functions that make sources, by scheme of the URL in lower case."""


def _local(rest: str) -> str:
    """The path in what stands behind ``file:``. Only the form with ``//`` is a URL, whose escapes are undone."""
    if not rest.startswith("//"):
        return rest
    host, slash, path = rest[2:].partition("/")
    if host not in ("", "localhost"):
        raise SourceError(f"'file://{host}…' names another machine; write file:PATH or file:///PATH")
    return unquote(slash + path)


def _path(path: str) -> str:
    if not path:
        raise SourceError("the source names no path; write file:PATH, of a file or of a directory")
    return path
