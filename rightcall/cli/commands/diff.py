"""``rightcall diff``: what an edit of definitions changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from rightcall.cli.command import command, option
from rightcall.cli.differences import ROWS, compared, document, show, show_markdown
from rightcall.cli.options.assumptions import assumption_options
from rightcall.cli.options.rules import rules_options
from rightcall.cli.output import print_json, say
from rightcall.cli.rules import read_rules
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rightcall.cli.options.assumptions import Assumptions
    from rightcall.programs.sources import RulesOptions

FORMATS = ("human", "json", "markdown")
FAIL_ON = ("never", "widened", "any")


@command(
    "rightcall diff company.yaml company-edited.yaml",
    "rightcall diff --format markdown --fail-on widened main/definitions branch/definitions",
    "rightcall diff redis://localhost:6379/0 company.yaml",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@option("--tenant", default="", metavar="UUID|NAME", help="Only this tenant.")
@option("--format", "form", type=click.Choice(FORMATS), default="human", help="markdown: for merge requests.")
@option("--rows", type=click.IntRange(min=1), default=ROWS, help="Changes of a tenant to show; JSON has all.")
@option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="never",
    help="End with code 1 where a line is opened wider (DENY < CHALLENGE < ALLOW), or where anything changes.",
)
@assumption_options
@rules_options
@click.pass_context
def diff(  # noqa: PLR0913 - each is an option
    ctx: click.Context,
    *,
    old: str,
    new: str,
    tenant: str,
    form: str,
    rows: int,
    fail_on: str,
    assumed: Assumptions,
    reading: Callable[[], RulesOptions],
) -> None:
    """Shows what decides otherwise in NEW than in OLD: for which callers, through which outcalls, for which numbers.

    It compares what the rules mean, not how they are written: for every caller, every outcall and every number there
    is. OLD and NEW are files, directories, a Wazo Platform, or what was published: redis://HOST:PORT/DB, with
    #TENANT@REVISION for an earlier revision. A user who is gone is a caller that nobody knows, whom rules deny nothing.
    """
    options = reading()
    before, now = (read_rules(side, options).tenants for side in (old, new))
    comparisons = list(compared(before, now, tenant, assumed, options.secret))
    if form == "json":
        print_json({"assumed": assumed.as_dict(), "tenants": [document(each) for each in comparisons]})
    else:
        for each in comparisons:
            (show_markdown if form == "markdown" else show)(each, rows)
        if not comparisons:
            say("No tenant differs.")
        if str(assumed):
            say(f"Assumed: {assumed}.")
    failed = {"never": False, "widened": any(each.widens for each in comparisons)}
    differs = any(each.lines or each.passwords for each in comparisons)
    ctx.exit(ExitCode.NOT_ALLOWED if failed.get(fail_on, differs) else ExitCode.DONE)
