"""``rightcall decisions``: a search of the decision log."""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from redis.exceptions import RedisError
from rich.text import Text

from pdp.rules.analysis.lookup import UnclearError
from pdp.rules.analysis.naming import Names
from pdp.rules.model import Decision
from rightcall.cases.decisions import Wanted, file_entries, moment, permission_id, stream_entries
from rightcall.cli.command import command, option
from rightcall.cli.derivation import derivation
from rightcall.cli.options.common import json_option
from rightcall.cli.options.rules import SOURCES, rules_options
from rightcall.cli.output import DECISION_STYLES, complain, draw, print_json, say
from rightcall.client.errors import RightcallError
from rightcall.client.values import Call
from rightcall.client.values import Decision as Answered
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.local import LocalClient
from rightcall.programs.published import at_revision, names_redis
from rightcall.programs.redis_client import opened_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rightcall.cases.decisions import Entry
    from rightcall.programs.sources import RulesOptions

_LIMIT = 100
_CALL = ("extension", "caller", "outcall", "tenant", "forwarded_by")


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return moment(value, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter("write a time as 2026-11-23T08:15, or how long ago as 2h.", ctx, param) from error


@command(
    "rightcall decisions decisions.log --definitions company.yaml --caller Alice --decision deny",
    "rightcall decisions redis://localhost:6379/0 --definitions redis://localhost:6379/0 --since 2h --explain",
)
@click.argument("places", metavar="FILE|URL...", nargs=-1, required=True)
@option("--definitions", metavar=SOURCES, help="The rules: for names, and to explain by.")
@option("--caller", default="", help="Who calls or forwards: UUID, with --definitions also name, extension or alias.")
@option("--extension", default="", help="What was dialled, from its beginning; separators do not count.")
@option("--outcall", default="", help="Id of the outgoing call, with --definitions also its name.")
@option("--tenant", default="", metavar="UUID|NAME", help="Only this tenant's; a name needs --definitions.")
@option(
    "--decision",
    "answers",
    multiple=True,
    type=click.Choice([decision.name.lower() for decision in Decision]),
    help="Only these answers; can be given more than once.",
)
@option(
    "--permission",
    type=click.IntRange(min=0),
    default=0,
    show_default="0, any",
    help="Decided by this one, by its id.",
)
@option(
    "--since", callback=_time, metavar="TIME", help="From this time on, UTC, as 2026-11-23T08:15; or 90m, 2h, 7d ago."
)
@option("--until", callback=_time, metavar="TIME", help="Before this time.")
@option("--explain", is_flag=True, help="Explain each at its revision, which Redis may keep; or by definitions.")
@option("--limit", type=click.IntRange(min=1), default=_LIMIT, help="The newest of them, at most so many.")
@rules_options
@json_option
def decisions(
    *,
    places: tuple[str, ...],
    definitions: str | None,
    explain: bool,
    limit: int,
    reading: Callable[[], RulesOptions],
    as_json: bool,
    **wanted: Any,
) -> None:
    """Finds decisions in the decision log: in files, the oldest first, or in the stream of a Redis.

    The exit code is 0, whatever is found.
    """
    options = reading()
    if explain and definitions is None:
        raise click.UsageError("Explain by which rules? Give --definitions, such as the Redis that has the revisions.")
    known = LocalClient(definitions, options) if definitions is not None else None
    chosen = _wanted(known, wanted)
    found: deque[Entry] = deque(maxlen=limit)
    counts: Counter[str] = Counter()
    for place in places:
        for entry in _entries(place, chosen, options):
            found.append(entry)
            counts[str(entry["decision"])] += 1
    if as_json:
        print_json({"found": counts.total(), "entries": list(found)})
        return
    explaining = _Explaining(definitions, options) if explain and definitions is not None else None
    names = {tenant.uuid: Names(tenant) for tenant in (known.tenants if known else ())}
    for entry in found:
        say(_line(entry, names.get(str(entry.get("tenant")))))
        if explaining:
            explaining(entry)
    told = ", ".join(f"{counts[decision]:,} {decision}" for decision in sorted(counts))
    shown = f"; the newest {limit:,} are shown" if counts.total() > limit else ""
    complain(Text(f"{counts.total():,} found{': ' if told else ''}{told}{shown}", style="dim"))


def _wanted(known: LocalClient | None, given: dict[str, Any]) -> Wanted:
    """The options, with ids for names.

    Raises:
        Failure: a name is unknown or ambiguous.
    """
    caller, tenant, outcall = (given.pop(key) for key in ("caller", "tenant", "outcall"))
    if known is not None:
        lookup = known.lookup
        try:
            caller = lookup.caller(caller)
            of = lookup.chosen_tenant(tenant, caller)
            tenant = of.uuid if tenant and of else ""
            outcall = lookup.outcall(outcall, of) if of else outcall
        except UnclearError as error:
            raise Failure(str(error), ExitCode.USAGE) from error
    answers = tuple(each.upper() for each in given.pop("answers"))
    callers = (caller,) if caller else ()
    return Wanted(tenant=tenant, callers=callers, outcall=outcall, decisions=answers, **given)


def _entries(place: str, wanted: Wanted, options: RulesOptions) -> Iterator[Entry]:
    """The wanted entries of a file or a stream.

    Raises:
        Failure: it cannot be read.
    """
    if not names_redis(place):
        yield from filter(wanted.holds, file_entries(Path(place)))
        return
    client, name = opened_redis(place)
    with client:
        try:
            yield from filter(wanted.holds, stream_entries(client, f"{options.scope.prefix}decisions", wanted.since))
        except RedisError as error:
            raise Failure(f"{name} cannot be read: {error}", ExitCode.UNREACHABLE) from error


def _line(entry: Entry, names: Names | None) -> Text:
    """``2026-11-23 08:15:04 DENY Alice (101) to 0033123 through world: permission 12 (no-international), GROUP``."""
    time, decision = str(entry.get("time", ""))[:19].replace("T", " "), str(entry["decision"])
    style = DECISION_STYLES[Answered[decision]] if decision in Answered.__members__ else ""
    caller, outcall = str(entry.get("caller") or ""), str(entry.get("outcall") or "") or None
    who = names.user(caller) if names else caller or "a caller that is no user"
    way = names.ways([outcall]) if names else f"through {outcall}" if outcall else "through no outcall"
    forwarded = str(entry.get("forwarded_by") or "")
    sent = f" (forwarded by {names.user(forwarded) if names else forwarded})" if forwarded else ""
    challenge = f", PIN {entry['challenge']}" if entry.get("challenge") else ""
    return Text.assemble(
        f"{time}  ", (decision, style), f"  {who}{sent} to {entry.get('extension')} {way}: {_by(entry)}{challenge}"
    )


def _by(entry: Entry) -> str:
    permission = permission_id(entry)
    if not permission:
        return str(entry.get("reason") or "NO_PERMISSION").lower().replace("_", " ")
    name = entry["permission"].get("name")
    return f"permission {permission}{f' ({name})' if name else ''}, {entry.get('stage')}"


class _Explaining:
    """Explains entries, each by the revision that decided it.

    Args:
        definitions: the rules: of Redis, which keeps revisions, or others, by which all are explained.
        options: the options for reading rules.
    """

    def __init__(self, definitions: str, options: RulesOptions) -> None:
        self._definitions = definitions
        self._options = options
        self._clients: dict[str, LocalClient | str] = {}

    def __call__(self, entry: Entry) -> None:
        """Draws the explanation of an entry, or says why there is none."""
        client = self._client(str(entry.get("revision") or ""))
        asked: dict[str, Any] = {key: str(entry.get(key) or "") for key in _CALL}
        if isinstance(client, str):
            say(Text(f"  not explained: {client}", style="dim"))
            return
        try:
            draw(derivation(Call(**asked), client.explain(**asked)))
        except RightcallError as error:
            say(Text(f"  not explained: {error}", style="dim"))

    def _client(self, revision: str) -> LocalClient | str:
        place = self._definitions
        if names_redis(place):
            if not revision:
                return "no rules decided it"
            place = at_revision(place, revision)
        if place not in self._clients:
            try:
                self._clients[place] = LocalClient(place, self._options)
            except Failure as failure:
                self._clients[place] = str(failure)
        return self._clients[place]
