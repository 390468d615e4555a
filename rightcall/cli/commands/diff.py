"""``rightcall diff``: what an edit of definitions changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from pdp.rules.analysis.comparison import Comparison
from pdp.rules.analysis.comparison_sentences import ComparisonSentences, without_effect
from pdp.rules.analysis.naming import numbers_text
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.rules.model import Tenant
from rightcall.cli.command import command, option
from rightcall.cli.options.assumptions import assumption_options
from rightcall.cli.options.rules import rules_options
from rightcall.cli.output import complain, print_json, say
from rightcall.cli.rules import read_rules
from rightcall.programs.comparable import comparable, same_rules
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pdp.rules.analysis.comparison import ChangeLine, PasswordLine
    from pdp.rules.analysis.rulings import Decided
    from rightcall.cli.options.assumptions import Assumptions
    from rightcall.programs.sources import RulesOptions

FORMATS = ("human", "json", "markdown")
FAIL_ON = ("never", "widened", "any")
_ROWS = 40


@command(
    "rightcall diff company.yaml company-edited.yaml",
    "rightcall diff --format markdown --fail-on widened main/definitions branch/definitions",
    "rightcall diff redis://localhost:6379/0 company.yaml",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@option("--tenant", default="", metavar="UUID|NAME", help="Only this tenant.")
@option("--format", "form", type=click.Choice(FORMATS), default="human", help="markdown: for merge requests.")
@option("--rows", type=click.IntRange(min=1), default=_ROWS, help="Changes of a tenant to show; JSON has all.")
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
        print_json({"assumed": assumed.as_dict(), "tenants": [_document(each) for each in comparisons]})
    else:
        show = _markdown if form == "markdown" else _show
        for each in comparisons:
            show(each, rows)
        if not comparisons:
            say("No tenant differs.")
        if str(assumed):
            say(f"Assumed: {assumed}.")
    failed = {"never": False, "widened": any(each.widens for each in comparisons)}
    differs = any(each.lines or each.passwords for each in comparisons)
    ctx.exit(ExitCode.NOT_ALLOWED if failed.get(fail_on, differs) else ExitCode.DONE)


def compared(
    old: Sequence[Tenant], new: Sequence[Tenant], chosen: str, assumed: Assumptions, secret: bytes | None
) -> Iterator[Comparison]:
    """A comparison of each tenant that is not the same in both; one that is missing on a side is empty there.

    Args:
        old: the tenants before.
        new: the tenants now.
        chosen: UUID or name of the one tenant to compare; empty: all.
        assumed: the options of servers.
        secret: the deployment's key, to compare PINs with hashes.
    """
    before = {each.uuid: each for each in old}
    now = {each.uuid: each for each in new}
    uuids = dict.fromkeys([*before, *now])
    if chosen:
        uuids = {uuid: None for uuid in uuids if chosen in (uuid, *_names(uuid, before, now))}
        if not uuids:
            raise Failure(f"neither side has a tenant '{chosen}'", ExitCode.USAGE)
    untold = 0
    for uuid in uuids:
        empty = Tenant(uuid, (before.get(uuid) or now[uuid]).name)
        one, other, told = comparable(before.get(uuid, empty), now.get(uuid, empty), secret)
        untold += not told
        if same_rules(one, other):
            continue
        try:
            yield Comparison(one, other, emergency=assumed.emergency, policy=assumed.policy, override=assumed.override)
        except TooManyStatesError as error:
            raise Failure(f"tenant {empty.name or uuid} cannot be compared: {error}", ExitCode.FAULTY) from error
    if untold:
        complain("Redis holds PINs as hashes: with --secret-key-file it would be said which ones change.")


def _names(uuid: str, *sides: dict[str, Tenant]) -> list[str]:
    return [side[uuid].name for side in sides if uuid in side]


def _show(comparison: Comparison, rows: int) -> None:
    say(Text(_title(comparison), style="bold"))
    sentences = ComparisonSentences(comparison)
    for line in comparison.lines[:rows]:
        style, word = ("bold red", "wider") if line.change.widens else ("bold yellow", "narrower")
        say(Text.assemble("  ", (word, style), f"  {sentences.headline(line)}"))
        say(Text(f"      {sentences.reasons(line)}", style="dim"))
    if len(comparison.lines) > rows:
        say(f"  and {len(comparison.lines) - rows:,} more changes; --rows shows more, --format json all")
    if not comparison.lines:
        say(Text.assemble("  ", ("no decision changes", "bold green"), _edited(comparison)))
    for password in comparison.passwords[:rows]:
        say(f"  {sentences.password(password)}")


def _markdown(comparison: Comparison, rows: int) -> None:
    """For a merge request: a list, with the reasons behind each change."""
    say(f"### {_marked(_title(comparison))}")
    say("")
    sentences = ComparisonSentences(comparison)
    for line in comparison.lines[:rows]:
        word = "Wider" if line.change.widens else "Narrower"
        say(f"- **{word}** · {_marked(sentences.headline(line))}. {_marked(sentences.reasons(line))}")
    if len(comparison.lines) > rows:
        say(f"- and {len(comparison.lines) - rows:,} more changes")
    if not comparison.lines:
        say(f"- **No decision changes**{_marked(_edited(comparison))}")
    for password in comparison.passwords[:rows]:
        say(f"- {_marked(sentences.password(password))}")
    say("")


def _marked(text: str) -> str:
    """Text escaped for Markdown."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#~" else character for character in text)


