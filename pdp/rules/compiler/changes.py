"""What differs between two states of a tenant: found by comparing every entity, which is quick; all else is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

K = TypeVar("K")
T = TypeVar("T")


class Changes(NamedTuple, Generic[K, T]):
    """What became of the entities of one kind.

    Attributes:
        now: all that there are now, by id.
        changed: those that are new or not what they were.
        gone: those that are no more, as they were.
    """

    now: dict[K, T]
    changed: list[T]
    gone: list[T]


def changes(before: dict[K, T], entities: Iterable[T], key: Callable[[T], K]) -> Changes[K, T]:
    """What became of ``before``, given all entities that there are now."""
    now = {key(entity): entity for entity in entities}
    known = before.get
    changed = [entity for id_, entity in now.items() if (old := known(id_)) is not entity and old != entity]
    gone = [before[id_] for id_ in before.keys() - now.keys()]
    return Changes(now, changed, gone)
