"""The difference between two states of a tenant, found by comparing every entity: quick beside all other work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
