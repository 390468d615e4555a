"""Opening the source of definitions, or of published rules, that a URL names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loader.errors import SourceError
from loader.sources import RECHECK_SECONDS, open_source
from loader.sources.adjusted import AdjustedSource, without_names
from pdp.rules.publication.keys import DEFAULT_SCOPE, Scope
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.published import PublishedSource, names_redis

if TYPE_CHECKING:
    from loader.sources import Source, WazoOptions
    from loader.sources.defaults import TenantDefaults


@dataclass(frozen=True, slots=True)
class RulesOptions:
    """All that reading rules needs beside their URL.

    Attributes:
        wazo: the settings of a Wazo Platform.
        defaults: defaults for tenants without values of their own.
        scope: deployment and prefix of the keys in Redis.
        secrets: the deployment's keys, the one that signs first.
    """

    wazo: WazoOptions | None = None
    defaults: TenantDefaults | None = None
    scope: Scope = DEFAULT_SCOPE
    secrets: tuple[bytes, ...] = ()

    @property
    def secret(self) -> bytes | None:
        """The key that signs, if there is any."""
        return self.secrets[0] if self.secrets else None


def opened_rules(url: str, options: RulesOptions) -> Source:
    """The source of the rules that a URL names: definitions, or the place of published rules in Redis.

    Raises:
        Failure: unknown kind of source, or a missing setting.
    """
    if names_redis(url):
        return PublishedSource(url, options.scope, options.secret)
    return opened_source(url, None, options.wazo, options.defaults)


def opened_source(
    url: str,
    recheck: float | None,
    wazo: WazoOptions | None = None,
    defaults: TenantDefaults | None = None,
    *,
    names: bool = True,
) -> Source:
    """The source that a URL names, with defaults for tenants, if any, and with or without the names of users.

    Raises:
        Failure: unknown kind of source, or a missing setting.
    """
    try:
        source = open_source(url, recheck=RECHECK_SECONDS if recheck is None else recheck, wazo=wazo)
    except SourceError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    if defaults:
        source = AdjustedSource(source, defaults.completed)
    return source if names else AdjustedSource(source, without_names)
