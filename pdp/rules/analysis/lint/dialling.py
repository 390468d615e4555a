"""Patterns that dialled extensions bypass, or never reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.lint.finding import Mistake, Rank
from pdp.rules.dialling.judging import DialledPatterns
from pdp.rules.model import Mode
from pdp.rules.patterns.alphabet import ANY_MASK, GAP_MASK, STAR, mask_of
from pdp.rules.patterns.notation import sample_of
from pdp.rules.patterns.parser import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.rules.analysis.lint.subject import Subject
    from pdp.rules.model import CallPermission
    from pdp.rules.patterns.parser import Pattern

_SEPARATOR = mask_of("-") | GAP_MASK


def unread(subject: Subject) -> Iterator[Mistake]:
    """The tenant without a dialling plan, with a deny that separators bypass."""
    if subject.tenant.dialling is not None:
        return
    for permission in subject.tenant.call_permissions:
        if permission.enabled and permission.mode is Mode.DENY and (passed := _passed(permission)):
            text = f"the tenant does not say how it dials: {subject.name(permission.id)} denies {passed}"
            yield Mistake("dialling-not-said", text, "say it under dialling, with the country")
            return


def dialled(subject: Subject) -> Iterator[Mistake]:
    """Patterns that do not match as they seem to, in a tenant with a dialling plan."""
    dialling = subject.tenant.dialling
    if dialling is None:
        return
    judge = DialledPatterns(dialling.table) if dialling.country else None
    for permission in subject.tenant.call_permissions:
        if not permission.enabled:
            continue
        abroad = judge is not None and any(map(judge.is_abroad, permission.extensions))
        for text in permission.extensions:
            pattern = parse(text)
            told = _without_separators(pattern) or (_of_numbers(pattern, judge, abroad=abroad) if judge else None)
            if told:
                code, problem, remedy = told
                less = Rank.MEDIUM if permission.mode is Mode.ALLOW else None
                name = subject.name(permission.id)
                yield Mistake(code, f"{name}: {text} {problem}", remedy, (permission.id,), pattern=text, less=less)


def _passed(permission: CallPermission) -> str:
    """The denied extensions of a permission, and how separators bypass the deny; empty where none do."""
    for text in permission.extensions:
        tokens = parse(text).tokens
        if tokens[0] not in (ANY_MASK, STAR):
            sample = sample_of(tokens)
            return f"{text}, but not ({sample[:2]}){sample[2:]}, which dials the same number"
    return ""


def _without_separators(pattern: Pattern) -> tuple[str, str, str] | None:
    """Code, problem and remedy of a pattern that matches nothing once separators are removed."""
    if not _needs_separator(pattern.tokens):
        return None
    problem = "matches nothing that can be dialled: separators are dropped, and a + is the first character"
    return "needs-a-separator", problem, "write the digits alone"


def _needs_separator(tokens: Sequence[int]) -> bool:
    """Whether a pattern needs a separator, or a ``+`` that is not first."""
    inside = (token & ~mask_of("+") for token in tokens[1:] if token != STAR)
    return any(token != STAR and not token & ~_SEPARATOR for token in (*tokens[:1], *inside))


def _of_numbers(pattern: Pattern, judge: DialledPatterns, *, abroad: bool) -> tuple[str, str, str] | None:
    """Code, problem and remedy of a pattern where numbers are read.

    Args:
        pattern: the pattern.
        judge: the judge with the numbers of the country.
        abroad: whether the permission is for foreign numbers anyway.
    """
    if judge.lacks_line(pattern):
        problem = f"matches no number, since numbers are dialled behind the outside line {judge.line}"
        return "outside-line-missing", problem, f"write {_behind_line(pattern.text, judge.line)}"
    if judge.is_no_number(pattern):
        problem = "matches no number as it is written where this tenant dials"
        remedy = f"write the national prefix, or +{judge.code} or an international prefix and {judge.code}, before it"
        return "no-number", problem, remedy
    if judge.only_foreign(pattern) and not abroad:
        problem = "matches foreign numbers alone: own ones only where a pattern spells them out"
        return "own-country-not-meant", problem, f"add _+{judge.code}. if the country's own numbers are meant as well"
    return None


def _behind_line(text: str, line: str) -> str:
    """A pattern, behind an outside line."""
    return f"_{line}{text[1:]}" if text.startswith("_") else f"{line}{text}"
