"""``rightcall revisions``, ``rollback`` and ``unpin``: what an operator does with the revisions that Redis keeps."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.text import Text

from loader.errors import PublishError
from loader.numbering import numbering_table
from loader.publishing.revisions import Revisions, UnknownRevision
from pdp.rules.analysis.comparison import Comparison
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.rules.snapshot.contents import tenant_of
from rightcall.cli.command import command, option
from rightcall.cli.differences import summary
from rightcall.cli.options.common import json_option, scope_options, secret_option
from rightcall.cli.output import print_json, say
from rightcall.programs.comparable import comparable
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.redis_client import opened_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loader.publishing.revisions import KeptRevision
    from pdp.rules.model import Revision, Tenant
    from pdp.rules.publication.keys import Scope

    Decorated = Callable[..., Any]

_KIB = 1024


def redis_options(function: Decorated) -> Decorated:
    """The options of commands that reach the revisions."""
    redis = option("--redis", required=True, metavar="URL", help="Where the compiled rules are.")
    return redis(scope_options(secret_option(function)))


@command("rightcall revisions --redis redis://localhost:6379/0")
@option("--tenant", default="", metavar="UUID|NAME", help="Only this tenant's.")
@option("--changes", is_flag=True, help="Say what each revision changed; without it only where one tenant is listed.")
@redis_options
@json_option
def revisions(
    *, tenant: str, changes: bool, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool
) -> None:
    """Lists the revisions that Redis keeps, and which ones servers answer from.

    Of each it says when, by whom and why it was published, and what it changed.
    """
    with opened_revisions(redis, scope, secrets) as opened:
        kept = opened.kept(opened.tenant(tenant) if tenant else "")
        by_tenant = [list(of_tenant) for _, of_tenant in groupby(kept, key=lambda one: one.tenant)]
        shown = changes or len(by_tenant) == 1
        told = [_changes(opened, of_tenant) if shown else {} for of_tenant in by_tenant]
    if as_json:
        changed = {revision: text for each in told for revision, text in each.items()}
        print_json({"revisions": [{**one.as_dict(), "changes": changed.get(one.revision, "")} for one in kept]})
    elif not kept:
        say("Redis keeps no revision of this tenant." if tenant else "Redis keeps no revisions.")
    for of_tenant, changed in zip(by_tenant, told, strict=True) if not as_json else ():
        say(Text(f"tenant {of_tenant[0].tenant}", style="bold"))
        for one in of_tenant:
            _show(one, changed.get(one.revision, ""))


@command("rightcall rollback 54eb71f8-1f4b-4ae4-8730-638062fbe521 1795420040123 --redis redis://localhost:6379/0")
@click.argument("tenant", metavar="TENANT")
@click.argument("revision")
@redis_options
@json_option
def rollback(
    *, tenant: str, revision: str, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool
) -> None:
    """Makes an earlier REVISION of a TENANT current again, at once and on every server, and pins it.

    Loaders leave a pinned tenant alone, whatever its source says, until `rightcall unpin`.
    """
    with opened_revisions(redis, scope, secrets) as opened:
        chosen = opened.roll_back(opened.tenant(tenant), revision)
    say_pinned(tenant, chosen, as_json=as_json)


@command("rightcall unpin 54eb71f8-1f4b-4ae4-8730-638062fbe521 --redis redis://localhost:6379/0")
@click.argument("tenant", metavar="TENANT")
@redis_options
@json_option
def unpin(*, tenant: str, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool) -> None:
    """Lets loaders publish a TENANT again after a rollback. The source decides from the next cycle on."""
    with opened_revisions(redis, scope, secrets) as opened:
        revision = opened.unpin(opened.tenant(tenant))
    if as_json:
        print_json({"tenant": tenant, "revision": str(revision) if revision else None, "pinned": False})
    elif revision is None:
        say(Text(f"Tenant {tenant} was not pinned."))
    else:
        say(Text(f"Tenant {tenant} is no longer pinned at {revision}; the loader publishes it with its next cycle."))


def say_pinned(tenant: str, chosen: KeptRevision, *, as_json: bool) -> None:
    """Says which revision a tenant, as the user named it, is pinned at."""
    if as_json:
        print_json({"tenant": chosen.tenant, "revision": str(chosen.revision), "pinned": True})
    else:
        say(Text(f"Tenant {tenant} is at revision {chosen.revision} and stays there until: rightcall unpin {tenant}"))


@contextmanager
def opened_revisions(url: str, scope: Scope, secrets: tuple[bytes, ...]) -> Iterator[Revisions]:
    """The revisions behind a URL; errors end the command."""
    client, name = opened_redis(url)
    with client:
        try:
            yield Revisions(client, name, secret=secrets[0] if secrets else None, scope=scope)
        except UnknownRevision as error:
            raise Failure(str(error), ExitCode.USAGE) from error
        except PublishError as error:
            raise Failure(str(error), ExitCode.UNREACHABLE) from error


def _changes(opened: Revisions, kept: list[KeptRevision]) -> dict[Revision, str]:
    """The change that each revision made to the one before, in one line; the first one that is kept has none."""
    tenants = [content_of(opened, one) for one in kept]
    return {one.revision: change_between(old, new) for one, (new, old) in zip(kept, pairwise(tenants), strict=False)}


def content_of(opened: Revisions, kept: KeptRevision) -> Tenant | None:
    """The rules of a revision; None where they cannot be read, as those of another format."""
    try:
        return tenant_of(opened.snapshot(kept), numbering_table)
    except PublishError:
        return None


def change_between(old: Tenant | None, new: Tenant | None) -> str:
    """What one revision's rules change of another's, in one line; empty where one cannot be read."""
    if old is None or new is None:
        return ""
    if new.closed or old.closed:
        return "closed, because of faults" if new.closed else "no longer closed"
    before, now, _ = comparable(old, new, None)
    try:
        return summary(Comparison(before, now))
    except TooManyStatesError:
        return "too many patterns to say what changed"


def _show(one: KeptRevision, changes: str) -> None:
    published = datetime.fromtimestamp(one.published_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    state = " (pinned)" if one.pinned else " (current)" if one.current else " (candidate)" if one.candidate else ""
    origin = f"by {f'{one.origin.author}, ' if one.origin.author else ''}{one.origin.by}"
    size = f"{one.permissions:,} permissions, {one.size / _KIB:,.0f} KiB"
    say(Text.assemble(f"  {one.revision}", (state, "bold green"), f"  {published}, {size}, {origin}"))
    for line in (one.origin.message, changes):
        if line:
            say(Text(f"      {line}", style="dim"))
