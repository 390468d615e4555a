"""What a loader would publish, against what is published, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from loader.errors import PublishError
from loader.numbering import numbering_table
from pdp.rules.snapshot.contents import tenant_of
from pdp.rules.snapshot.snapshot import decode
from rightcall.cli.differences import ROWS, compared, show
from rightcall.cli.output import say
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from loader.publishing.dry_run import DryRun
    from loader.publishing.revisions import Revisions
    from rightcall.cli.options.assumptions import Assumptions


def show_preview(dry: DryRun, revisions: Revisions, assumed: Assumptions, secret: bytes | None) -> None:
    """Prints the changes that publishing would make.

    Args:
        dry: the dry run.
        revisions: what is published.
        assumed: the options of servers.
        secret: the deployment's key, to compare PINs.

    Raises:
        Failure: Redis cannot be asked.
    """
    touched = {*dry.blobs, *dry.removed}
    try:
        published = [revisions.snapshot(kept) for kept in revisions.current() if kept.tenant in touched]
    except PublishError as error:
        raise Failure(str(error), ExitCode.UNREACHABLE) from error
    old = [tenant_of(snapshot, numbering_table) for snapshot in published if not snapshot.closed]
    new = [tenant_of(decode(blob), numbering_table) for blob in dry.blobs.values()]
    closed = {tenant.uuid: tenant for tenant in new if tenant.closed}
    for each in compared(
        [tenant for tenant in old if tenant.uuid not in closed],
        [tenant for tenant in new if tenant.uuid not in closed],
        "",
        assumed,
        secret,
    ):
        show(each, ROWS)
    for tenant in closed.values():
        say(f"{tenant.name or tenant.uuid}: closed, because of its faults: none of its calls is decided")
    would = f"{len(dry.blobs)} to be published, {len(dry.removed)} to be removed"
    say(Text(f"Nothing was published. Tenants: {would}.", style="bold"))
