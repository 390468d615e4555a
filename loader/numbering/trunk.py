"""The prefix of a national number: ``national_prefix_for_parsing`` as an automaton that finds the match.

A regular expression prefers the first branch that fits, and the longest repetition: not the longest match. So the
expression is expanded into *alternatives* in order of preference, each a row of digit sets of one length, in which a
transform rule's group has one place. A state of the automaton is the alternatives that still fit; as soon as one is
complete, later ones cannot prevail any more and are dropped.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from loader.numbering.expressions import (
    Choice,
    Digits,
    End,
    ExpressionError,
    Group,
    Repeat,
    Sequence,
    parse,
)
from loader.numbering.languages import DIGITS, EMPTY
from pdp.rules.dialling.layout import ACTION, TRANSFORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.numbering.expressions import Expression
    from loader.numbering.languages import Languages, Node

_RULE = re.compile(r"(\d*)\\(\d)")
_AT_END_SHIFT = 16


@dataclass(frozen=True, slots=True)
class _Alternative:
    """One alternative of an expression.

    Attributes:
        digits: the allowed digits at each position.
        group: from where to where the last group that matched goes; None where none did.
        number: that group's number.
        at_end: whether nothing may follow.
    """

    digits: tuple[frozenset[int], ...] = ()
    group: tuple[int, int] | None = None
    number: int = 0
    at_end: bool = False

    def then(self, other: _Alternative) -> _Alternative:
        """This alternative followed by another."""
        group, number = self.group, self.number
        if other.group is not None:
            group = (other.group[0] + len(self.digits), other.group[1] + len(self.digits))
            number = other.number
        return _Alternative(self.digits + other.digits, group, number, self.at_end or other.at_end)


_Rest: TypeAlias = tuple[tuple[frozenset[int], ...], bool, int]
"""The rest of an alternative: remaining digit sets, whether nothing may follow, and the action."""


def trunk_automaton(languages: Languages, expression: str, rule: str | None) -> tuple[Node, str]:
    """The automaton, and the literal that a transform rule puts before the group.

    Labels are the action of a match that ends in the state, and from bit 16 on the action of a match that ends there
    only at the end of the text.

    Raises:
        ExpressionError: automaton and actions cannot express the expression or the rule.
    """
    literal, number = _rule(rule) if rule else ("", 0)
    rests: list[_Rest] = []
    for alternative in _alternatives(parse(expression)):
        if not alternative.digits:
            continue  # what matches nothing is no prefix
        action = ACTION
        if alternative.number and alternative.number == number and alternative.group:
            action |= TRANSFORMS | alternative.group[0] << 5 | alternative.group[1]
        rests.append((alternative.digits, alternative.at_end, action))
    return _node(languages, tuple(rests), {}), literal


def _rule(rule: str) -> tuple[str, int]:
    """The literal and the group of a transform rule."""
    match = _RULE.fullmatch(rule)
    if match is None:
        raise ExpressionError(f"the transform rule {rule!r} of the metadata is more than digits and one group")
    return match[1], int(match[2])


def _alternatives(expression: Expression) -> Iterator[_Alternative]:
    """The alternatives of an expression, in order of preference."""
    match expression:
        case Digits(members):
            yield _Alternative((members,))
        case Sequence(parts):
            yield from map(_joined, itertools.product(*(list(_alternatives(part)) for part in parts)))
        case Choice(branches):
            for branch in branches:
                yield from _alternatives(branch)
        case Repeat(part, least, most):
            once = list(_alternatives(part))
            for count in range(most, least - 1, -1):
                yield from map(_joined, itertools.product(once, repeat=count))
        case Group(part, number):
            for inside in _alternatives(part):
                yield _Alternative(inside.digits, (0, len(inside.digits)), number, inside.at_end)
        case End():
            yield _Alternative(at_end=True)


def _joined(parts: tuple[_Alternative, ...]) -> _Alternative:
    whole = _Alternative()
    for part in parts:
        whole = whole.then(part)
    return whole


def _node(languages: Languages, rests: tuple[_Rest, ...], known: dict[tuple[_Rest, ...], Node]) -> Node:
    """The state in which these alternatives are left."""
    if not rests:
        return EMPTY
    if rests not in known:
        label = 0
        living: list[_Rest] = []
        for digits, at_end, action in rests:
            if digits:
                living.append((digits, at_end, action))
            elif not at_end:
                label |= action
                break
            elif not label:
                label = action << _AT_END_SHIFT
        ways = []
        for digit in range(DIGITS):
            left = ((digits[1:], at_end, action) for digits, at_end, action in living if digit in digits[0])
            ways.append(_node(languages, tuple(dict.fromkeys(left)), known))
        known[rests] = languages.node(label, tuple(ways))
    return known[rests]
