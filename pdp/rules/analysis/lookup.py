"""From the names of users, groups, outcalls and tenants to their ids."""

from __future__ import annotations

import re
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pdp.rules.model import Group, Outcall, Tenant, User

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_MOST = 5
_COMPARED = 500
"""Entities whose names an unknown one is compared with; of more, the first names with the same first character."""
_T = TypeVar("_T")


class UnclearError(Exception):
    """A name without an entity, or with several; the message has the candidates."""


class UnknownError(UnclearError):
    """A name without an entity."""


class _Known(NamedTuple, Generic[_T]):
    """One entity with its names.

    Attributes:
        thing: the entity.
        id: the id in requests.
        words: the other names.
        shown: the text among candidates.
    """

    thing: _T
    id: str
    words: tuple[str, ...]
    shown: str


class Lookup:
    """Finds entities by name in some tenants.

    Args:
        tenants: the tenants to search.
    """

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._tenants = tuple(tenants)
        self._owners = {user.uuid: tenant for tenant in self._tenants for user in tenant.users}
        self._users = [_user(user) for tenant in self._tenants for user in tenant.users]
        self._callers: dict[str, str] = {}

    def caller(self, text: str) -> str:
        """The UUID of a user, by UUID, extension, alias or name.

        An empty text stays empty, and a UUID without a user stays unchanged: callers may be unknown.

        Raises:
            UnclearError: there is no such user, or there are several.
        """
        if not text or _UUID.fullmatch(text):
            return text.lower()
        found = self._callers.get(text)
        if found is None:
            found = self._callers[text] = _found("user", text, self._users).uuid
        return found

    def outcall(self, text: str, tenant: Tenant) -> str:
        """The id of an outcall of a tenant, by id or name; an empty text stays empty.

        Raises:
            UnclearError: there is no such outcall, or there are several.
        """
        known = [_named(outcall) for outcall in tenant.outcalls]
        return _found("outcall", text, known).id if text else ""

    def group(self, text: str, tenant: Tenant) -> Group:
        """A group of a tenant, by id or name.

        Raises:
            UnclearError: there is no such group, or there are several.
        """
        return _found("group", text, [_named(group) for group in tenant.groups])

    def tenant(self, text: str) -> Tenant:
        """A tenant, by UUID or name.

        Raises:
            UnclearError: there is no such tenant, or there are several.
        """
        known = [_Known(each, each.uuid, (each.name,), each.name or each.uuid) for each in self._tenants]
        return _found("tenant", text.lower() if _UUID.fullmatch(text) else text, known)

    def chosen_tenant(self, text: str, caller: str) -> Tenant | None:
        """The tenant that a text names, else the one that a user belongs to, else the only one.

        Args:
            text: UUID or name of a tenant; empty: none is named.
            caller: the UUID of a user; empty: none.

        Raises:
            UnclearError: there is no such tenant, or there are several.
        """
        if text:
            return self.tenant(text)
        return self._owners.get(caller) or (self._tenants[0] if len(self._tenants) == 1 else None)


def _user(user: User) -> _Known[User]:
    shown = f"{user.name} ({user.extension})" if user.name and user.extension else user.name or user.extension
    return _Known(user, user.uuid, (user.extension, *user.aliases, user.name), shown or user.uuid)


_G = TypeVar("_G", "Group", "Outcall")


def _named(thing: _G) -> _Known[_G]:
    return _Known(thing, thing.id, (thing.name,), f"{thing.name} ({thing.id})" if thing.name else thing.id)


def _found(kind: str, text: str, known: Sequence[_Known[_T]]) -> _T:
    """The one entity with this name: by id, else by a word, else by a word in another case."""
    folded = text.casefold()
    for found in (
        [each for each in known if each.id == text],
        [each for each in known if text in each.words],
        [each for each in known if folded in map(str.casefold, each.words)],
    ):
        if len(found) == 1:
            return found[0].thing
        if found:
            candidates = _listed([f"{each.shown}, {each.id}" for each in found])
            raise UnclearError(f"'{text}' may be {candidates}; give the id")
    named: Iterator[tuple[str, str]] = (
        (word.casefold(), each.shown) for each in known for word in (each.id, *each.words) if word
    )
    if len(known) > _COMPARED:
        named = islice((each for each in named if each[0][:1] == folded[:1]), _COMPARED)
    words = dict(named)
    close = [words[word] for word in get_close_matches(folded, words, n=_MOST, cutoff=0.5)]
    proposal = f"; did you mean {_listed(list(dict.fromkeys(close)))}?" if close else ""
    raise UnknownError(f"there is no {kind} '{text}'{proposal}")


def _listed(candidates: Sequence[str]) -> str:
    shown = " or ".join(candidates[:_MOST])
    return shown + (f" or {len(candidates) - _MOST} more" if len(candidates) > _MOST else "")
