"""Dividing all extensions into sets by the labels that ranked patterns give.

The method is a construction over rests of patterns. A *state* is the rest of all patterns for the middle of an
extension of which some characters at the front, and some at the back, are known: pairs of a label and a rest, best
first, of which the last matches everything. A state with one pair is a match state. Any other is split by the next
character, seen from the front or, where patterns such as ``!1`` are left, from the back: into the empty middle, and a
state for each class of characters. So a set is the known characters at the front, then anything, then those at the
back.

States that turn out to be equal are joined afterwards, so that characters are told apart only where the difference
matters. A state that leads to itself becomes a loop. Longer circles, which patterns such as ``!12!`` make, have no such
form; where one closes, and where work or sets exceed their bounds, a set is left undivided. So the sets are always
disjoint and together everything, and every label is true.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.effort import CHECKPOINT
from pdp.rules.model import MAX_EXTENSION_LENGTH
from pdp.rules.patterns.alphabet import ANY_MASK, STAR, columns
from pdp.rules.patterns.notation import LOOP, shortest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

UNDIVIDED = -1
"""The label of a set of which some extensions have one label and some another."""

Tokens = tuple[int, ...]
_State = tuple[tuple[int, int], ...]
"""Label and number of a rest, best first."""
_ALL_SYMBOLS = columns(ANY_MASK)


class Part(NamedTuple):
    """A set of extensions (see ``notation``) with the label of all of these, or UNDIVIDED."""

    label: int
    elements: tuple[int, ...]


def divide(items: Iterable[tuple[int, Tokens]], default: int, *, max_parts: int, max_work: int) -> list[Part]:
    """All extensions, divided by the label of the first item that matches.

    Args:
        items: labels, from 0, with the tokens of a pattern each; best first.
        default: the label where none matches.
        max_parts: the limit of parts, at least 1.
        max_work: the limit of steps of patterns; a million take about a second.

    Returns:
        Disjoint parts that together are every extension.
    """
    graph = _Graph(items, default, max_work)
    return _merged(_expand(*_join(graph), max_parts))


class _Rests:
    """The rests of patterns, each with a number."""

    def __init__(self) -> None:
        self._numbers: dict[Tokens, int] = {}
        self._tokens: list[Tokens] = []
        self._moves: dict[tuple[int, bool], tuple[tuple[tuple[int, ...], int], ...]] = {}

    def number(self, tokens: Tokens) -> int:
        """The number of a rest."""
        number = self._numbers.setdefault(tokens, len(self._tokens))
        if number == len(self._tokens):
            self._tokens.append(tokens)
        return number

    def is_empty(self, number: int) -> bool:
        """Whether a rest matches nothing left."""
        return all(token == STAR for token in self._tokens[number])

    def open_ends(self, number: int) -> tuple[bool, bool]:
        """Whether a rest that is not empty takes anything at its front, and at its back."""
        tokens = self._tokens[number]
        return bool(tokens) and tokens[0] == STAR, bool(tokens) and tokens[-1] == STAR

    def moves(self, number: int, *, front: bool) -> tuple[tuple[tuple[int, ...], int], ...]:
        """The symbols that a rest may take at one end, each with the number of the rest after that symbol."""
        moves = self._moves.get((number, front))
        if moves is None:
            tokens = self._tokens[number]
            moves = self._moves[number, front] = tuple(
                (_ALL_SYMBOLS if token == STAR else columns(token), self.number(rest))
                for token, rest in (_from_front(tokens) if front else _from_back(tokens))
            )
        return moves


def _from_front(tokens: Tokens) -> list[tuple[int, Tokens]]:
    if not tokens:
        return []
    if tokens[0] == STAR:
        return [(STAR, tokens), *_from_front(tokens[1:])]
    return [(tokens[0], tokens[1:])]


def _from_back(tokens: Tokens) -> list[tuple[int, Tokens]]:
    if not tokens:
        return []
    if tokens[-1] == STAR:
        return [(STAR, tokens), *_from_back(tokens[:-1])]
    return [(tokens[-1], tokens[:-1])]


class _Split(NamedTuple):
    """The division of a state.

    Attributes:
        front: whether by the first character, or else by the last.
        empty: the label of the empty middle.
        branches: masks of symbols, each with the node that follows. Once joined, ``~node`` is one that leads back here.
        loop: mask of the symbols that lead to the state itself.
    """

    front: bool
    empty: int
    branches: tuple[tuple[int, int], ...]
    loop: int = 0


_Node = _Split | int
"""A state: its division, or the one label of all its extensions."""


class _Graph:
    """The states that can be reached, shorter ways first, until the work is done or too much.

    Attributes:
        nodes: by number; node 0 is every extension.
    """

    def __init__(self, items: Iterable[tuple[int, Tokens]], default: int, max_work: int) -> None:
        self._rests = _Rests()
        self._all = self._rests.number((STAR,))
        self._numbers: dict[_State, int] = {}
        self.nodes: list[_Node] = []
        self._queue: deque[tuple[int, _State]] = deque()
        self._work = max_work
        pairs = [(label, self._rests.number(tokens)) for label, tokens in items]
        self._number(self._pruned([*pairs, (default, self._all)]))
        checkpoint = CHECKPOINT.get()
        while self._queue:
            number, state = self._queue.popleft()
            checkpoint()
            if self._work > 0:
                self.nodes[number] = self._split(state)

    def _number(self, state: _State) -> int:
        number = self._numbers.setdefault(state, len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append(state[0][0] if len(state) == 1 else UNDIVIDED)
            if len(state) > 1:
                self._queue.append((number, state))
        return number

    def _pruned(self, pairs: Sequence[tuple[int, int]]) -> _State:
        """A state in one form of many that mean the same: without pairs that change nothing, ordered within a label."""
        kept: list[tuple[int, int]] = []
        seen: set[int] = set()
        for pair in pairs:
            if pair[1] not in seen:
                seen.add(pair[1])
                kept.append(pair)
                if pair[1] == self._all:
                    break
        last = kept.pop()
        while kept and kept[-1][0] == last[0]:
            kept.pop()
        start = 0
        for end in range(1, len(kept) + 1):
            if end == len(kept) or kept[end][0] != kept[start][0]:
                kept[start:end] = sorted(kept[start:end])
                start = end
        return (*kept, last)

    def _split(self, state: _State) -> _Split:
        rests = self._rests
        front = self._by_front(state)
        empty = next(label for label, rest in state if rests.is_empty(rest))
        after: dict[int, list[tuple[int, int]]] = {symbol: [] for symbol in _ALL_SYMBOLS}
        for label, rest in state:
            for symbols, left in rests.moves(rest, front=front):
                pair = (label, left)
                self._work -= len(symbols)
                for symbol in symbols:
                    after[symbol].append(pair)
        masks: dict[tuple[tuple[int, int], ...], int] = {}
        for symbol, pairs in after.items():
            key = tuple(pairs)
            masks[key] = masks.get(key, 0) | 1 << symbol
        return _Split(front, empty, tuple((mask, self._number(self._pruned(pairs))) for pairs, mask in masks.items()))

    def _by_front(self, state: _State) -> bool:
        """Whether to go on from the front. Splitting at an end where a rest takes anything uses nothing up."""
        ends = {self._rests.open_ends(rest) for _, rest in state[:-1]}
        return (False, True) in ends or (True, False) not in ends


def _join(graph: _Graph) -> tuple[list[_Node], dict[int, int], int]:
    """The graph with equal nodes joined: its nodes, the new number of each old one, and the number of the first.

    Nodes are joined from the leaves up. A branch back to a node that is not finished stays a reference to the old
    one, ``~number``, and is not joined.
    """
    joined: list[_Node] = []
    numbers: dict[_Node, int] = {}
    became: dict[int, int] = {}
    begun = {0}
    ways: list[tuple[int, list[int]]] = [(0, _targets(graph.nodes[0]))]
    while ways:
        number, targets = ways[-1]
        if targets:
            target = targets.pop()
            if target not in begun:
                begun.add(target)
                ways.append((target, _targets(graph.nodes[target])))
            continue
        ways.pop()
        node = _joined(number, graph.nodes[number], became, joined)
        became[number] = numbers.setdefault(node, len(joined))
        if became[number] == len(joined):
            joined.append(node)
    return joined, became, became[0]


def _targets(node: _Node) -> list[int]:
    return [] if isinstance(node, int) else [target for _, target in node.branches]


def _joined(number: int, node: _Node, became: dict[int, int], joined: list[_Node]) -> _Node:
    """A node whose branches lead to joined ones; a node in which all branches have one label is that label."""
    if isinstance(node, int):
        return node
    loop = 0
    masks: dict[int, int] = {}
    for mask, target in node.branches:
        if target == number:
            loop |= mask
        else:
            to = became.get(target, ~target)
            masks[to] = masks.get(to, 0) | mask
    ends = {joined[to] if to >= 0 else UNDIVIDED for to in masks}
    if node.empty != UNDIVIDED and ends <= {node.empty}:
        return node.empty
    return _Split(node.front, node.empty, tuple(sorted((mask, to) for to, mask in masks.items())), loop)


def expand(states: Sequence[tuple[int, Mapping[int, int]]], root: int, max_parts: int) -> list[Part]:
    """The parts that an automaton divides extensions into.

    Args:
        states: of each the label, and the next state with the mask of symbols that lead there; symbols that lead
            nowhere lead to extensions with the same label.
        root: the state before the first character.
        max_parts: the limit of parts, at least 1.
    """
    nodes: list[_Node] = []
    for at, (label, branches) in enumerate(states):
        loop = branches.get(at, 0)
        others = tuple(sorted((mask, to) for to, mask in branches.items() if to != at))
        nodes.append(_Split(front=True, empty=label, branches=others, loop=loop) if others else label)
    return _merged(_expand(nodes, {}, root, max_parts))


class _Way(NamedTuple):
    """A way to a node: the known characters at both ends of the extension, and the nodes passed."""

    node: int
    front: tuple[int, ...] = ()
    back: tuple[int, ...] = ()
    passed: tuple[int, ...] = ()


def _expand(nodes: list[_Node], became: dict[int, int], root: int, max_parts: int) -> list[Part]:
    """The parts that a joined graph leads to."""
    parts: list[Part] = []
    ways = deque([_Way(root)])
    while ways:
        way = ways.popleft()
        node = nodes[way.node]
        if isinstance(node, int):
            parts.append(_rest(way, node))
        elif way.node in way.passed or len(parts) + len(ways) + 1 + len(node.branches) > max_parts:
            parts.append(_rest(way, UNDIVIDED))
        else:
            front, back = (*way.front, *_loop(node, node.front)), (*_loop(node, not node.front), *way.back)
            if front or back:  # an empty extension cannot be dialled
                parts.append(Part(node.empty, front + back))
            ways += _onward(node, way, became)
    return [part for part in parts if shortest(part.elements) <= MAX_EXTENSION_LENGTH]


def _rest(way: _Way, label: int) -> Part:
    """All remaining extensions of a way, as one part."""
    known = way.front or way.back
    return Part(label, (*way.front, *(() if known else (ANY_MASK,)), STAR, *way.back))


def _loop(node: _Split, here: bool) -> tuple[int, ...]:  # noqa: FBT001 - which end is all that it is about
    return (node.loop | LOOP,) if node.loop and here else ()


def _onward(node: _Split, way: _Way, became: dict[int, int]) -> Iterable[_Way]:
    """The ways through each branch of a node."""
    passed = (*way.passed, way.node)
    for mask, target in node.branches:
        to = target if target >= 0 else became[~target]
        if node.front:
            yield _Way(to, (*way.front, *_loop(node, here=True), mask), way.back, passed)
        else:
            yield _Way(to, way.front, (mask, *_loop(node, here=True), *way.back), passed)


def _merged(parts: list[Part]) -> list[Part]:
    """The parts with those made one that differ in the class of one character, as ``01`` and ``02`` do."""
    count = -1
    while count != len(parts):
        count = len(parts)
        for at in range(max(len(part.elements) for part in parts)):
            parts = _merged_at(at, parts)
    return parts


def _merged_at(at: int, parts: list[Part]) -> list[Part]:
    masks: dict[Part, int] = {}
    for label, elements in parts:
        mergeable = at < len(elements) and not elements[at] & (STAR | LOOP)
        key = Part(label, (*elements[:at], 0, *elements[at + 1 :])) if mergeable else Part(label, elements)
        masks[key] = masks.get(key, 0) | (elements[at] if mergeable else 0)
    return [
        Part(label, (*elements[:at], mask, *elements[at + 1 :]) if mask else elements)
        for (label, elements), mask in masks.items()
    ]
