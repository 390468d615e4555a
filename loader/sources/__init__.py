"""Where definitions come from. ``open_source`` makes the source that a URL names."""

from __future__ import annotations

import re
from urllib.parse import unquote

from loader.errors import SourceError
from loader.sources.base import Reading, Source
from loader.sources.file import RECHECK_SECONDS, FileSource
from loader.sources.wazo.database.url import SCHEMES as POSTGRESQL_SCHEMES
from loader.sources.wazo.rest.settings import SCHEMES as WAZO_SCHEMES
from loader.sources.wazo.rest.settings import WazoOptions, settings_from

__all__ = ["RECHECK_SECONDS", "Reading", "Source", "WazoOptions", "open_source"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def open_source(url: str, *, recheck: float = RECHECK_SECONDS, wazo: WazoOptions | None = None) -> Source:
    """Makes the source that a URL names. Nothing is read yet.

    Args:
        url: ``file:PATH``, ``file:///PATH`` or a plain path, of a file or of a directory of files; or
            ``postgresql://USER@HOST/DATABASE`` or ``confd+https://HOST/api/confd/1.1`` of a Wazo Platform.
        recheck: seconds after which a watch yields although no change was noticed.
        wazo: what was given for a Wazo Platform beside the URL.

    Raises:
        SourceError: no source of this kind, or no path.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        return FileSource(_path(url), recheck=recheck)
    if scheme[1].lower() in POSTGRESQL_SCHEMES:
        from loader.sources.wazo.database.source import (  # noqa: PLC0415 - who reads files needs no client
            PostgresqlSource,
        )

        return PostgresqlSource(url, recheck=recheck)
    if scheme[1].lower() in WAZO_SCHEMES:
        from loader.sources.wazo.rest.source import WazoSource  # noqa: PLC0415 - likewise

        return WazoSource(settings_from(url, wazo, poll_seconds=recheck))
    if scheme[1].lower() != "file":
        raise SourceError(
            f"source scheme '{scheme[1]}' is not known; write file:PATH, or ./PATH for a file with such a name"
        )
    return FileSource(_path(_local(url[scheme.end() :])), recheck=recheck)


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
