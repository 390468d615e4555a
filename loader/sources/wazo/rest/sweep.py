"""Reading everything, in steps: one request each, so that edits have their turn in between.

A sweep whose step fails pauses, and continues with that step at the retry. Items go into the picture at once; an item
that was read alone meanwhile stays.

Nothing joins wazo-confd's lists: a user may be deleted after the permissions were read and before the users are. If
events report changes, each list is read once. Without events, a sweep ``settles``: the lists are read in turn, until
each has given the same response twice running. Then there was a time, between the last of the earlier responses and the
first of the later ones, at which all lists were true together. The responses of the last sweep count as earlier ones,
so that each list of an unchanged platform is read once. Tenants settle one by one: a tenant that keeps changing holds
up no other. A user's own fields (a password) are read once: they depend on nothing else.

The first reading, with events, goes ``by tenant``: the lists, which are cheap, and then users, tenant by tenant; each
tenant counts as soon as all of its users are known. Users of published rules are known from there until they are read,
so their tenants count as soon as the lists are read: of these only names, memberships through ``Local/`` channels and
PINs of their own may be those of the published rules for a while. Before that are read users whose published groups
differ from the lists, new ones, and those with PINs of their own.
"""

from __future__ import annotations

import time
from collections import defaultdict
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from loader.errors import SourceError
from loader.sources.wazo.events import Kind
from loader.sources.wazo.rest.api import USERS_AT_ONCE
from loader.sources.wazo.rest.client import RefusedError, ServerFailedError
from loader.sources.wazo.rest.picture import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from loader.sources.wazo.rest.api import Api
    from loader.sources.wazo.rest.picture import Picture

MOST_ROUNDS: Final = 6
"""Number of readings of each list before a tenant counts as never stable."""

_USERS_A_TENANT: Final = 5
"""A tenant's list of users costs wazo-confd as much as about so many users."""

FEW_USERS: Final = 200
"""So many are read within a second."""

_TENANTS: Final = "tenants"
_LISTS: Final = (Kind.OUTCALLS, Kind.GROUPS, Kind.PERMISSIONS)
_ORDER: Final = (_TENANTS, Kind.USERS, *_LISTS)


class Step(NamedTuple):
    """A request of a sweep.

    Attributes:
        job: makes the request.
        takes: the failures that the sweep handles.
    """

    job: Callable[[], Any]
    takes: tuple[type[Exception], ...] = ()


class Answer(NamedTuple):
    """The result of a step: a value or a failure, and the number of the request."""

    value: Any
    asked: int


Steps: TypeAlias = "Generator[Step, Answer, None]"
_ByTenant: TypeAlias = dict[str, object]


class Memory:
    """The last content of each list, by tenant; outlives the sweeps."""

    def __init__(self) -> None:
        self.said: dict[str, _ByTenant] = {}


