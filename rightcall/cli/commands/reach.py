"""``rightcall reach``: the extensions that a caller may dial, by a server or by definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from rightcall.cli.command import command, option
from rightcall.cli.options.asking import server_options
from rightcall.cli.options.common import json_option
from rightcall.cli.output import Grid, complain, decision_text, draw, permission_text, print_json
from rightcall.client.directory import REPORT_TIMEOUT
from rightcall.client.values import Stage

if TYPE_CHECKING:
    from rightcall.cli.options.asking import Asked
    from rightcall.client.directory import Reach, Reaches

_MOST_PATTERNS = 10_000


@command("rightcall reach --caller da4e0000-0000-4000-8000-000000000004 --outcall 2")
@option(
    "--caller",
    default="",
    help="The user who calls: UUID, of definitions also name or extension; a stranger without it.",
)
@option(
    "--outcall",
    default="",
    help="Id of the outgoing call, of definitions also its name; none without it.",
)
@option("--tenant", default="", help="UUID of the tenant. Without it: the caller's own, else the outcall's.")
@option("--by-permission", is_flag=True, help="Tell apart which permission decides, in more patterns.")
@option(
    "--max-patterns",
    type=click.IntRange(1, _MOST_PATTERNS),
    default=1000,
    help="At most so many patterns; what they cannot tell apart is said to vary.",
)
@server_options(REPORT_TIMEOUT)
@json_option
def reach(
    *, asked: Asked, caller: str, outcall: str, tenant: str, by_permission: bool, max_patterns: int, as_json: bool
) -> None:
    """Lists what a caller may dial, may not dial, and is asked for a password for, as patterns.

    Every extension matches exactly one of the patterns. They are those of call permissions, and beyond those ? is one
    character of any kind, [^...] one that is not listed, and {...} any number of what stands in the braces, or none.
    """
    with asked as client:
        reaches = client.reach(
            caller=caller, outcall=outcall, tenant=tenant, by_permission=by_permission, max_patterns=max_patterns
        )
    if as_json:
        print_json(reaches)
        return
    draw(_table(reaches, by_permission=by_permission))
    _remark(reaches, caller, outcall)


def _table(reaches: Reaches, *, by_permission: bool) -> Grid:
    table = Grid("decision", "pattern", "for example", *(["by"] if by_permission else []))
    for one in reaches.reaches:
        decision = Text("varies", style="yellow") if one.decision is None else decision_text(one.decision)
        by = [_decisive(one)] if by_permission else []
        for pattern in one.patterns:
            table.add_row(decision, Text(pattern.pattern), Text(pattern.sample), *by)
        table.add_section()
    return table


def _decisive(one: Reach) -> Text:
    if one.stage is None:
        return Text("")
    if one.stage is Stage.NONE:
        return Text("no permission matches")
    return Text(f"{permission_text(one.permission)} in stage {one.stage.name}")


def _remark(reaches: Reaches, caller: str, outcall: str) -> None:
    """Prints notes beside the table on standard error."""
    tenant = f"tenant {reaches.tenant}" if reaches.tenant else "any tenant"
    if caller and not reaches.caller_known:
        complain(Text(f"caller {caller} is unknown to {tenant}: only the outcall's permissions apply", style="yellow"))
    if outcall and not reaches.outcall_known:
        complain(Text(f"outcall {outcall} is unknown to {tenant}: as if there were none", style="yellow"))
    if reaches.truncated:
        complain(Text("what varies could not be told apart within the bounds; try a larger --max-patterns", "yellow"))
    complain(Text(f"revision {reaches.revision or 'none'}", style="dim"))
