"""All texts that can be dialled in a tenant with a dialling plan, divided by decision, as patterns.

Texts with a code that hides the caller, and with more behind a number, are left out: they are decided as the number is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.dialled.walk import walk_dialled
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.rules.dialling.numbering import PLUS
from pdp.rules.patterns.alphabet import ANY_MASK, OTHER, STAR
from pdp.rules.patterns.notation import sample_of
from pdp.rules.patterns.partition import UNDIVIDED, Part, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pdp.rules.analysis.dialled.walk import DialledWalk
    from pdp.rules.analysis.walk import Signature
    from pdp.rules.dialling import Dialling

MAX_STATES = 10_000
"""The limit of states for one response: about two seconds at most, on the threads for reports."""
_LETTERS = str.maketrans(dict.fromkeys("+-$,./a", "A"))
_UNNAMED = -2
"""The label of texts that are left out or cannot be dialled."""

Ranks = tuple[int, ...]
"""For each number that a text may be, the rank of the pattern that prevails."""


def divide_dialled(
    dialling: Dialling,
    texts: Sequence[str],
    emergency: Iterable[str],
    label: Callable[[Ranks], int],
    *,
    max_parts: int,
) -> list[Part]:
    """All texts that can be dialled, divided by label.

    Args:
        dialling: the dialling plan.
        texts: patterns, best first; the rank of each is its index.
        emergency: texts that are allowed before any rule, of rank -1.
        label: from ranks to a label, from 0; a rank of ``len(texts)`` means that no pattern matches.
        max_parts: the limit of parts, at least 1.
    """
    try:
        walk = walk_dialled(dialling, dict.fromkeys(texts), emergency, MAX_STATES)
    except TooManyStatesError:
        return [Part(UNDIVIDED, (ANY_MASK, STAR))]
    ranks = {walk.numbers[text]: rank for rank, text in reversed(list(enumerate(texts)))}
    ranks |= dict.fromkeys(walk.emergency_numbers.values(), -1)
    found: dict[Signature, int] = {}
    labels = []
    for state in range(len(walk.rows)):
        signature = walk.signature(state)
        if signature is None:
            labels.append(UNDIVIDED if state in walk.left_out else _UNNAMED)
            continue
        if signature not in found:
            found[signature] = label(tuple(_rank(walk, accepted, ranks, len(texts)) for accepted in signature))
        labels.append(found[signature])
    parts = expand(*_split(_transitions(walk), labels), max_parts)
    return [part for part in parts if part.label != _UNNAMED]


def sample_dialled(elements: Iterable[int]) -> str:
    """One of the shortest texts of a set that can be dialled: a letter for what stands with letters."""
    sample = sample_of(elements)
    plus = PLUS if sample.startswith(PLUS) else ""
    return plus + sample[len(plus) :].translate(_LETTERS)


def _rank(walk: DialledWalk, accepted: int, ranks: Mapping[int, int], default: int) -> int:
    return min((ranks[pattern] for pattern in walk.positions.patterns(accepted)), default=default)


def _transitions(walk: DialledWalk) -> list[dict[int, int]]:
    """For each state the next one by symbol, without texts that are decided as a part of them is.

    Behind a code that hides the caller there is only the state of texts that cannot be dialled.
    """
    nothing = walk.state_of("++")
    behind_codes = {walk.state_of(code) for code in walk.codes}
    rows: list[dict[int, int]] = []
    for state, row in enumerate(walk.rows):
        if state in behind_codes:
            rows.append({class_.symbol: nothing for class_ in walk.classes})
            continue
        rows.append(
            {
                class_.symbol: to
                for class_, to in zip(walk.classes, row, strict=True)
                if to != nothing and to not in walk.repeated
            }
        )
    return rows


def _split(rows: Sequence[Mapping[int, int]], labels: list[int]) -> tuple[list[tuple[int, dict[int, int]]], int]:
    """The states with equal ones joined: the label of each, the next one by mask of symbols; and the first one."""
    blocks = labels
    count = 0
    while count != len(set(blocks)):
        count = len(set(blocks))
        numbers: dict[tuple[object, ...], int] = {}
        blocks = [
            numbers.setdefault((block, *((symbol, blocks[to]) for symbol, to in row.items())), len(numbers))
            for block, row in zip(blocks, rows, strict=True)
        ]
    joined: dict[int, tuple[int, dict[int, int]]] = {}
    for block, row, label in zip(blocks, rows, labels, strict=True):
        if block not in joined:
            masks: dict[int, int] = {}
            for symbol, to in row.items():
                masks[blocks[to]] = masks.get(blocks[to], 0) | 1 << symbol
            if OTHER in row:  # what cannot be dialled there stands with letters, so that patterns are short
                masks[blocks[row[OTHER]]] |= ANY_MASK & ~sum(1 << symbol for symbol in row)
            joined[block] = label, masks
    return [joined[block] for block in range(len(joined))], blocks[0]
