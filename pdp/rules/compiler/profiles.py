"""Building one profile's automaton: subset construction over its ranked items, put together into blocks.

The state space is kept small by three measures. A state is the ranked tuple of the items that are still alive, each
with its position; an item that a better one makes irrelevant is dropped (the same pattern at the same position with a
worse verdict; everything ranked below an item that accepts any rest). A state in which one literal is left needs no
rows: a comparison decides. And the states that blocks are entered in are shared by all profiles of a builder, which
keeps those states, so that the next compilation of an edited tenant costs what the edit touches.

Rows are put together into blocks (see ``automaton``): the row that a walk enters, and those that follow, breadth
first, as far as cells can name rows. A long rest of one pattern is a separate block, which many profiles share.

A profile has a budget of rows (``Limits``). At the end of the budget, the first digits have excluded most items: the
items left alive become a leaf that tries one by one, where there are few, and otherwise the whole profile's wide
record. Either gives exactly the verdicts of rows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from pdp.rules.compiler.automata import ACCEPTS, ACCEPTS_ALL, DEAD, State
from pdp.rules.patterns.alphabet import END, STAR
from pdp.rules.snapshot.automaton import LEAF, VERDICT, WIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.rules.compiler.automata import AutomatonBuilder, Item

Target: TypeAlias = int | State
"""A value, or the state whose value is still to be found."""
_FARTHEST = 255
"""Bytes that a cell can lead ahead."""
_ROWS_A_BLOCK = 16
"""Rows of a block that has just been begun; a long block is filled again, shorter, if there are too many exits."""
_FEW_ITEMS = 16
"""Items of a state above which a second row would have too many exits."""
_SHORT_REST = 3
"""Tokens of a pattern, the only one left, for which a profile has rows of its own; the rows for more are shared."""
_ITEMS_A_ROW = 32
"""Items of a state whose row counts once: so the work, too, is in proportion to the patterns."""
_PATTERNS_A_BUDGET = 1024


def build_profile(builder: AutomatonBuilder, items: State, rows: int) -> int:
    """The root of a profile.

    Args:
        builder: the owner of the profile's tables.
        items: of each pattern the verdict (> 0) and the first position, best first; equal verdicts by position.
        rows: as of ``Limits``.
    """
    return _Profile(builder, items, rows).root if items else DEAD


@dataclass(slots=True)
class _Block:
    """A block under construction: the rows' states and cells, and the targets of the exits.

    Attributes:
        states: by row.
        rows: the cells of the rows that are filled.
        ways_out: the exits, numbered from 1; by value, or by the state whose value is found when the block has its
            address.
    """

    states: list[State]
    rows: list[bytearray] = field(default_factory=list)
    ways_out: dict[Target, int] = field(default_factory=dict)


class _Profile:
    """The construction of one profile's automaton."""

    def __init__(self, builder: AutomatonBuilder, start: State, rows: int) -> None:
        self._builder = builder
        self._start = start
        self._budget = rows * (1 + len(start) // _PATTERNS_A_BUDGET)
        self._states: dict[State, int] = {}
        self._queue: deque[tuple[int, _Block]] = deque()
        self._wide: int | None = None
        self.root = self._value(self._settled(start))
        while self._queue:
            value, block = self._queue.popleft()
            for target, way_out in block.ways_out.items():
                builder.lead(value, way_out, self._value(target))
        if self._wide is None:
            builder.shared.update(self._states)

    def _value(self, target: Target) -> int:
        """The value of a target that ``_settled`` returned."""
        if isinstance(target, int):
            return target
        value = self._states.get(target)
        if value is None:
            value = self._builder.shared.get(target)
        return self._new_value(target) if value is None else value

    def _settled(self, state: Target) -> Target:
        """The value of a state that is not empty, if known at once; else the state, pruned."""
        if isinstance(state, int):
            return state
        builder = self._builder
        if len(state) > 1:
            state = self._prune(state)
        if len(state) == 1:
            verdict, place = state[0]
            if builder.flags[place] & ACCEPTS_ALL:
                return VERDICT + verdict
            literal = builder.literal(state[0])
            if literal is not None:
                return literal
        return state

    def _prune(self, state: State) -> State:
        """The state without the items that a better one makes irrelevant."""
        flags = self._builder.flags
        kept: list[Item] = []
        seen: set[int] = set()
        for item in state:
            place = item[1]
            if place not in seen:
                seen.add(place)
                kept.append(item)
                if flags[place] & ACCEPTS_ALL:
                    break
        return tuple(kept)

    def _new_value(self, state: State) -> int:
        """Makes a block that is entered in this state, of as many rows as there is room for."""
        builder, rows = self._builder, _ROWS_A_BLOCK if len(state) <= _FEW_ITEMS else 1
        while self._budget >= _cost(state):
            before = self._budget
            self._budget -= _cost(state)
            block = self._fill(state, rows)
            if block is None:  # more exits than cells can name: those of fewer rows are fewer
                self._budget = before
                rows = rows // 4 or 1
                continue
            value = builder.block(block.rows, len(block.ways_out))
            if value is None:
                break
            self._states[state] = value
            self._queue.append((value, block))
            return value
        return self._without_rows(state)

    def _fill(self, entry: State, limit: int) -> _Block | None:
        """A block of at most so many rows; None where the block would have more exits than cells can name.

        A target without a row in the block is an exit. The exits of one row are never too many: at most one per symbol.
        """
        width = self._builder.width
        block = _Block([entry])
        known: dict[Target, Target] = {}
        numbers = {entry: 0}
        states, rows, ways_out = block.states, block.rows, block.ways_out
        for number, state in enumerate(states):  # ``states`` grows meanwhile
            row = bytearray(width + 1)
            rows.append(row)
            farthest = number + _FARTHEST // (width + 1)
            for alive, symbols in self._moved(state).items():
                target = known.get(alive)
                if target is None:
                    target = known[alive] = self._settled(alive)
                cell = 0
                if not isinstance(target, int):
                    after = numbers.get(target, -1)
                    if after < 0 and self._has_room(target, len(states), min(limit, farthest + 1)):
                        after = numbers[target] = len(states)
                        states.append(target)
                        self._budget -= _cost(target)
                    if number < after <= farthest:
                        cell = (after - number) * (width + 1)
                if not cell:
                    cell = ways_out.setdefault(target, len(ways_out) + 1)
                    if cell > width:
                        return None
                for symbol in symbols:
                    row[symbol] = cell
        return block

    def _has_room(self, state: State, rows: int, limit: int) -> bool:
        """Whether a block with so many rows shall have one for this state, rather than lead to a shared block."""
        if rows >= limit or self._budget < _cost(state) or state in self._builder.shared:
            return False
        return len(state) > 1 or self._builder.rest(state[0][1]) <= _SHORT_REST

    def _moved(self, state: State) -> Mapping[Target, Sequence[int]]:
        """The targets of a state, each with the symbols that lead there: the items alive then; at END, a verdict."""
        moves, flags = self._builder.moves, self._builder.flags
        if len(state) == 1 and len(moves[state[0][1]]) == 1:  # the end of most walks
            ((symbols, then),) = moves[state[0][1]]
            return {((state[0][0], then),): symbols}
        alive: dict[int, list[Item]] = {}
        for verdict, place in state:
            for symbols, then in moves[place]:
                moved = (verdict, then)
                for symbol in symbols:
                    if symbol in alive:
                        alive[symbol].append(moved)
                    else:
                        alive[symbol] = [moved]
        after: dict[Target, list[int]] = {}
        for symbol, living in alive.items():
            items = tuple(living)
            if items in after:
                after[items].append(symbol)
            else:
                after[items] = [symbol]
        for verdict, place in state:
            if flags[place] & ACCEPTS:
                after[VERDICT + verdict] = [END]
                break
        return after

    def _without_rows(self, state: State) -> int:
        """The value of a state without a row: a leaf that tries the items, or the whole profile's wide record."""
        builder = self._builder
        if len(state) > builder.limits.leaf:
            if self._wide is None:
                self._wide = _widen(builder, self._start)
            return self._wide
        value = self._states[state] = LEAF + len(builder.leaves)
        builder.leaves.append(len(state))
        for verdict, place in state:
            program = builder.patterns[place]
            builder.leaves.extend((verdict, program.kind, program.first))
        return value


def _cost(state: State) -> int:
    """The rows of the budget that a row for this state uses up."""
    return 1 + len(state) // _ITEMS_A_ROW


def _widen(builder: AutomatonBuilder, items: State) -> int:
    """The value of a wide record (see ``automaton``) for a whole profile, given by its patterns' first positions."""
    programs = [builder.tokens(place) for _, place in items]
    size = (sum(map(len, programs)) + len(programs) + 7) // 8
    masks = [bytearray(size) for _ in range(3 + builder.width)]
    starts, stars, final, *symbols = masks
    finals: list[int] = []
    at = 0
    for tokens in programs:
        _set_bit(starts, at)
        for token in tokens:
            if token == STAR:
                _set_bit(stars, at)
            else:
                for symbol in builder.columns(token):
                    _set_bit(symbols[symbol], at)
            at += 1
        _set_bit(final, at)
        finals.append(at)
        at += 1
    value = LEAF + len(builder.leaves)
    builder.leaves.extend((WIDE | len(items), len(builder.wide), size, *finals, *(verdict for verdict, _ in items)))
    for mask in masks:
        builder.wide.extend(mask)
    return value


def _set_bit(mask: bytearray, bit: int) -> None:
    mask[bit >> 3] |= 1 << (bit & 7)
