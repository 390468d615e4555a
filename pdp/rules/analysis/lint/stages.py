"""Permissions that undo each other: in one stage, or across stages."""

from __future__ import annotations

from itertools import combinations, islice
from typing import TYPE_CHECKING

from pdp.rules.analysis.lint.finding import Mistake, Rank
from pdp.rules.analysis.rulings import NOBODY
from pdp.rules.model import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.rules.analysis.lint.subject import Subject
    from pdp.rules.analysis.rulings import Rights
    from pdp.rules.model import CallPermission

_MOST_CALLERS = 100
"""Callers with different rights among which an example of one mistake is searched."""


def beaten_denies(subject: Subject) -> Iterator[Mistake]:
    """A deny all of whose extensions an allow of the same stage takes."""
    rulings, seen = subject.rulings, set[tuple[int, int]]()
    for ids, rights, outcall in subject.stages:
        for deny in subject.denies(ids):
            numbers = rulings.set_of(deny.id)
            for allow in subject.allows(ids):
                if (allow.id, deny.id) in seen or numbers & ~rulings.set_of(allow.id):
                    continue
                seen.add((allow.id, deny.id))
                text = f"{subject.name(allow.id)} allows all that {subject.name(deny.id)} denies in the same stage"
                opened = subject.allowed(rights, outcall, numbers)
                call = subject.call(rights, outcall, opened) if opened else None
                remedy = f"take {', '.join(deny.extensions)} out of permission {allow.id}, or deny it on the users"
                yield Mistake(
                    "allow-beats-narrower-deny",
                    text + (f"; {subject.shown(call)}" if call else ""),
                    remedy,
                    (deny.id, allow.id),
                    call=call,
                    less=None if call else Rank.MEDIUM,
                )


def opened_denies(subject: Subject) -> Iterator[Mistake]:
    """A deny that an allow of an earlier stage opens as a whole, being wider."""
    rulings = subject.rulings
    allows = [(each, rulings.set_of(each.id)) for each in subject.allows(subject.having)]
    behind = {id_ for rights in subject.holders for id_ in rights.groups}.union(*rulings.outcalls.values())
    for deny in subject.denies(sorted(behind)):
        numbers = rulings.set_of(deny.id)
        for allow, wider in allows:
            if not numbers & ~wider and wider & ~numbers:
                mistake = _opened(subject, allow, deny, numbers)
                if mistake is not None:
                    yield mistake


def _opened(subject: Subject, allow: CallPermission, deny: CallPermission, numbers: int) -> Mistake | None:
    """The mistake, if there is a caller for which the first opens extensions that the second denies."""
    for rights, outcall in islice(_earlier(subject, allow, deny), _MOST_CALLERS):
        opened = subject.allowed(rights, outcall, numbers)
        if opened:
            call = subject.call(rights, outcall, opened)
            text = f"{subject.name(allow.id)} opens all that {subject.name(deny.id)} denies in a later stage"
            remedy = f"take {', '.join(deny.extensions)} out of permission {allow.id}, or deny it in the same stage"
            ids = (allow.id, deny.id)
            code = "premium-opened-by-another-stage"
            return Mistake(code, f"{text}; {subject.shown(call)}", remedy, ids, call=call)
    return None


def _earlier(subject: Subject, allow: CallPermission, deny: CallPermission) -> Iterator[tuple[Rights, str | None]]:
    """Callers to which an allow applies in an earlier stage than a deny."""
    for rights in subject.having[allow.id]:
        if allow.id in rights.own and deny.id in rights.groups:
            yield rights, None
        else:
            yield from ((rights, outcall) for outcall in deny.outcalls)


def passwords(subject: Subject) -> Iterator[Mistake]:
    """Permissions of one stage that ask for different PINs of the same extensions."""
    rulings, seen = subject.rulings, set[tuple[int, int]]()
    for ids, _, _ in subject.stages:
        asking = [each for each in subject.denies(ids) if each.password is not None]
        for one, other in combinations(asking, 2):  # ids ascend
            both = rulings.set_of(one.id) & rulings.set_of(other.id)
            if not both or (one.id, other.id) in seen or one.password == other.password:
                continue
            seen.add((one.id, other.id))
            example = rulings.regions.telling(both)
            pair = (one.id, other.id)
            names = f"{subject.name(one.id)} and {subject.name(other.id)}"
            text = f"{names} both ask for a PIN of {example}; only that of {subject.name(other.id)} opens it"
            yield Mistake("two-passwords-in-one-stage", text, "give both the same PIN, or make one narrower", pair)
            if both == rulings.set_of(one.id):
                text = f"the PIN of {subject.name(one.id)} is never asked for where {subject.name(other.id)} applies"
                yield Mistake(
                    "password-never-asked", text, f"remove permission {one.id}, or its extensions there", pair
                )


def duplicates(subject: Subject) -> Iterator[Mistake]:
    """Permissions with the same effect in the same stage of the same callers."""
    rulings, seen = subject.rulings, set[tuple[int, int]]()
    for ids, _, _ in subject.stages:
        alike: dict[tuple[Mode, str | None, int], int] = {}
        for id_ in ids:
            each = rulings.permissions[id_]
            password = each.password if each.mode is Mode.DENY else None
            first = alike.setdefault((each.mode, password, rulings.set_of(id_)), id_)
            if first != id_ and (first, id_) not in seen:
                seen.add((first, id_))
                text = f"{subject.name(first)} and {subject.name(id_)} say the same, to some callers both"
                yield Mistake("duplicate-permissions", text, "join them", (first, id_))


def joined_in_vain(subject: Subject) -> Iterator[Mistake]:
    """Permissions on users or groups and on outcalls as well."""
    for each in subject.rulings.permissions.values():
        if each.outcalls and (each.users or each.groups):
            callers = "users" if each.users else "groups"
            text = f"{subject.name(each.id)} stands on {callers} and on outcalls: each applies alone, not both together"
            remedy = f"keep either; what applies to these {callers} through one outcall only cannot be said"
            yield Mistake("one-permission-on-user-and-outcall", text, remedy, (each.id,))


def other_outcalls(subject: Subject) -> Iterator[Mistake]:
    """A deny of an outcall, of extensions that are open through another one without any permission."""
    rulings = subject.rulings
    for deny in subject.denies(rulings.permissions):
        numbers = 0
        for outcall in deny.outcalls:
            numbers |= rulings.decides(rulings.outcalls[outcall], deny.id) & ~rulings.emergency
        others = (outcall for outcall in rulings.outcalls if outcall not in deny.outcalls)
        for other in others if numbers else ():
            open_ = numbers & ~rulings.of_outcall(other).decided
            if open_:
                call = subject.call(NOBODY, other, open_)
                name = subject.names.outcall(other)
                text = (
                    f"{subject.name(deny.id)} stands on {_named(subject, deny.outcalls)} and not on {name}, where "
                    f"nothing speaks of what it denies; {subject.shown(call)}"
                )
                remedy = f"add outcall {name} to permission {deny.id}, if such calls can leave by it"
                yield Mistake("other-outcall-open", text, remedy, (deny.id,), call=call)
                break


def _named(subject: Subject, outcalls: tuple[str, ...]) -> str:
    return ", ".join(map(subject.names.outcall, outcalls))
