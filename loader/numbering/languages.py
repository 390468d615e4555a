"""Finite sets of digit strings as one shared graph: the minimal automaton of every set made in the graph.

A *node* is a number that stands for a set of strings: a label, which applies to the empty string in that set, and for
each digit the node of the remaining strings. Equal sets are equal nodes, because a node is looked up by content before
creation. Label 0 without transitions is ``EMPTY``, the empty set; other labels are bits whose meaning the creator
defines. All sets are finite, so the graph has no cycles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from loader.numbering.expressions import Choice, Digits, Group, Repeat, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loader.numbering.expressions import Expression

Node: TypeAlias = int
DIGITS = 10
EMPTY: Node = 0


class Languages:
    """The graph. Nodes are numbered in the order of creation."""

    def __init__(self) -> None:
        self.labels: list[int] = []
        self.ways: list[tuple[Node, ...]] = []
        self._nodes: dict[tuple[int, tuple[Node, ...]], Node] = {}
        self._known: dict[tuple[str, Node, Node], Node] = {}
        self.node(0, (EMPTY,) * DIGITS)
        self.end = self.node(1, (EMPTY,) * DIGITS)

    def node(self, label: int, ways: tuple[Node, ...]) -> Node:
        """The node with this label and these ways on, one a digit."""
        key = (label, ways)
        if key not in self._nodes:
            self._nodes[key] = len(self.labels)
            self.labels.append(label)
            self.ways.append(ways)
        return self._nodes[key]

    def union(self, one: Node, other: Node) -> Node:
        """The union; labels are joined."""
        if EMPTY in (one, other) or one == other:
            return one or other
        return self._combined("union", int.__or__, one, other)

    def intersection(self, one: Node, other: Node) -> Node:
        """The intersection; of the labels, the common bits."""
        if EMPTY in (one, other):
            return EMPTY
        return self._combined("intersection", int.__and__, one, other)

    def without(self, one: Node, other: Node) -> Node:
        """The difference; a label loses the bits of the other's."""
        if EMPTY in (one, other):
            return one
        return self._combined("without", lambda label, less: label & ~less, one, other)

    def labelled(self, node: Node, label: int) -> Node:
        """The same strings, with another label where there was one."""
        whole = self._known.get(("label", node, label))
        if whole is None:
            ways = tuple(way and self.labelled(way, label) for way in self.ways[node])
            whole = self._known["label", node, label] = self.node(label if self.labels[node] else 0, ways)
        return whole

    def after(self, digits: str, node: Node) -> Node:
        """The strings that begin with ``digits`` and go on as one in ``node`` does."""
        for digit in reversed(digits):
            node = self.node(0, tuple(node if str(other) == digit else EMPTY for other in range(DIGITS)))
        return node

    def behind(self, digits: str, node: Node) -> Node:
        """The rests of the strings of ``node`` that begin with ``digits``."""
        for digit in digits:
            node = self.ways[node][int(digit)]
        return node

    def of_lengths(self, lengths: Iterable[int]) -> Node:
        """All strings of these lengths."""
        whole = EMPTY
        for length in lengths:
            node = self.end
            for _ in range(length):
                node = self.node(0, (node,) * DIGITS)
            whole = self.union(whole, node)
        return whole

    def matching(self, expression: Expression, rest: Node) -> Node:
        """The strings that begin with a match of the expression and go on as one in ``rest`` does."""
        match expression:
            case Digits(members):
                return self.node(0, tuple(rest if digit in members else EMPTY for digit in range(DIGITS)))
            case Sequence(parts):
                for part in reversed(parts):
                    rest = self.matching(part, rest)
                return rest
            case Choice(branches):
                whole = EMPTY
                for branch in branches:
                    whole = self.union(whole, self.matching(branch, rest))
                return whole
            case Repeat(part, least, most):
                node = rest
                for _ in range(most - least):
                    node = self.union(rest, self.matching(part, node))
                for _ in range(least):
                    node = self.matching(part, node)
                return node
            case Group(part):
                return self.matching(part, rest)
        raise TypeError(f"{expression!r} is no part of a set of strings")

    def holds(self, node: Node, text: str) -> int:
        """The label of a string in ``node``; 0 for a string outside the set."""
        return self.labels[self.behind(text, node)]

    def _combined(self, name: str, label_of: Callable[[int, int], int], one: Node, other: Node) -> Node:
        key = (name, one, other)
        whole = self._known.get(key)
        if whole is None:
            operation = getattr(self, name)
            ways = tuple(map(operation, self.ways[one], self.ways[other]))
            whole = self._known[key] = self.node(label_of(self.labels[one], self.labels[other]), ways)
        return whole
