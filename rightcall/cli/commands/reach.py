"""``rightcall reach``: the extensions that a caller may dial, by a server or by definitions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from pdp.rules.analysis.tree import NoTreeError, tree_of
from rightcall.cli.command import command, option
from rightcall.cli.options.asking import EVERY, group_option, locally, server_options
from rightcall.cli.options.common import json_option
from rightcall.cli.output import Branch, Grid, complain, decision_text, draw, permission_text, print_json, say
from rightcall.client.directory import REPORT_TIMEOUT
from rightcall.client.values import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.rules.analysis.tree import Twig
    from rightcall.cli.options.asking import Asked
    from rightcall.client.directory import Reach, Reaches
    from rightcall.programs.local import LocalClient

_MOST_PATTERNS = 10_000


@command(
    "rightcall reach --caller da4e0000-0000-4000-8000-000000000004 --outcall 2",
    "rightcall reach --definitions company.yaml --group sales --outcall any",
)
@option(
    "--caller",
    default="",
    help="The user who calls: UUID, of definitions also name or extension; a stranger without it.",
)
@group_option
@option(
    "--outcall",
    default="",
    help="Id of the outgoing call, of definitions also its name, or any: each of them, and none; none without it.",
)
@option("--tenant", default="", help="UUID of the tenant. Without it: the caller's own, else the outcall's.")
@option("--by-permission", is_flag=True, help="With --json: tell apart which permission decides, in more patterns.")
@option(
    "--max-patterns",
    type=click.IntRange(1, _MOST_PATTERNS),
    default=1000,
    help="At most so many patterns; what they cannot tell apart is said to vary.",
)
@server_options(REPORT_TIMEOUT)
@json_option
def reach(
    *,
    asked: Asked,
    caller: str,
    group: str,
    outcall: str,
    tenant: str,
    by_permission: bool,
    max_patterns: int,
    as_json: bool,
) -> None:
    """Tells what a caller may dial, may not dial, and is asked for a password for, and by which permissions.

    It is a tree: what begins so, what is an exception from that, and what holds for anything else; patterns are those
    of call permissions. JSON has a list instead, of which every extension matches exactly one pattern; beyond those of
    permissions, ? is one character of any kind, [^...] one that is not listed, and {...} any number of what stands in
    the braces, or none.
    """
    with asked as client:
        ask = partial(client.reach, by_permission=by_permission or not as_json, max_patterns=max_patterns)
        if group or outcall == EVERY:
            _show_many(locally(client), ask, tenant, caller, group, outcall, as_json=as_json)
            return
        reaches = ask(caller=caller, outcall=outcall, tenant=tenant)
    if as_json:
        print_json(reaches)
        return
    draw(_drawing(reaches))
    _remark(reaches, caller, outcall)


def _show_many(
    client: LocalClient,
    ask: Callable[..., Reaches],
    tenant: str,
    caller: str,
    group: str,
    outcall: str,
    *,
    as_json: bool,
) -> None:
    """Prints what the members of a group may dial, or a caller through each outcall; equal ones once."""
    from pdp.rules.analysis.naming import Names  # noqa: PLC0415 - who asks a server needs none of this
    from rightcall.programs.groups import Calls, group_reaches, heading  # noqa: PLC0415 - who asks a server needs none

    calls = Calls.chosen(
        client, tenant=tenant, caller=caller, group=group, outcall=outcall if outcall != EVERY else None
    )
    rows = group_reaches(calls, lambda user, way: ask(caller=user, outcall=way, tenant=calls.tenant.uuid))
    if as_json:
        print_json([{"callers": row.users, "outcalls": row.ways, **_fields(row.reaches)} for row in rows])
        return
    names = Names(calls.tenant)
    for row in rows:
        say(Text(heading(names, row.users, row.ways), style="bold"))
        draw(_drawing(row.reaches))


def _fields(reaches: Reaches) -> dict[str, object]:
    return {"reaches": reaches.reaches, "truncated": reaches.truncated, "revision": reaches.revision}


def _drawing(reaches: Reaches) -> Branch | Grid:
    """The tree; where patterns have no tree, a table."""
    parts = [(each, [pattern.pattern for pattern in each.patterns]) for each in reaches.reaches]
    try:
        tree = tree_of((number, texts) for number, (_, texts) in enumerate(parts))
    except NoTreeError:
        return _table(reaches)
    outcomes = [_outcome(each) for each, _ in parts]
    root = Branch(Text.assemble("anything else  " if tree.twigs else "anything  ", outcomes[tree.outcome]))
    for twig in tree.twigs:
        _grow(root, twig, outcomes)
    return root


def _grow(branch: Branch, twig: Twig[int], outcomes: list[Text]) -> None:
    patterns = ", ".join(text if text.isalnum() and text.isdigit() else f"_{text}" for text in twig.patterns)
    inner = branch.branch(Text.assemble(f"{patterns}  ", outcomes[twig.outcome]))
    for each in twig.twigs:
        _grow(inner, each, outcomes)


def _outcome(reach_: Reach) -> Text:
    if reach_.decision is None:
        return Text("varies", style="yellow")
    return Text.assemble(decision_text(reach_.decision), "  ", _decisive(reach_))


def _table(reaches: Reaches) -> Grid:
    table = Grid("decision", "pattern", "for example", "by")
    for one in reaches.reaches:
        decision = Text("varies", style="yellow") if one.decision is None else decision_text(one.decision)
        for pattern in one.patterns:
            table.add_row(decision, Text(pattern.pattern), Text(pattern.sample), _decisive(one))
        table.add_section()
    return table


def _decisive(one: Reach) -> Text:
    if one.stage is None:
        return Text("")
    if one.stage is Stage.NONE:
        return Text("no permission matches")
    if one.stage is Stage.EMERGENCY:
        return Text("an emergency number")
    return Text(f"{permission_text(one.permission)} in stage {one.stage.name}")


def _remark(reaches: Reaches, caller: str, outcall: str) -> None:
    """Prints notes beside the tree on standard error."""
    tenant = f"tenant {reaches.tenant}" if reaches.tenant else "any tenant"
    if caller and not reaches.caller_known:
        complain(Text(f"caller {caller} is unknown to {tenant}: only the outcall's permissions apply", style="yellow"))
    if outcall and not reaches.outcall_known:
        complain(Text(f"outcall {outcall} is unknown to {tenant}: as if there were none", style="yellow"))
    if reaches.truncated:
        complain(Text("what varies could not be told apart within the bounds; try a larger --max-patterns", "yellow"))
    complain(Text(f"revision {reaches.revision or 'none'}", style="dim"))
