r"""The regular expressions of libphonenumber's metadata, taken apart.

The expressions are of a small dialect: digits, ``\d``, ``[...]``, groups, ``|``, ``?``, ``{n}``, ``{n,m}``, and ``$``
at the end of a branch. No repetition is unbounded, so each expression stands for a finite set of strings. Anything
outside the dialect is an error: a release of the metadata that needs more must not be half understood.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NoReturn, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r"\\d|\(\?:|\[(?:\d(?:-\d)?)+\]|\{\d+(?:,\d+)?\}|[0-9()|?$]")
_RANGE = re.compile(r"(\d)(?:-(\d))?")


@dataclass(frozen=True, slots=True)
class Digits:
    """One digit of several."""

    members: frozenset[int]


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the branches, the first that fits preferred."""

    branches: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part several times, preferably many."""

    part: Expression
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group that a transform rule can name by number."""

    part: Expression
    number: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of the text."""


Expression: TypeAlias = Digits | Sequence | Choice | Repeat | Group | End


class ExpressionError(ValueError):
    """An expression that is outside the dialect."""


@cache
def parse(text: str) -> Expression:
    """Parses an expression; groups keep their numbers.

    Raises:
        ExpressionError: the expression is outside the dialect.
    """
    return _Reader(text).whole()


def strings(expression: Expression) -> Iterator[str]:
    """Every string that an expression without ``$`` matches, in order of preference; some may come twice."""
    match expression:
        case Digits(members):
            yield from map(str, sorted(members))
        case Sequence(parts):
            yield from map("".join, itertools.product(*map(strings, parts)))
        case Choice(branches):
            yield from itertools.chain.from_iterable(map(strings, branches))
        case Repeat(part, least, most):
            for count in range(most, least - 1, -1):
                yield from map("".join, itertools.product(strings(part), repeat=count))
        case Group(part):
            yield from strings(part)
        case End():
            raise ExpressionError("'$' stands for no string")


class _Reader:
    """One pass over an expression's tokens."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [found.group() for found in _TOKEN.finditer(text)]
        if "".join(self._tokens) != text:
            self._fail("it holds a character with another meaning")
        self._tokens.reverse()
        self._groups = 0

    def whole(self) -> Expression:
        """The expression."""
        expression = self._choice()
        if self._tokens:
            self._fail("a ')' closes nothing")
        return expression

    def _choice(self) -> Expression:
        branches = [self._sequence()]
        while self._next() == "|":
            self._tokens.pop()
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self) -> Expression:
        parts: list[Expression] = []
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._one()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _one(self) -> Expression:
        part = self._tokens.pop()
        if part == "$":
            return End()
        if part == r"\d":
            return Digits(frozenset(range(10)))
        if part.isdigit():
            return Digits(frozenset({int(part)}))
        if part[0] == "[":
            ranges = _RANGE.findall(part)
            return Digits(frozenset(d for low, high in ranges for d in range(int(low), int(high or low) + 1)))
        if part[0] != "(":
            self._fail(f"{part!r} repeats nothing")
        return self._group(marked=part == "(")

    def _group(self, *, marked: bool) -> Expression:
        if marked:
            self._groups += 1
        number = self._groups
        inside = self._choice()
        if self._next() != ")":
            self._fail("a '(' is never closed")
        self._tokens.pop()
        return Group(inside, number) if marked else inside

    def _repeated(self, repeated: Expression) -> Expression:
        sign = self._next()
        if sign == "?":
            self._tokens.pop()
            return Repeat(repeated, 0, 1)
        if sign[:1] == "{":
            least, _, most = self._tokens.pop()[1:-1].partition(",")
            return Repeat(repeated, int(least), int(most or least))
        return repeated

    def _next(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def _fail(self, why: str) -> NoReturn:
        raise ExpressionError(f"the expression {self._text!r} of the metadata cannot be read: {why}")
