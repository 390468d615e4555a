"""``rightcall replay``: which calls that were made would be decided otherwise."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich.console import Console
from rich.text import Text

from pdp.rules.analysis.naming import Names
from pdp.rules.analysis.rulings import LENIENCY
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.runtime.files import lines_of, open_text
from rightcall.cases.records import FIELDS, read_records
from rightcall.cases.replay import Replay
from rightcall.cli.command import command, option
from rightcall.cli.options.common import json_option
from rightcall.cli.options.rules import SOURCES, rules_options
from rightcall.cli.output import print_json, say
from rightcall.cli.rules import chosen_tenants, read_rules
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pdp.rules.model import Tenant
    from rightcall.cases.records import Record
    from rightcall.cases.replay import Changed
    from rightcall.programs.sources import RulesOptions

_ROWS = 40
_STEP = 50_000


@command(
    "rightcall replay Master.csv --old company.yaml --new company-edited.yaml",
    "rightcall replay calls.csv --column caller=who --column extension=number --old a.yaml --new b.yaml",
)
@click.argument("calls", metavar="CALLS", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@option("--old", required=True, metavar=SOURCES, help="The rules before.")
@option("--new", required=True, metavar=SOURCES, help="The rules now.")
@option("--tenant", default="", metavar="UUID|NAME", help="The tenant whose calls they are, where there are several.")
@option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=NAME",
    help=f"What a column of CALLS is called; fields are {', '.join(FIELDS)}. More than once for more.",
)
@option(
    "--prices",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file, a prefix and the price of a call in each row: what the calls that change would have cost.",
)
@option("--rows", type=click.IntRange(min=1), default=_ROWS, help="Changes to show; JSON has all.")
@json_option
@rules_options
def replay(  # noqa: PLR0913 - each is an option
    *,
    calls: Path,
    old: str,
    new: str,
    tenant: str,
    columns: tuple[str, ...],
    prices: Path | None,
    rows: int,
    reading: Callable[[], RulesOptions],
    as_json: bool,
) -> None:
    """Decides the CALLS that were made by two versions of rules, and shows those that would be decided otherwise.

    CALLS is Asterisk's Master.csv, a table of Wazo's call log, the decision log as JSON lines, or any CSV file with a
    heading. Callers are UUIDs, extensions or names. The exit code is 0 whatever the answers are.
    """
    options = reading()
    before, now = (_only(url, tenant, options) for url in (old, new))
    try:
        run = Replay(before, now)
    except TooManyStatesError as error:
        raise Failure(f"the calls cannot be replayed: {error}", ExitCode.FAULTY) from error
    run.run(_told(read_records(calls, _named(columns))))
    found = run.changed()
    cost = _prices(prices) if prices else {}
    if as_json:
        print_json(_document(run, found, cost))
    else:
        _show(run, found, Names(before, now), cost, rows)


def _only(url: str, tenant: str, options: RulesOptions) -> Tenant:
    found = chosen_tenants(read_rules(url, options), tenant)
    if len(found) != 1:
        raise Failure(f"{url} has {len(found)} tenants; name one with --tenant", ExitCode.USAGE)
    return found[0]


def _named(columns: tuple[str, ...]) -> dict[str, str]:
    named = dict(column.partition("=")[::2] for column in columns)
    unknown = [field for field in named if field not in FIELDS]
    if unknown:
        raise Failure(f"there is no field '{unknown[0]}'; fields are {', '.join(FIELDS)}", ExitCode.USAGE)
    return named


def _told(records: Iterable[Record]) -> Iterator[Record]:
    """The records; where a person looks, how many there were so far."""
    console = Console(stderr=True)
    console.quiet = not console.is_terminal
    with console.status("") as status:
        for number, record in enumerate(records):
            if number % _STEP == 0:
                status.update(f"{number:,} calls")
            yield record


def _prices(path: Path) -> dict[str, float]:
    found = {}
    with open_text(path) as file:
        for row in csv.reader(lines_of(file, path)):
            try:
                found[row[0].strip()] = float(row[1])
            except (IndexError, ValueError) as error:
                if found:
                    raise Failure(f"{path}: '{','.join(row)}' is no prefix with a price", ExitCode.USAGE) from error
    return found


def _price(extension: str, prices: dict[str, float]) -> float:
    """The price of the longest prefix of the extension; 0 without one."""
    lengths = range(len(extension), 0, -1)
    return next((prices[extension[:length]] for length in lengths if extension[:length] in prices), 0.0)


def _show(run: Replay, found: list[Changed], names: Names, prices: dict[str, float], rows: int) -> None:
    for each in found[:rows]:
        wider = LENIENCY[each.new] > LENIENCY[each.old]
        word, style = ("wider", "bold red") if wider else ("narrower", "bold yellow")
        cost = f", {_price(each.extension, prices) * each.calls:,.2f} in all" if prices else ""
        call = f"{names.user(each.caller)} to {each.extension} {names.ways([each.outcall or None])}"
        times = f"{each.calls:,} call{'s' if each.calls > 1 else ''}"
        say(Text.assemble((word, style), f"  {times}: {call}: {each.old.name} → {each.new.name}{cost}"))
    if len(found) > rows:
        say(f"and {len(found) - rows:,} more; --rows shows more, --json all")
    calls = sum(each.calls for each in found)
    text = f"{run.total:,} calls, {calls:,} of them would be decided otherwise"
    if run.unknown:
        text += f"; {run.unknown:,} by callers that are no user"
    if prices:
        costs: dict[str, float] = {}
        for each in found:
            costs[each.new.name] = costs.get(each.new.name, 0) + _price(each.extension, prices) * each.calls
        text += "; cost of those: " + ", ".join(f"{amount:,.2f} now {name}" for name, amount in costs.items())
    say(Text(text, style="bold"))


def _document(run: Replay, found: list[Changed], prices: dict[str, float]) -> dict[str, object]:
    return {
        "calls": run.total,
        "unknown_callers": run.unknown,
        "changed": sum(each.calls for each in found),
        "changes": [
            {
                "caller": each.caller,
                "extension": each.extension,
                "outcall": each.outcall,
                "old": each.old.name,
                "new": each.new.name,
                "calls": each.calls,
                **({"price": _price(each.extension, prices)} if prices else {}),
            }
            for each in found
        ],
    }
