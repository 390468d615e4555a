"""Opening the source of definitions that a URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.errors import SourceError
from loader.sources import RECHECK_SECONDS, open_source
from loader.sources.defaults import CompletedSource
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from loader.sources import Source, WazoOptions
    from loader.sources.defaults import TenantDefaults


def opened_source(
    url: str, recheck: float | None, wazo: WazoOptions | None = None, defaults: TenantDefaults | None = None
) -> Source:
    """The source that a URL names, with defaults for tenants, if any.

    Raises:
        Failure: unknown kind of source, or a missing setting.
    """
    try:
        source = open_source(url, recheck=RECHECK_SECONDS if recheck is None else recheck, wazo=wazo)
    except SourceError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    return CompletedSource(source, defaults) if defaults else source
