"""``rightcall shadow``, ``promote`` and ``drop``: a revision that decides nothing, and what it would have decided."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from rightcall.cli.command import command
from rightcall.cli.commands.revisions import (
    change_between,
    content_of,
    opened_revisions,
    redis_options,
    say_pinned,
)
from rightcall.cli.options.common import json_option
from rightcall.cli.output import print_json, say

if TYPE_CHECKING:
    from loader.publishing.revisions import KeptRevision
    from pdp.rules.publication.keys import Scope


@command(
    "rightcall shadow --redis redis://localhost:6379/0",
    "rightcall shadow 54eb71f8-1f4b-4ae4-8730-638062fbe521 1795420040123 --redis redis://localhost:6379/0",
)
@click.argument("tenant", metavar="[TENANT", required=False)
@click.argument("revision", metavar="REVISION]", required=False)
@redis_options
@json_option
def shadow(
    *, tenant: str | None, revision: str | None, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool
) -> None:
    """Has servers count what a REVISION of a TENANT would have decided; without arguments, lists such candidates.

    The current revision goes on to decide. `rightcall load --candidate` makes a candidate of definitions.
    """
    if tenant and not revision:
        raise click.UsageError("Give the revision as well; `rightcall revisions` lists those that Redis keeps.")
    with opened_revisions(redis, scope, secrets) as opened:
        made = opened.shadow(opened.tenant(tenant), revision) if tenant and revision else None
        chosen = [made] if made is not None else opened.candidates()
        current = {one.tenant: one for one in opened.current()}
        changes = {
            one.tenant: change_between(content_of(opened, current[one.tenant]), content_of(opened, one))
            for one in chosen
            if one.tenant in current
        }
    if as_json:
        told = [
            {"tenant": one.tenant, "revision": str(one.revision), "changes": changes.get(one.tenant, "")}
            for one in chosen
        ]
        print_json({"candidates": told})
    elif not chosen:
        say("There are no candidates.")
    for one in chosen if not as_json else ():
        _show(one, changes.get(one.tenant, ""))


@command("rightcall promote 54eb71f8-1f4b-4ae4-8730-638062fbe521 --redis redis://localhost:6379/0")
@click.argument("tenant", metavar="TENANT")
@redis_options
@json_option
def promote(*, tenant: str, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool) -> None:
    """Makes the candidate of a TENANT current, at once and on every server, and pins it.

    Loaders leave a pinned tenant alone until `rightcall unpin`: put the same rules into the source before that.
    """
    with opened_revisions(redis, scope, secrets) as opened:
        chosen = opened.promote(opened.tenant(tenant))
    say_pinned(tenant, chosen, as_json=as_json)


@command("rightcall drop 54eb71f8-1f4b-4ae4-8730-638062fbe521 --redis redis://localhost:6379/0")
@click.argument("tenant", metavar="TENANT")
@redis_options
@json_option
def drop(*, tenant: str, redis: str, scope: Scope, secrets: tuple[bytes, ...], as_json: bool) -> None:
    """Ends the comparison of a TENANT with its candidate, whose revision stays among those that Redis keeps."""
    with opened_revisions(redis, scope, secrets) as opened:
        uuid = opened.tenant(tenant)
        dropped = opened.drop(uuid)
    if as_json:
        print_json({"tenant": uuid, "dropped": dropped})
    else:
        say(Text(f"Tenant {tenant} {'is compared no longer' if dropped else 'had no candidate'}."))


def _show(one: KeptRevision, changes: str) -> None:
    published = datetime.fromtimestamp(one.published_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    say(Text.assemble((f"tenant {one.tenant}", "bold"), f" is compared with {one.revision}, published {published}"))
    for line in (one.origin.message, changes):
        if line:
            say(Text(f"  {line}", style="dim"))
