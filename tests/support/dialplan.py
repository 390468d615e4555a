"""A walk through an Asterisk dialplan, for tests: as much of it as our examples use, and an error for all else.

Applications that leave the dialplan (``AGI``) are real dialogues with an adapter; ``Dial``, ``Playback`` and ``Hangup``
are noted. A line that cannot be read, an unknown application or function, a label that is missing: each is an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agi_peer import Asterisk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_LINE: Final = re.compile(r"\s*(?:exten\s*=>?\s*([^,]+),1|same\s*=>?\s*n(?:\((\w+)\))?),(\w+)\((.*)\)\s*")
_CLASSES: Final = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]", ".": ".+", "!": ".*"}
_INNERMOST: Final = re.compile(r"\$\{((?:(?!\$\{)[^{}])*)\}")
_COMPARISON: Final = re.compile(r'"([^"]*)"\s*(!?=)\s*"([^"]*)"|([01])')
_STEPS: Final = 100


class Step(NamedTuple):
    """An application and its arguments, as written."""

    application: str
    arguments: str


class Ended(NamedTuple):
    """What a call came to: the applications that were reached, with their arguments."""

    steps: list[str]
    variables: dict[str, str]


class Dialplan:
    """The contexts of a dialplan.

    Args:
        text: of the file; lines before any context belong to the context ``""``.
        globals_: variables in the place of those of ``[globals]``.

    Raises:
        ValueError: a line cannot be read.
    """

    def __init__(self, text: str, **globals_: str) -> None:
        self._globals: dict[str, str] = {}
        self._contexts: dict[str, dict[str, list[Step]]] = {}
        self._labels: dict[tuple[str, str, str], int] = {}
        context, pattern = "", ""
        for line in text.splitlines():
            content = re.sub(r"(^|\s);.*", "", line).rstrip()
            if not content:
                continue
            if content.startswith("["):
                context = content.strip("[]")
            elif context == "globals":
                name, _, value = content.partition("=")
                self._globals[name] = globals_.get(name, value)
            else:
                pattern = self._read(content, context, pattern)

    def _read(self, content: str, context: str, pattern: str) -> str:
        found = _LINE.fullmatch(content)
        if found is None or content.count("(") != content.count(")"):
            raise ValueError(f"no line of a dialplan: {content}")
        pattern = found[1] or pattern
        steps = self._contexts.setdefault(context, {}).setdefault(pattern, [])
        if found[2]:
            self._labels[context, pattern, found[2]] = len(steps)
        steps.append(Step(found[3], found[4]))
        return pattern

    def call(
        self, context: str, extension: str, variables: Mapping[str, str] | None = None, *, keys: Iterable[str] = ()
    ) -> Ended:
        """Walks through a context with a call.

        Args:
            context: where the call starts.
            extension: what was dialled.
            variables: of the channel.
            keys: what the caller types where a PIN is asked for.
        """
        channel = {**self._globals, **(variables or {})}
        return _Walk(self, channel, iter(keys)).through(context, extension)

    def steps(self, context: str, extension: str) -> tuple[str, list[Step]]:
        """The pattern that an extension matches, the most exact one, and its steps.

        Raises:
            LookupError: none matches.
        """
        fitting = [one for one in self._contexts[context] if re.fullmatch(_regex(one), extension, re.DOTALL)]
        if not fitting:
            raise LookupError(f"{extension} is not in [{context}]")
        best = min(fitting, key=lambda one: (one.startswith("_"), one[-1:] in ".!", -len(one)))
        return best, self._contexts[context][best]

    def label(self, context: str, pattern: str, name: str) -> int:
        """The position of a label."""
        return self._labels[context, pattern, name]


class _Walk:
    """One call's way."""

    def __init__(self, plan: Dialplan, channel: dict[str, str], keys: Iterator[str]) -> None:
        self._plan = plan
        self._channel = channel
        self._keys = keys
        self._done: list[str] = []
        self._returned: list[tuple[str, str, int]] = []

    def through(self, context: str, extension: str) -> Ended:
        at = context, extension, 0
        for _ in range(_STEPS):
            context, extension, position = at
            pattern, steps = self._plan.steps(context, extension)
            if position >= len(steps):
                return Ended(self._done, self._channel)
            self._channel["EXTEN"] = extension
            application, arguments = steps[position]
            following = self._do(application, arguments, (context, extension, position + 1), pattern)
            if following is None:
                return Ended(self._done, self._channel)
            at = following
        raise AssertionError(f"the call goes round in circles: {self._done}")

    def _do(
        self, application: str, written: str, following: tuple[str, str, int], pattern: str
    ) -> tuple[str, str, int] | None:
        context, extension, _ = following
        if application in ("ExecIf", "GotoIf"):
            condition, _, then = _outer(written, "?")
            if _true(self._filled(condition)):
                inner = re.fullmatch(r"(\w+)\((.*)\)", then)
                if inner is None:
                    return context, extension, self._plan.label(context, pattern, then)
                self._do(inner[1], inner[2], following, pattern)
            return following
        arguments = self._filled(written)
        match application:
            case "Set":
                name, _, value = arguments.partition("=")
                self._channel[name] = value
            case "AGI":
                self._agi(arguments)
            case "Gosub":
                found = re.fullmatch(r"([\w-]+),(\w+),1\((.*)\)", arguments)
                assert found, arguments
                self._channel |= {f"ARG{place}": value for place, value in enumerate(found[3].split(","), 1)}
                self._returned.append(following)
                return found[1], found[2], 0
            case "Return":
                return self._returned.pop()
            case "Hangup":
                self._done.append(f"Hangup({arguments})")
                return None
            case "Dial" | "Playback":
                self._done.append(f"{application}({arguments})")
            case _:
                raise ValueError(f"no example uses {application}")
        return following

    def _agi(self, url: str) -> None:
        address, _, script = url.removeprefix("agi://").partition("/")
        peer = Asterisk(self._channel, dialled=self._keys, script=script)
        try:
            self._channel.update(peer.call(address))
        except OSError:
            self._channel["AGISTATUS"] = "FAILURE"

    def _filled(self, text: str) -> str:
        """The text with variables and functions replaced, from within outwards."""
        while found := _INNERMOST.search(text):
            text = text[: found.start()] + self._value(found[1]) + text[found.end() :]
        return text

    def _value(self, name: str) -> str:
        if function := re.fullmatch(r'REGEX\("(.*?)" (.*)\)', name, re.DOTALL):
            return str(int(re.search(function[1], function[2]) is not None))
        if function := re.fullmatch(r"FILTER\(([^,]*),(.*)\)", name, re.DOTALL):
            return "".join(re.findall(f"[{function[1]}]", function[2]))
        assert re.fullmatch(r"\w+", name), f"no example uses {name}"
        return self._channel.get(name, "")


def _regex(pattern: str) -> str:
    """The regular expression of an extension of a dialplan."""
    if not pattern.startswith("_"):
        return re.escape(pattern)
    parts = re.findall(r"\[[^]]*\]|.", pattern[1:])
    return "".join(part if part[0] == "[" else _CLASSES.get(part, re.escape(part)) for part in parts)


def _outer(text: str, mark: str) -> tuple[str, str, str]:
    """The text before and behind the first mark outside brackets."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "[({") - (character in "])}")
        if character == mark and depth == 0:
            return text[:place], mark, text[place + 1 :]
    raise ValueError(f"no {mark} in {text}")


def _true(expression: str) -> bool:
    """The truth of ``$[…]``: comparisons of quoted texts, or 0 and 1, joined by ``&``."""
    inner = expression.removeprefix("$[").removesuffix("]")
    truths = []
    for part in inner.split(" & "):
        found = _COMPARISON.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"no expression: {part}")
        truths.append(found[4] == "1" if found[4] else (found[1] == found[3]) == (found[2] == "="))
    return all(truths)


def dialplan(path: Path, **globals_: str) -> Dialplan:
    """The dialplan of a file."""
    return Dialplan(path.read_text(encoding="utf-8"), **globals_)
