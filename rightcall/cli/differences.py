"""The comparisons of rules that commands show: for people, for merge requests, and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pdp.rules.analysis.comparison import Comparison
from pdp.rules.analysis.comparison_sentences import ComparisonSentences, without_effect
from pdp.rules.analysis.naming import numbers_text
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.rules.model import Tenant
from rightcall.cli.output import complain, say
from rightcall.programs.comparable import comparable, same_rules
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.rules.analysis.comparison import ChangeLine, PasswordLine
    from pdp.rules.analysis.rulings import Decided
    from rightcall.cli.options.assumptions import Assumptions

ROWS = 40
"""Changes of a tenant to show, unless asked for more."""


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


def show(comparison: Comparison, rows: int) -> None:
    """Prints a comparison for people.

    Args:
        comparison: the comparison.
        rows: the most changes to print.
    """
    say(Text(title(comparison), style="bold"))
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


def show_markdown(comparison: Comparison, rows: int) -> None:
    """For a merge request: a list, with the reasons behind each change."""
    say(f"### {_marked(title(comparison))}")
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


def title(comparison: Comparison) -> str:
    """The tenant's name, and whether it is new or gone."""
    name = comparison.new.name or comparison.old.name or comparison.new.uuid
    if not comparison.old.users and not comparison.old.call_permissions:
        return f"{name} (new)"
    gone = not comparison.new.users and not comparison.new.call_permissions
    return f"{name} (gone)" if gone else name


def _edited(comparison: Comparison) -> str:
    edited = ", ".join(without_effect(comparison.old, comparison.new))
    return f": {edited}, with no effect on any call" if edited else ""


def summary(comparison: Comparison) -> str:
    """The change in one line: the first change, and the number of the others."""
    sentences = ComparisonSentences(comparison)
    lines = [
        ("wider: " if line.change.widens else "narrower: ") + sentences.headline(line) for line in comparison.lines
    ]
    lines = lines or [sentences.password(line) for line in comparison.passwords]
    if not lines:
        return f"no decision changes{_edited(comparison)}"
    return lines[0] + (f"; and {len(lines) - 1:,} more" if len(lines) > 1 else "")


def document(comparison: Comparison) -> dict[str, object]:
    """A comparison for programs."""
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
