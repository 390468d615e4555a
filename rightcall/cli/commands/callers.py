"""``rightcall callers``: the callers who may dial an extension, by a server or by definitions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from rightcall.cli.command import command, one_of, option
from rightcall.cli.options.asking import EVERY, group_option, locally, server_options
from rightcall.cli.options.common import json_option
from rightcall.cli.output import complain, decision_text, permission_text, print_json, say
from rightcall.client.directory import REPORT_TIMEOUT
from rightcall.client.values import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rightcall.cli.options.asking import Asked
    from rightcall.client.directory import CallerDecision, CallerPage
    from rightcall.programs.groups import PatternPart
    from rightcall.programs.local import LocalClient

_WIDTH = max(len(decision.name) for decision in Decision)


@command(
    "rightcall callers --extension 0033123456789 --outcall 2 --decision allow",
    "rightcall callers --definitions company.yaml --pattern _0900. --outcall any",
)
@option("--extension", help="What is dialled.")
@option("--pattern", metavar="PATTERN", help="All numbers of a pattern are, such as _0900.; for all of them, exactly.")
@group_option
@option(
    "--outcall",
    default="",
    help="Id of the outgoing call, of definitions also its name, or any: each of them, and none; none without it.",
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
@click.pass_context
def callers(  # noqa: PLR0913 - each is an option
    ctx: click.Context,
    *,
    asked: Asked,
    extension: str | None,
    pattern: str | None,
    group: str,
    outcall: str,
    tenant: str,
    decisions: tuple[str, ...],
    limit: int,
    after: str,
    as_json: bool,
) -> None:
    """Lists who may dial an extension, who may not, and who is asked for a password.

    Every user of a tenant is listed, sorted by UUID, with what check would answer. With --pattern or --outcall any,
    people with the same answers are told together, and those of callers that are no user besides. The exit code is 0
    whatever the answers are.
    """
    if not one_of(ctx, "extension", "pattern"):
        raise click.UsageError("What is dialled? Give --extension or --pattern.")
    wanted = [Decision[name.upper()] for name in decisions]
    with asked as client:
        if pattern is not None or outcall == EVERY:
            _show_together(locally(client), extension, pattern, tenant, group, outcall, wanted, as_json=as_json)
            return
        pages = client.callers(
            extension=str(extension), outcall=outcall, tenant=tenant, decisions=wanted, after=after, limit=limit
        )
        if group:
            pages = _of_group(pages, locally(client), tenant, group)
        if as_json:
            print_json(_document(list(pages)))
        else:
            _tell(pages, outcall)


def _of_group(pages: Iterable[CallerPage], client: LocalClient, tenant: str, group: str) -> Iterator[CallerPage]:
    """The pages with the members of a group alone."""
    from rightcall.programs.groups import Calls  # noqa: PLC0415 - who asks a server needs none of this

    users = set(Calls.chosen(client, tenant=tenant, group=group).users or ())
    for page in pages:
        yield replace(page, callers=tuple(each for each in page.callers if each.caller in users))


def _show_together(
    client: LocalClient,
    extension: str | None,
    pattern: str | None,
    tenant: str,
    group: str,
    outcall: str,
    wanted: list[Decision],
    *,
    as_json: bool,
) -> None:
    """Prints the decisions on an extension, or on all numbers of a pattern, people with the same ones together."""
    from pdp.rules.analysis.naming import Names  # noqa: PLC0415 - who asks a server needs none of this
    from rightcall.programs import groups  # noqa: PLC0415 - who asks a server needs none of this

    calls = groups.Calls.chosen(client, tenant=tenant, group=group, outcall=outcall if outcall != EVERY else None)
    chosen = {decision.name for decision in wanted or Decision}
    if pattern is not None:
        found = groups.pattern_callers(calls, pattern)
    else:
        found = groups.extension_callers(calls, client, str(extension))
    rows = [row for row in found if any(part.decision in chosen for part in row.parts)]
    if as_json:
        dialled = {"pattern": pattern} if pattern is not None else {"extension": extension}
        print_json({**dialled, "tenant": calls.tenant.uuid, "callers": rows})
        return
    names = Names(calls.tenant)
    for row in rows:
        said = "; ".join(map(_part, row.parts))
        say(Text.assemble((groups.heading(names, row.users, row.ways), "bold"), f": {said}"))


def _part(part: PatternPart) -> str:
    if part.every:
        return part.decision
    numbers = part.numbers or f"some, such as {part.example},"
    return f"{numbers} {part.decision}"


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
