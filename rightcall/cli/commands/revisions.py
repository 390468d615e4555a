"""``rightcall revisions``, ``rollback`` and ``unpin``: what an operator does with the revisions that Redis keeps."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich import box
from rich.text import Text

from loader.errors import PublishError
from loader.publishing.revisions import Revisions, UnknownRevision
from rightcall.cli.command import command, option
from rightcall.cli.options.common import json_option, scope_options, secret_option
from rightcall.cli.output import Grid, draw, print_json, say
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.redis_client import opened_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loader.publishing.revisions import KeptRevision
    from pdp.rules.publication.keys import Scope

    Decorated = Callable[..., Any]

_KIB = 1024


def _redis_options(function: Decorated) -> Decorated:
    """The options to reach the revisions."""
    redis = option("--redis", required=True, metavar="URL", help="Where the compiled rules are.")
    return redis(scope_options(secret_option(function)))


@command("rightcall revisions --redis redis://localhost:6379/0")
@option("--tenant", default="", metavar="UUID", help="Only this tenant's.")
@_redis_options
@json_option
def revisions(*, tenant: str, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool) -> None:
    """Lists the revisions that Redis keeps: when and by whom each was published, and which one servers answer from."""
    with _opened(redis, scope, secrets) as opened:
        kept = opened.kept(tenant.lower())
    if as_json:
        print_json({"revisions": [one.as_dict() for one in kept]})
    elif not kept:
        say("Redis keeps no revision of this tenant." if tenant else "Redis keeps no revisions.")
    else:
        for tenant_, of_tenant in groupby(kept, key=lambda one: one.tenant):
            say(Text(f"tenant {tenant_}", style="bold"))
            draw(_table(list(of_tenant)))


@command("rightcall rollback 54eb71f8-1f4b-4ae4-8730-638062fbe521 1795420040123 --redis redis://localhost:6379/0")
@click.argument("tenant")
@click.argument("revision")
@_redis_options
@json_option
def rollback(
    *, tenant: str, revision: str, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool
) -> None:
    """Makes an earlier REVISION of a TENANT current again, at once and on every server, and pins it.

    Loaders leave a pinned tenant alone, whatever its source says, until `rightcall unpin`.
    """
    with _opened(redis, scope, secrets) as opened:
        chosen = opened.roll_back(tenant.lower(), revision)
    if as_json:
        print_json({"tenant": chosen.tenant, "revision": str(chosen.revision), "pinned": True})
    else:
        say(Text(f"Tenant {tenant} is at revision {chosen.revision} and stays there until: rightcall unpin {tenant}"))


@command("rightcall unpin 54eb71f8-1f4b-4ae4-8730-638062fbe521 --redis redis://localhost:6379/0")
@click.argument("tenant")
@_redis_options
@json_option
def unpin(*, tenant: str, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool) -> None:
    """Lets loaders publish a TENANT again after a rollback. The source decides from the next cycle on."""
    with _opened(redis, scope, secrets) as opened:
        revision = opened.unpin(tenant.lower())
    if as_json:
        print_json({"tenant": tenant, "revision": str(revision) if revision else None, "pinned": False})
    elif revision is None:
        say(Text(f"Tenant {tenant} was not pinned."))
    else:
        say(Text(f"Tenant {tenant} is no longer pinned at {revision}; the loader publishes it with its next cycle."))


@contextmanager
def _opened(url: str, scope: Scope, secrets: tuple[bytes, ...]) -> Iterator[Revisions]:
    """The revisions behind a URL; errors end the command."""
    client, name = opened_redis(url)
    with client:
        try:
            yield Revisions(client, name, secret=secrets[0] if secrets else None, scope=scope)
        except UnknownRevision as error:
            raise Failure(str(error), ExitCode.USAGE) from error
        except PublishError as error:
            raise Failure(str(error), ExitCode.UNREACHABLE) from error


def _table(kept: list[KeptRevision]) -> Grid:
    table = Grid(box=box.SIMPLE_HEAD)
    table.add_column("revision", no_wrap=True, min_width=max(len(str(one.revision)) for one in kept))  # to be pasted
    for heading in ("published", "by", "permissions", "size", ""):
        table.add_column(heading)
    for one in kept:
        published = datetime.fromtimestamp(one.published_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        state = "pinned" if one.pinned else "current" if one.current else ""
        size = f"{one.size / _KIB:,.0f} KiB"
        table.add_row(str(one.revision), published, one.by, f"{one.permissions:,}", size, state)
    return table