def _title(comparison: Comparison) -> str:
    name = comparison.new.name or comparison.old.name or comparison.new.uuid
    if not comparison.old.users and not comparison.old.call_permissions:
        return f"{name} (new)"
    gone = not comparison.new.users and not comparison.new.call_permissions
    return f"{name} (gone)" if gone else name


def _edited(comparison: Comparison) -> str:
    edited = ", ".join(without_effect(comparison.old, comparison.new))
    return f": {edited}, with no effect on any call" if edited else ""


def _document(comparison: Comparison) -> dict[str, object]:
    sentences = ComparisonSentences(comparison)
    return {
        "uuid": comparison.new.uuid,
        "name": comparison.new.name,
        "widens": comparison.widens,
        "changes": [_change(comparison, sentences, line) for line in comparison.lines],
        "passwords": [_password(comparison, sentences, line) for line in comparison.passwords],
    }


def _change(comparison: Comparison, sentences: ComparisonSentences, line: ChangeLine) -> dict[str, object]:
    change = line.change
    return {
        "old": change.old.name,
        "new": change.new.name,
        "widens": change.widens,
        **_calls(comparison, line.users, line.outcalls, change.numbers),
        "example": {"caller": line.caller, "outcall": line.outcalls[0], "number": line.example},
        "old_by": _by(line.before),
        "new_by": _by(line.now),
        "sentences": [sentences.headline(line), sentences.reasons(line)],
    }


def _password(comparison: Comparison, sentences: ComparisonSentences, line: PasswordLine) -> dict[str, object]:
    return {
        **_calls(comparison, line.users, line.outcalls, line.numbers),
        "example": line.example,
        "sentences": [sentences.password(line)],
    }


def _calls(
    comparison: Comparison, users: Sequence[str], outcalls: Sequence[str | None], numbers: int
) -> dict[str, object]:
    sample = comparison.regions.sample(numbers)
    return {
        "callers": list(users),
        "nobody_known": not users,
        "outcalls": list(outcalls),
        "patterns": numbers_text(comparison.regions, numbers),
        "shortest": list(sample.shortest) or [comparison.regions.example(numbers)],
        "count_of_shortest": sample.shortest_count,
        "counts": list(sample.counts),
    }


def _by(decided: Decided) -> dict[str, object]:
    stage = decided.stage.name if decided.stage else "EMERGENCY" if decided.decision.name == "ALLOW" else "POLICY"
    return {"stage": stage, "permissions": list(decided.permissions)}
