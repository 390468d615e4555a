"""Permissions and patterns that decide nothing, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.effects import Cause
from pdp.rules.analysis.lint.finding import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.rules.analysis.effects import Idle
    from pdp.rules.analysis.lint.subject import Subject

_FEW = 5


def idle(subject: Subject) -> Iterator[Mistake]:
    """Every permission that decides no call of any caller, but those that are disabled."""
    for each in subject.effects.idle_permissions():
        mistake = None if Cause.DISABLED in each.causes else _of_structure(subject, each) or _of_others(subject, each)
        if mistake is not None:
            yield mistake


def idle_patterns(subject: Subject) -> Iterator[Mistake]:
    """Every pattern that decides nothing, of a permission that does."""
    covered = dict.fromkeys(subject.effects.covered_patterns())
    for id_, pattern in covered:
        text, remedy = f"its other patterns match all that {pattern} does", f"remove {pattern}"
        if _matches_nothing(subject, pattern):
            text, remedy = f"nothing that can be dialled matches {pattern}", f"correct {pattern}, or remove it"
        yield Mistake("pattern-covered", f"{subject.name(id_)}: {text}", remedy, (id_,), pattern=pattern)
    for each in subject.effects.idle_patterns():
        if (each.permission, each.pattern) not in covered:
            text = f"{subject.name(each.permission)}: {each.pattern} decides no call; {_taken(subject, each)}"
            yield Mistake(
                "pattern-never-decides", text, f"remove {each.pattern}", (each.permission,), pattern=each.pattern
            )


def _of_structure(subject: Subject, each: Idle) -> Mistake | None:
    """A permission that takes part in no call, apart from all others."""
    name, ids = subject.name(each.permission), (each.permission,)
    if Cause.NO_PATTERN in each.causes:
        return Mistake("no-pattern", f"{name} has no extensions, so it never applies", "list extensions", ids)
    if Cause.NO_ASSOCIATION in each.causes:
        text = f"{name} belongs to no user, group or outcall, so it never applies"
        return Mistake("no-association", text, "list users, groups or outcalls, or remove it", ids)
    if Cause.ONLY_DISABLED_GROUPS in each.causes:
        text = f"{name} belongs to disabled groups alone, so it never applies"
        return Mistake("only-a-disabled-group", text, "enable the group, or disable the permission as well", ids)
    if Cause.ONLY_EMPTY_GROUPS in each.causes:
        text = f"{name} belongs to groups without members alone, so it never applies"
        return Mistake("group-without-members", text, "add members to the group, or remove the permission", ids)
    return None


def _of_others(subject: Subject, each: Idle) -> Mistake:
    """A permission all of whose extensions others take."""
    takers = sorted({id_ for of in each.by.values() for ids in of.values() for id_ in ids})
    name, ids = subject.name(each.permission), (each.permission, *takers)
    if each.causes == (Cause.EMERGENCY,):
        text = f"{name} decides no call: the emergency list allows all that it matches"
        return Mistake("emergency-list-decides-first", text, "remove it; nothing changes", ids)
    text = f"{name} decides no call; {_taken(subject, each)}"
    if Cause.EARLIER_STAGE in each.causes:
        remedy = "put it on the users themselves if it shall prevail, or remove it"
        return Mistake("always-decided-by-an-earlier-stage", text, remedy, ids)
    if all(_matches_nothing(subject, pattern) for pattern in subject.rulings.permissions[each.permission].extensions):
        text = f"{name} decides no call; nothing that can be dialled matches its extensions"
        return Mistake("never-decides", text, "correct its extensions, or remove it", ids)
    return Mistake("never-decides", text, "make what prevails over it narrower, or remove it", ids)


def _matches_nothing(subject: Subject, pattern: str) -> bool:
    """Whether a pattern matches no number that can be dialled."""
    return not subject.rulings.regions.numbers(pattern)


def _taken(subject: Subject, each: Idle) -> str:
    """The permissions that take a permission's extensions."""
    parts = []
    for cause, words in ((Cause.EARLIER_STAGE, "in an earlier stage"), (Cause.SAME_STAGE, "in its stage")):
        ids = sorted({id_ for of in (each.by.get(cause) or {}).values() for id_ in of})
        if ids:
            more = f" and {len(ids) - _FEW} more" if len(ids) > _FEW else ""
            parts.append(f"{', '.join(map(subject.name, ids[:_FEW]))}{more} {words}")
    if Cause.EMERGENCY in each.causes:
        parts.append("the emergency list")
    return f"its extensions are taken by {' and '.join(parts)}"
