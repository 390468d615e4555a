"""``rightcall callers``: the callers who may dial an extension, by a server or by definitions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from rightcall.cli.command import command, option
from rightcall.cli.options.asking import server_options
from rightcall.cli.options.common import json_option
from rightcall.cli.output import complain, decision_text, permission_text, print_json, say
from rightcall.client.directory import REPORT_TIMEOUT
from rightcall.client.values import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rightcall.cli.options.asking import Asked
    from rightcall.client.directory import CallerDecision, CallerPage

_WIDTH = max(len(decision.name) for decision in Decision)


@command("rightcall callers --extension 0033123456789 --outcall 2 --decision allow")
@option("--extension", required=True, help="What is dialled.")
@option(
    "--outcall",
    default="",
    help="Id of the outgoing call, of definitions also its name; none without it.",
)
@option("--tenant", default="", help="UUID of the tenant. Without it: the outcall's, else the only one that there is.")
@option(
    "--decision",
    "decisions",
    multiple=True,
    type=click.Choice([decision.name.lower() for decision in Decision]),
    help="Only callers who get this answer; can be given more than once. Without it: all.",
)
@option("--limit", type=click.IntRange(min=0), default=0, show_default="0, all", help="At most so many callers.")
@option("--after", default="", metavar="UUID", help="Only callers behind this one, to go on behind an earlier limit.")
@server_options(REPORT_TIMEOUT)
@json_option
def callers(
    *,
    asked: Asked,
    extension: str,
    outcall: str,
    tenant: str,
    decisions: tuple[str, ...],
    limit: int,
    after: str,
    as_json: bool,
) -> None:
    """Lists who may dial an extension, who may not, and who is asked for a password.

    Every user of a tenant is listed, sorted by UUID, with what check would answer. The exit code is 0 whatever that is.
    """
    wanted = [Decision[name.upper()] for name in decisions]
    with asked as client:
        pages = client.callers(
            extension=extension, outcall=outcall, tenant=tenant, decisions=wanted, after=after, limit=limit
        )
        if as_json:
            print_json(_document(list(pages)))
        else:
            _tell(pages, outcall)


def _document(pages: list[CallerPage]) -> dict[str, object]:
    last = pages[-1]
    return {
        "callers": [caller for page in pages for caller in page.callers],
        "tenant": last.tenant,
        "revision": last.revision,
        "outcall_known": last.outcall_known,
        "more": last.more,
    }


def _tell(pages: Iterable[CallerPage], outcall: str) -> None:
    """Prints the callers page by page, then the number of each kind."""
    counts: Counter[Decision] = Counter()
    last = None
    for last in pages:
        counts.update(caller.decision for caller in last.callers)
        say(*map(_line, last.callers))
    if last is None:
        return
    if outcall and not last.outcall_known:
        complain(Text(f"outcall {outcall} is unknown to tenant {last.tenant}: as if there were none", style="yellow"))
    told = ", ".join(f"{counts[decision]:,} {decision.name}" for decision in Decision)
    callers_ = "1 caller" if counts.total() == 1 else f"{counts.total():,} callers"
    complain(Text(f"{callers_}: {told}  [revision {last.revision}]", style="dim"))
    if last.more:
        complain(Text(f"there are more; go on with --after {last.callers[-1].caller}", style="yellow"))


def _line(caller: CallerDecision) -> Text:
    line = Text(f"{caller.caller}  ")
    line.append_text(decision_text(caller.decision)).append(" " * (_WIDTH - len(caller.decision.name)))
    if caller.permission is None:
        return line.append("  no permission matches")
    return line.append(f"  by {permission_text(caller.permission)} in stage {caller.stage.name}")
