"""Reading everything, in steps: one request each, so that edits have their turn in between.

A sweep whose step fails pauses, and continues with that step at the retry. Items go into the picture at once; an item
that was read alone meanwhile stays.

Nothing joins wazo-confd's lists: a user may be deleted after the permissions were read and before the users are. If
events report changes, each list is read once. Without events, a sweep ``settles``: the lists are read in turn, until
each has given the same response twice running. Then there was a time, between the last of the earlier responses and the
first of the later ones, at which all lists were true together. The responses of the last sweep count as earlier ones,
so that each list of an unchanged platform is read once. Tenants settle one by one: a tenant that keeps changing holds
up no other. A user's own fields (a password) are read once: they depend on nothing else.
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
    from collections.abc import Callable, Generator, Iterable, Iterator

    from loader.sources.wazo.rest.api import Api
    from loader.sources.wazo.rest.picture import Picture

MOST_ROUNDS: Final = 6
"""Number of readings of each list before a tenant counts as never stable."""

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

    Attributes:
        begun: time of the first request, by the monotonic clock.
        step: the next request; None after the last.
        unsettled: the tenants that kept changing.
        unreadable: the tenants with an unreadable list, and that list.
        users: number of users read, and number of all users.
        tenants: the tenants at the start.
    """

    def __init__(self, api: Api, picture: Picture, memory: Memory | None, tenant: str = "") -> None:
        self.tenant = tenant
        self.begun = time.monotonic()
        self.unsettled: frozenset[str] = frozenset()
        self.unreadable: dict[str, str] = {}
        self.users = (0, 0)
        self.tenants: set[str] = set()
        self._api = api
        self._picture = picture
        self._memory = memory
        self._read: set[str] = set()
        """Users that this sweep has read."""
        self._steps = self._tenant_steps() if tenant else self._all_steps()
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
            ids, asked = yield Step(self._api.user_ids)
            there = set(ids)
            picture.put(_gone(id_ for id_ in picture.ids(Kind.USERS) if id_ not in there), asked)
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
        self.users = read, total + len(ids)
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
