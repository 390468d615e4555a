"""Patterns that do not match as they seem to: a missing tail, a star, another notation for a number."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.lint.finding import Call, Mistake, Rank
from pdp.rules.analysis.rulings import NOBODY
from pdp.rules.model import Decision, Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.rules.analysis.lint.subject import Subject
    from pdp.rules.analysis.rulings import Rights
    from pdp.rules.model import CallPermission, Tenant

_PREFIX = re.compile(r"_[0+][0-9]{0,3}|00|\+", re.ASCII)
"""The beginning of numbers outside, or a pattern with ``_`` and no position for another character."""
_STARRED = re.compile(r"_?\+?[0-9]*\*", re.ASCII)
_TAIL = "44205550100"
"""The tail, behind a prefix, of a number that is not in use."""

_MOST_WAYS = 100
"""Callers and outcalls among which an example of one mistake is searched."""


class _Way(NamedTuple):
    """A caller with certain rights, and an outcall."""

    rights: Rights
    outcall: str | None


def seeming_prefixes(subject: Subject) -> Iterator[Mistake]:
    """Patterns that look like a prefix and are one number: ``_00``, ``00*``."""
    for permission in subject.tenant.call_permissions:
        for pattern in dict.fromkeys(permission.extensions):
            code = looks_like_prefix(pattern)
            if code:
                yield _seeming(subject, permission, pattern, code)


def looks_like_prefix(pattern: str) -> str:
    """The code of the mistake that a pattern seems to be; empty for other patterns."""
    if _PREFIX.fullmatch(pattern):
        return "missing-tail"
    return "literal-star" if _STARRED.fullmatch(pattern) else ""


def _seeming(subject: Subject, permission: CallPermission, pattern: str, code: str) -> Mistake:
    name = subject.name(permission.id)
    prefix = pattern.lstrip("_").rstrip("*")
    meant = f"_{prefix}."
    if code == "missing-tail":
        text = f"{name}: {pattern} matches {prefix} and nothing longer, {prefix + _TAIL} for example"
    else:
        text = f"{name}: {pattern} matches the key * behind {prefix or 'nothing'}, not {prefix + _TAIL} for example"
    call = _unmatched(subject, permission, prefix + _TAIL)
    if call is not None:
        text += f"; {subject.shown(call)}"
    remedy = f"write {meant} if it shall match all that begin so"
    harmless = call is None or permission.mode is Mode.ALLOW
    less = Rank.MEDIUM if harmless else None
    return Mistake(code, text, remedy, (permission.id,), pattern=pattern, call=call, less=less)


def _unmatched(subject: Subject, permission: CallPermission, extension: str) -> Call | None:
    """A call that the permission would decide if the pattern were a prefix, and that is decided otherwise."""
    rulings = subject.rulings
    region = rulings.regions.region_of(extension)
    wanted = Decision.ALLOW if permission.mode is Mode.ALLOW else Decision.DENY
    for way in _ways(subject, permission):
        decided = rulings.decide(*way, region)
        if decided.decision is not wanted and permission.id not in decided.permissions:
            return Call(subject.holders[way.rights], way.outcall, extension, decided.decision)
    return None


def counterparts(tenant: Tenant) -> dict[str, str]:
    """Patterns that begin with 00 or +, each with the same pattern behind the other beginning."""
    found = {}
    for permission in tenant.call_permissions:
        for pattern in permission.extensions:
            bare = pattern.replace("_", "")
            if bare.startswith("00") and len(bare) > len("00"):
                found[pattern] = f"_+{bare[2:]}"
            elif bare.startswith("+") and len(bare) > 1:
                found[pattern] = f"_00{bare[1:]}"
    return found


def other_notations(subject: Subject) -> Iterator[Mistake]:
    """Denies that another notation of the same number bypasses."""
    if subject.tenant.dialling is not None and subject.tenant.dialling.country:
        return  # in a dialling plan both are one number
    regions = subject.rulings.regions
    others = counterparts(subject.tenant)
    for deny in subject.denies(subject.rulings.permissions):
        numbers = regions.any_of(others[text] for text in deny.extensions if text in others)
        numbers &= ~regions.any_of(deny.extensions)
        missing = ", ".join(others[text] for text in deny.extensions if text in others)
        mistake = _got_round(subject, deny, numbers, missing) if numbers else None
        if mistake is not None:
            yield mistake


def _got_round(subject: Subject, deny: CallPermission, numbers: int, missing: str) -> Mistake | None:
    for way in islice(_ways(subject, deny), _MOST_WAYS):
        open_ = _unspoken(subject, way, deny, subject.allowed(*way, numbers))
        if open_:
            call = subject.call(*way, open_)
            text = f"{subject.name(deny.id)} denies numbers abroad in one notation alone; {subject.shown(call)}"
            remedy = f"add {missing}, or say under dialling how the tenant dials"
            return Mistake("other-notation-open", text, remedy, (deny.id,), call=call)
    return None


def _unspoken(subject: Subject, way: _Way, deny: CallPermission, allowed: int) -> int:
    """The extensions allowed by no permission written for this notation: by none, or by one that allows both."""
    rulings = subject.rulings
    numbers = rulings.set_of(deny.id)
    for _, ids in rulings.stages(*way):
        for allow in subject.allows(ids):
            if numbers & ~rulings.set_of(allow.id):
                allowed &= ~rulings.set_of(allow.id)
    return allowed


def _ways(subject: Subject, permission: CallPermission) -> Iterable[_Way]:
    """Callers, or outcalls, that the permission applies to."""
    for outcall in permission.outcalls:
        if permission.id in subject.rulings.outcalls.get(outcall, ()):
            yield _Way(NOBODY, outcall)
    for rights in subject.having.get(permission.id, ()):
        yield _Way(rights, None)
