"""The difference between two states of a tenant, found by comparing every entity: quick beside all other work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pdp.rules.patterns.alphabet import ANY_MASK, GAP_MASK, STAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from pdp.rules.model import CallPermission, Group, Outcall, User
    from pdp.rules.patterns.parser import Pattern

    Marked: TypeAlias = Callable[[str, tuple[int, ...]], Sequence[tuple[int, ...]]]
    """The further items of a pattern in profiles, for words that must be spelt out, given the text and the tokens."""

K = TypeVar("K")
T = TypeVar("T")


class Changes(NamedTuple, Generic[K, T]):
    """The changes of the entities of one kind.

    Attributes:
        now: all entities of the new state, by id.
        changed: the entities that are new or differ from their old state.
        gone: the entities that were removed, in their old state.
    """

    now: dict[K, T]
    changed: list[T]
    gone: list[T]


def changes(before: dict[K, T], entities: Iterable[T], key: Callable[[T], K]) -> Changes[K, T]:
    """The changes from ``before`` to ``entities``, all entities of the new state."""
    now = {key(entity): entity for entity in entities}
    known = before.get
    changed = [entity for id_, entity in now.items() if (old := known(id_)) is not entity and old != entity]
    gone = [before[id_] for id_ in before.keys() - now.keys()]
    return Changes(now, changed, gone)


class Edit(NamedTuple):
    """The difference between a tenant and its last state.

    Attributes:
        users, groups, outcalls, permissions: the changes of each kind.
        patterns: the patterns of the permissions that changed, by text.
    """

    users: Changes[str, User]
    groups: Changes[str, Group]
    outcalls: Changes[str, Outcall]
    permissions: Changes[int, CallPermission]
    patterns: dict[str, Pattern]

    def needs_gaps(self) -> bool:
        """Whether any of the edit's patterns holds a range that reaches beyond what patterns can name."""
        return any(
            token & GAP_MASK and token not in (ANY_MASK, STAR)
            for pattern in self.patterns.values()
            for token in pattern.tokens
        )