class Sweep:
    """One reading of everything, or of everything of one tenant.

    Args:
        api: reads the lists.
        picture: receives the items.
        memory: the last responses of the lists; None: the sweep does not settle.
        tenant: the only one to read; empty: all.
        by_tenant: whether the users are read tenant by tenant, after the lists.

    Attributes:
        begun: time of the first request, by the monotonic clock.
        step: the next request; None after the last.
        unsettled: the tenants that kept changing.
        unreadable: the tenants with an unreadable list, and that list.
        users: number of users read, and number of all users.
        tenants: the tenants at the start.
        whole: tenants that count from now on, or that were read whole; the taker removes them.
    """

    def __init__(
        self, api: Api, picture: Picture, memory: Memory | None, tenant: str = "", *, by_tenant: bool = False
    ) -> None:
        self.tenant = tenant
        self.begun = time.monotonic()
        self.unsettled: frozenset[str] = frozenset()
        self.unreadable: dict[str, str] = {}
        self.users = (0, 0)
        self.tenants: set[str] = set()
        self.whole: set[str] = set()
        self._api = api
        self._picture = picture
        self._memory = memory
        self._read: set[str] = set()
        """Users that this sweep has read."""
        all_steps = self._steps_by_tenant if by_tenant else self._all_steps
        self._steps = self._tenant_steps() if tenant else all_steps()
        self.step: Step | None = next(self._steps)

    def go_on(self, answer: Answer) -> None:
        """Takes the response to the step, and continues with the next one.

        Raises:
            SourceError: the sweep cannot succeed; begin another one.
        """
        try:
            self.step = self._steps.send(answer)
        except StopIteration:
            self.step = None

    def _all_steps(self) -> Steps:
        settled: defaultdict[str, int] = defaultdict(int)
        said = self._memory.said if self._memory is not None else {}
        rounds = MOST_ROUNDS if self._memory is not None else 1
        for count, resource in enumerate(islice(cycle(_ORDER), rounds * len(_ORDER)), start=1):
            before, now = said.get(resource), (yield from self._list(resource))
            said[resource] = now
            for tenant in settled.keys() | now.keys() | (before or {}).keys():
                same = before is not None and before.get(tenant) == now.get(tenant)
                settled[tenant] = settled[tenant] + 1 if same else 0
            if count >= len(_ORDER) and all(times >= len(_ORDER) for times in settled.values()):
                break
        if self._memory is not None:
            self.unsettled = frozenset(tenant for tenant, times in settled.items() if times < len(_ORDER))
            self.unsettled &= self._picture.tenants.keys()
        yield from self._ask_the_doubtful()

    def _steps_by_tenant(self) -> Steps:
        picture = self._picture
        yield from self._list(_TENANTS)
        ids = yield from self._user_ids()
        self.users = 0, len(ids)
        fresh = yield from self._users_of(self.tenants - picture.resumed, ids)
        for kind in _LISTS:
            yield from self._list(kind)
        asked_for = {id_ for members in fresh.values() for id_ in members}
        yield from self._users(self._first_users([id_ for id_ in ids if id_ not in asked_for]))
        self._count(self.tenants & picture.resumed)
        for tenant in sorted(fresh, key=lambda each: len(fresh[each])):
            yield from self._users(fresh[tenant])
            self._count({tenant})
        known = defaultdict[str, list[str]](list)
        for id_ in ids:
            if id_ not in self._read:
                known[picture.tenant_of(Kind.USERS, id_)].append(id_)
        for tenant in sorted(known, key=lambda each: len(known[each])):
            yield from self._users(known[tenant])
            self._count({tenant} - {""})
        yield from self._ask_the_doubtful()

    def _first_users(self, ids: Sequence[str]) -> list[str]:
        """The users to read before a tenant counts: new ones, those with a PIN of their own, all where they are few.

        A PIN that was changed while no loader ran is the one field whose last published value could open a call that
        neither the last published rules nor the present ones allow.
        """
        picture = self._picture
        unread = [id_ for id_ in ids if id_ not in self._read]
        if len(unread) <= FEW_USERS:
            return unread
        with_pin = [id_ for id_ in unread if id_ in picture.stand_ins]
        chosen = set(with_pin if len(with_pin) <= FEW_USERS else ())
        return [id_ for id_ in unread if id_ in chosen or not picture.tenant_of(Kind.USERS, id_)]

    def _count(self, tenants: set[str]) -> None:
        """Tells of tenants whose users are all known, unless something else of them cannot be read."""
        self.whole |= tenants - self.unreadable.keys()

    def _user_ids(self) -> Generator[Step, Answer, tuple[str, ...]]:
        """The ids of all users; those that are gone leave the picture."""
        ids, asked = yield Step(self._api.user_ids)
        there = set(ids)
        self._picture.put(_gone(id_ for id_ in self._picture.ids(Kind.USERS) if id_ not in there), asked)
        return ids  # type: ignore[no-any-return]  # an answer may be anything

    def _users_of(self, tenants: set[str], ids: tuple[str, ...]) -> Generator[Step, Answer, dict[str, list[str]]]:
        """The ids of the users of some tenants, unless asking for them would cost more than it hastens."""
        if len(tenants) * _USERS_A_TENANT > len(ids):
            return {}
        members = {}
        for tenant in sorted(tenants):
            found, _ = yield Step(partial(self._api.user_ids_of, tenant), (RefusedError,))
            if not isinstance(found, Exception):  # else the tenant may just have been deleted
                members[tenant] = list(found)
        return members

    def _tenant_steps(self) -> Steps:
        picture, tenant = self._picture, self.tenant
        ids, asked = yield Step(partial(self._api.user_ids_of, tenant))
        known = picture.ids(Kind.USERS, tenant)
        picture.put(_gone(id_ for id_ in known if id_ not in set(ids)), asked)
        yield from self._users(ids)
        for kind in _LISTS:
            things, asked = yield Step(partial(self._api.of_tenant, kind, tenant))
            picture.put_list(kind, things, asked, tenant)
        yield from self._ask_the_doubtful()

    def _list(self, resource: str) -> Generator[Step, Answer, _ByTenant]:
        """Reads a list, and returns the content by tenant."""
        picture = self._picture
        if resource == _TENANTS:
            names, asked = yield Step(self._api.tenants)
            picture.put_tenants(names, asked)
            self.tenants |= names.keys()
            return dict(names)
        if resource == Kind.USERS:
            ids = yield from self._user_ids()
            yield from self._users([id_ for id_ in ids if id_ not in self._read])
            return _by_tenant((picture.tenant_of(Kind.USERS, id_), id_, "") for id_ in ids)
        kind = Kind(resource)
        things, asked = yield Step(partial(self._api.everything, kind), (ServerFailedError,))
        if isinstance(things, ServerFailedError):
            things = yield from self._tenant_by_tenant(kind, things)
        else:
            picture.put_list(kind, things, asked)
        if kind is Kind.GROUPS:
            yield from self._ask_the_doubtful()
        return _by_tenant((each.tenant, each.id, each.thing) for each in things)

    def _tenant_by_tenant(self, kind: Kind, failed: ServerFailedError) -> Generator[Step, Answer, list[Seen]]:
        """Reads the list tenant by tenant: one tenant's row can make wazo-confd fail at the list of all."""
        read: list[Seen] = []
        tenants = list(self._picture.tenants)
        for tenant in tenants:
            job = partial(self._api.of_tenant, kind, tenant)
            things, asked = yield Step(job, (ServerFailedError, RefusedError))
            if isinstance(things, Exception):
                self.unreadable[tenant] = kind
                continue
            read += things
            self._picture.put_list(kind, things, asked, tenant)
        if len(self.unreadable) >= len(tenants):
            raise failed
        return read

    def _users(self, ids: Iterable[str]) -> Steps:
        """Reads users, and finds those at which wazo-confd fails."""
        ids = list(ids)
        read, total = self.users
        self.users = read, max(total, read + len(ids))
        chunks = [ids[at : at + USERS_AT_ONCE] for at in range(0, len(ids), USERS_AT_ONCE)]
        chunks.reverse()
        while chunks:
            chunk = chunks.pop()
            things, asked = yield Step(partial(self._api.things, Kind.USERS, chunk), (ServerFailedError,))
            if isinstance(things, ServerFailedError):
                if len(chunk) == 1:
                    tenant = self._picture.tenant_of(Kind.USERS, chunk[0])
                    if not tenant:
                        raise SourceError(f"user {chunk[0]}: {things}")
                    self.unreadable[tenant] = f"user {chunk[0]}"
                    continue
                chunks += [chunk[len(chunk) // 2 :], chunk[: len(chunk) // 2]]
                continue
            self._picture.put(things, asked, sweeping=True)
            self._read.update(chunk)
            self.users = self.users[0] + len(chunk), self.users[1]

    def _ask_the_doubtful(self) -> Steps:
        """Users that name a group without being named by the group."""
        doubtful, self._picture.doubtful = self._picture.doubtful, set()
        yield from self._users(sorted(doubtful))


def _gone(ids: Iterator[str]) -> list[Seen]:
    return [Seen(Kind.USERS, id_, "", {}) for id_ in ids]


def _by_tenant(things: Iterable[tuple[str, str, object]]) -> _ByTenant:
    """The content of a list, by tenant; items without a known tenant were removed between two requests."""
    parts: defaultdict[str, dict[str, object]] = defaultdict(dict)
    for tenant, id_, thing in things:
        if tenant:
            parts[tenant][id_] = thing
    return dict(parts)
