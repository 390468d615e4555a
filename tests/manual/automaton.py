"""The pictures of two automata of examples/company.yaml, drawn from the tables of its compiled snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from definitions import tenant_from

from manual.svg import FONT_WIDTH, Drawing, box_height
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.patterns.alphabet import ANY_MASK, DIALABLE, END
from pdp.rules.patterns.notation import class_text
from pdp.rules.snapshot.automaton import END_BYTE, LEAF, LITERAL, NO_VERDICT, NUMBER, VERDICT
from pdp.rules.snapshot.snapshot import Snapshot, decode

if TYPE_CHECKING:
    from manual.svg import Point

COMPANY: Final = Path(__file__).parents[2] / "examples" / "company.yaml"
ALICE: Final = "a11ce000-0000-4000-8000-000000000001"
EXTENSION: Final = "0033123456789"
"""The call whose walk is shown; ALICE dials it."""
WORLD: Final = "2"
"""The outcall that would be asked next."""

_COLUMN: Final = 100
_ROW: Final = 74
_LEFT: Final = 44
_TOP: Final = 66
_RADIUS: Final = 15
_EVERYTHING: Final = ANY_MASK & (1 << END) - 1
"""Any character, in an alphabet without gaps."""
_STRONG: Final = 1.1
"""How much wider strong text is."""


@dataclass
class Place:
    """A value that walks pass through, with where they go from it.

    Attributes:
        value: what the automaton holds (see ``pdp.rules.snapshot.automaton``).
        row: in a block, the row of it.
        column: how many characters have been read.
        line: where in its column it is drawn, from the top.
        next: by what is read, the place to which that leads.
    """

    value: int
    row: int
    column: int = 0
    line: float = 0
    next: dict[str, Place] = field(default_factory=dict)

    @property
    def is_state(self) -> bool:
        """Whether a character has to be read here."""
        return self.value < VERDICT


def company() -> Snapshot:
    """The example, compiled."""
    tenant = tenant_from(yaml.safe_load(COMPANY.read_text(encoding="utf-8"))["tenants"][0])
    return decode(Compiler().compile(tenant, Revision(1, "0" * 64), compiled_at=0))


def profile_picture() -> str:
    """The automaton of Alice's profile, and the walk of a call to France through it."""
    snapshot = company()
    root = dict(snapshot.profiles())[ALICE]
    same = sum(other == root for _, other in snapshot.profiles())
    title = f"Alice's profile, which {same} users of the example share, and the walk of {EXTENSION}"
    return _picture(snapshot, root, title)


def outcall_picture() -> str:
    """The automaton of the outcall of calls abroad."""
    snapshot = company()
    root = snapshot._outcalls.get(WORLD.encode(), VERDICT)
    return _picture(snapshot, root, 'The outcall "world"')


def _picture(snapshot: Snapshot, root: int, title: str) -> str:
    places = _tree(snapshot, root)
    bottom = _layout(places[0], 0)
    walk = _walk(snapshot, places[0], EXTENSION) if EXTENSION in title else set()
    labels = {id(place): _label(snapshot, place) for place in places if not place.is_state}
    widest = max(len(line) for _, lines in labels.values() for line in lines) * FONT_WIDTH + 20
    width = _LEFT + max(place.column for place in places) * _COLUMN + widest + 12
    width = max(width, len(title) * FONT_WIDTH * _STRONG + 32)
    drawing = Drawing(width, _TOP + bottom * _ROW, title)
    drawing.text((16, 28), title, style="strong", anchor="start")
    for place in places:
        for read, target in place.next.items():
            style = "walk" if (id(place), id(target)) in walk else "line"
            drawing.arrow(_line(place, target), label=read, style=style)
    for place in places:
        if place.is_state:
            drawing.circle(_at(place), _RADIUS)
        else:
            kind, lines = labels[id(place)]
            x, y = _at(place)
            width = max(map(len, lines)) * FONT_WIDTH + 20
            drawing.box(x - _RADIUS, y - box_height(len(lines)) / 2, width, lines, kind=kind)
    drawing.text(_at(places[0], down=5), "•")
    return drawing.render()


def _tree(snapshot: Snapshot, root: int) -> list[Place]:
    """All places that can be reached from a root, the root first; what nothing can match is left out."""
    step = snapshot._automaton.step
    places = [Place(root, root)]
    for place in places:  # grows meanwhile, breadth first
        if not place.is_state:
            continue
        masks: dict[tuple[int, int], int] = {}
        for symbol in range(END):
            after = step(place.value, place.row, symbol)
            masks[after] = masks.get(after, 0) | 1 << symbol
        masks.setdefault(step(place.value, place.row, END), 0)
        masks = {after: mask for after, mask in masks.items() if after[0] != VERDICT + NO_VERDICT}
        for after, mask in masks.items():
            read = "end" if not mask else "any" if mask == _EVERYTHING else class_text(mask)
            place.next[read] = Place(*after, column=place.column + 1)
        places += place.next.values()
    return places


def _layout(place: Place, line: float) -> float:
    """Places a tree from a line downwards, parents level with their first child; returns the line below it."""
    place.line = line
    below = line
    for child in place.next.values():
        below = _layout(child, below)
    return max(below, line + 1)


def _walk(snapshot: Snapshot, place: Place, extension: str) -> set[tuple[int, int]]:
    """The steps that a call takes, each by the identities of the places that it connects."""
    steps: set[tuple[int, int]] = set()
    for symbol in snapshot.symbols_of(extension):
        if not place.is_state:
            break
        reached = snapshot._automaton.step(place.value, place.row, symbol)
        after = next(one for one in place.next.values() if (one.value, one.row) == reached)
        steps.add((id(place), id(after)))
        place = after
    return steps


def _label(snapshot: Snapshot, place: Place) -> tuple[str, list[str]]:
    """The kind and the text of the box for a place where no more characters are read one by one."""
    first = []
    number = place.value - VERDICT
    if LITERAL <= place.value < LEAF:
        start = snapshot._automaton.literals + place.value - LITERAL
        end = snapshot._blob.find(END_BYTE, start)
        first = [f"is it {''.join(DIALABLE[symbol] for symbol in snapshot._blob[start:end])}?"]
        number = NUMBER.unpack_from(snapshot._blob, end + 1)[0]
    elif place.value >= LEAF:
        raise ValueError("a leaf of several patterns has no picture; draw a smaller example")
    verdict = snapshot.verdict(number)
    named = f"{verdict.decision.name} by {verdict.permission_id}"
    return verdict.decision.name.lower(), [*first, named, f"{verdict.permission_name}, {verdict.stage.name}"]


def _at(place: Place, *, down: float = 0) -> Point:
    return _LEFT + place.column * _COLUMN, _TOP + 26 + place.line * _ROW + down


def _line(place: Place, target: Place) -> list[Point]:
    """From the rim of one place to that of another: straight on, or down and then to the right."""
    x, y = _at(place)
    to_x, to_y = _at(target)
    to_x -= _RADIUS
    if to_y == y:
        return [(x + _RADIUS, y), (to_x, y)]
    return [(x, y + _RADIUS), (x, to_y), (to_x, to_y)]
