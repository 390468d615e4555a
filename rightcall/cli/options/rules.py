"""The options for reading rules: definitions of any source, or what was published in Redis."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from rightcall.cli.options.common import scope_options, secret_option
from rightcall.cli.options.sources import tenant_default_options, wazo_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from loader.sources import WazoOptions
    from loader.sources.defaults import TenantDefaults
    from pdp.rules.publication.keys import Scope
    from rightcall.programs.sources import RulesOptions

    Decorated = Callable[..., Any]

SOURCES = "PATH|URL"
"""The kinds of places that rules are read from, in help texts."""


def rules_options(function: Decorated) -> Decorated:
    """Passed to the command as ``reading``, which makes the ``RulesOptions`` on use: the import takes a while."""

    @wraps(function)
    def collected(
        *,
        wazo: WazoOptions | None,
        defaults: TenantDefaults | None,
        scope: Scope,
        secrets: tuple[bytes, ...],
        **params: object,
    ) -> object:
        def reading() -> RulesOptions:
            from rightcall.programs.sources import RulesOptions  # noqa: PLC0415 - only on use

            return RulesOptions(wazo, defaults, scope, secrets)

        return function(reading=reading, **params)

    return scope_options(secret_option(tenant_default_options(wazo_options(collected))))
