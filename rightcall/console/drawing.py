"""Drawings for the pages, as SVG in the colours of the style sheet: patterns, and walks through automata."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from pdp.rules.errors import PatternError
from pdp.rules.model import Stage
from pdp.rules.patterns.alphabet import ANY_MASK, STAR
from pdp.rules.patterns.notation import class_text
from pdp.rules.patterns.parser import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.snapshot.walk import Walk

_CHARACTER: Final = 9
"""Width of a character, with some to spare."""
_GAP: Final = 26
_HEIGHT: Final = 34
_MOST: Final = 40
"""Boxes of a drawing; a pattern of more is not drawn."""
_WORDS: Final = {ANY_MASK: "any", STAR: "any number of any"}
_REST: Final = {"literal": "and the rest is this number", "patterns": "then few patterns are left, tried one by one"}
_STAGES: Final = {Stage.USER: "Permissions of the caller and of groups", Stage.OUTCALL: "Permissions of the outcall"}


def pattern_drawing(pattern: str) -> Markup | None:
    """A pattern as a row of boxes, one for each character; None: it is too long to draw, or no pattern."""
    try:
        tokens = parse(pattern).tokens
    except PatternError:
        return None
    boxes = []
    for kind, run in groupby(tokens, _kind):
        texts = [_WORDS.get(token) or class_text(token) for token in run]
        if kind == "digits":
            boxes.append(("".join(texts), "box"))
        else:
            boxes += [(text, kind) for text in texts]
    return _row(boxes, f"The pattern {pattern}") if len(boxes) <= _MOST else None


def walk_drawing(walk: Walk) -> Markup:
    """A walk as a row of circles, with the characters on the arrows, and the other ways out below."""
    x, shapes, lines = 30, list[Markup](), 1
    for step in walk.steps:
        others = [f"or {each}" for each in step.beside[:3]]
        others += [f"or {len(step.beside) - 3} more"] if len(step.beside) > 3 else []  # noqa: PLR2004 - as shown
        lines = max(lines, len(others))
        width = max(56, *(len(text) * 7 + 20 for text in (*others, step.through)))
        shapes.append(Markup('<circle class="state" cx="{}" cy="44" r="10"/>').format(x))
        shapes.append(_arrow(x + 10, x + width - 10, 44))
        read = step.read or "end"
        shapes.append(_text(x + width / 2, 36, read, "strong"))
        if step.through not in ("", step.read):
            shapes.append(_text(x + width / 2, 18, step.through, "small"))
        shapes += [_text(x + width / 2, 66 + 15 * at, text, "small") for at, text in enumerate(others)]
        x += width
    verdict = walk.verdict
    text = (
        f"{verdict.decision.name} by {verdict.permission_name or verdict.permission_id}" if verdict else "no permission"
    )
    kind = verdict.decision.name.lower() if verdict else "box"
    width = len(text) * _CHARACTER + 16
    shapes.append(Markup('<circle class="state" cx="{}" cy="44" r="10"/>').format(x) if not walk.steps else Markup(""))
    shapes.append(_box(x + (16 if not walk.steps else -10), 27, width, text, kind))
    if walk.rest:
        shapes.append(_text(x - 10, 76, _REST[walk.rest], "small", "start"))
        width = max(width, len(_REST[walk.rest]) * 7)
    title = f"{_STAGES[walk.stage]}: {''.join(step.read for step in walk.steps) or 'nothing'} is read, then {text}"
    return _picture(x + width + 30, 70 + 15 * lines, title, shapes)


def stage_name(walk: Walk) -> str:
    """Whose permissions a walk is through."""
    return _STAGES[walk.stage]


def _kind(token: int) -> str:
    """The kind of box for a token; digits stand in one box."""
    return "wild" if token in _WORDS else "box" if token & token - 1 else "digits"


def _row(boxes: Iterable[tuple[str, str]], title: str) -> Markup:
    x, shapes = 4, list[Markup]()
    for text, kind in boxes:
        if shapes:
            shapes.append(_arrow(x - _GAP, x, _HEIGHT / 2 + 3))
        width = len(text) * _CHARACTER + 16
        shapes.append(_box(x, 3, width, text, kind))
        x += width + _GAP
    return _picture(x - _GAP + 4, _HEIGHT + 6, title, shapes)


def _box(x: float, y: float, width: float, text: str, kind: str) -> Markup:
    rect = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="6"/>').format(kind, x, y, width, _HEIGHT)
    return rect + _text(x + width / 2, y + 22, text, "strong")


def _arrow(start: float, end: float, y: float) -> Markup:
    line = Markup('<path class="line" d="M{} {}H{}"/>').format(start, y, end)
    return line + Markup('<path class="head" d="M{} {}l-7 -4v8z"/>').format(end, y)


def _text(x: float, y: float, text: str, style: str, anchor: str = "middle") -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(style, x, y, anchor, text)


def _picture(width: float, height: float, title: str, shapes: Iterable[Markup]) -> Markup:
    size = Markup('width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}"').format(width, height)
    head = Markup('<svg class="drawing" role="img" aria-label="{}" {}>').format(title, size)
    return head + Markup("").join(shapes) + Markup("</svg>")
