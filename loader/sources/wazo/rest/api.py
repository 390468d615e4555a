"""Readings of a Wazo stack: whole lists, the list of one tenant, and items by id.

Items are requested by the filters of lists, which need no rights but those of the lists, and return an empty list for a
removed item. A user costs wazo-confd about five milliseconds in any list but ``view=summary``, which names all users
almost for free; so users are read by UUID, some at a time.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from loader.errors import SourceError
from loader.sources.wazo.events import Kind
from loader.sources.wazo.rest.client import Query, RefusedError, parsed
from loader.sources.wazo.rest.mapping import seen, tenant_of
from loader.sources.wazo.rest.picture import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loader.sources.wazo.rest.client import Client
    from loader.sources.wazo.rest.session import Session
    from loader.sources.wazo.rest.settings import Patience, WazoSettings

_Value = TypeVar("_Value")

USERS_AT_ONCE: Final = 50
"""A quarter of a second of wazo-confd's time, between which edits have their turn; and 2 kB of URL."""

_TENANTS: Final = "tenants"
_BY_ID: Final = {"order": "id"}
"""Without an order a list is sorted by name, which is unique within a tenant only."""
_ALL: Final = {"recurse": "true"}


class Api:
    """Reads with a valid token. Safe for threads.

    Every method raises ``RefusedError`` if the user lacks the right to read, ``ServerFailedError`` if the server fails,
    and ``SourceError`` for any other failure.

    Args:
        client: makes the requests.
        session: has the token.
        settings: the URLs of the lists.
        patience: the timeouts and attempts of each request.
    """

    def __init__(self, client: Client, session: Session, settings: WazoSettings, patience: Patience) -> None:
        self._client = client
        self._session = session
        self._settings = settings
        self._patience = patience
        self._held: dict[str, tuple[bytes, Any]] = {}

    def tenants(self) -> dict[str, str]:
        """The names of the tenants that the user may see, by UUID; the object of the last time if equal."""
        url = f"{self._settings.auth_url}/{_TENANTS}"
        return self._held_list(_TENANTS, url, {"order": "name"}, _names)

    def user_ids(self) -> tuple[str, ...]:
        """The UUIDs of the users of all tenants, each once; the object of the last time if equal."""
        url, fields = f"{self._settings.confd_url}/{Kind.USERS}", {**_BY_ID, **_ALL, "view": "summary"}
        return self._held_list(Kind.USERS, url, fields, _user_ids)

    def everything(self, kind: Kind) -> list[Seen]:
        """All items of a kind but users, of all tenants; the object of the last time if equal."""
        url = f"{self._settings.confd_url}/{kind}"
        return self._held_list(kind, url, _BY_ID | _ALL, lambda items: [seen(kind, item) for item in items])

    def user_ids_of(self, tenant: str) -> tuple[str, ...]:
        """The UUIDs of a tenant's users."""
        url, fields = f"{self._settings.confd_url}/{Kind.USERS}", {**_BY_ID, "view": "summary"}
        return _user_ids(self._list(url, fields, {"Wazo-Tenant": tenant}))

    def of_tenant(self, kind: Kind, tenant: str) -> list[Seen]:
        """All items of a kind but users, of one tenant."""
        url = f"{self._settings.confd_url}/{kind}"
        things = [seen(kind, item) for item in self._list(url, _BY_ID, {"Wazo-Tenant": tenant})]
        if any(thing.tenant != tenant for thing in things):
            raise SourceError(f"wazo-confd's {kind} of tenant {tenant} are another's; check the proxy before it")
        return things

    def things(self, kind: Kind, ids: Sequence[str]) -> list[Seen]:
        """Items by id; removed ones without a tenant. Users all at once, others one by one."""
        if kind is Kind.USERS:
            found = self._filtered(kind, {"uuid": ",".join(ids)}, len(ids))
        else:
            found = [thing for id_ in ids for thing in self._filtered(kind, {"id": id_}, 1)]
        there = {thing.id: thing for thing in found}
        return [there.get(id_, Seen(kind, id_, "", {})) for id_ in ids]

    def _filtered(self, kind: Kind, fields: dict[str, str], enough: int) -> list[Seen]:
        url = f"{self._settings.confd_url}/{kind}"
        return [seen(kind, item) for item in self._list(url, {**fields, **_ALL}, {}, enough)]

    def _held_list(
        self, key: str, url: str, fields: dict[str, str], read: Callable[[list[dict[str, Any]]], _Value]
    ) -> _Value:
        """The content of a list; the object of the last time if the response is equal."""
        answer = self._get(url, fields, {})
        digest = hashlib.sha256(answer).digest()
        held = self._held.get(key)
        if held is not None and held[0] == digest:
            return held[1]  # type: ignore[no-any-return]  # what is held under this key is of this kind
        items, whole = self._completed(answer, url, fields, {})
        value = read(items)
        # the first response does not cover the further ones
        self._held[key] = (digest, value) if whole else (b"", value)
        return value

    def _list(self, url: str, fields: dict[str, str], headers: dict[str, str], enough: int = 0) -> list[dict[str, Any]]:
        return self._completed(self._get(url, fields, headers), url, fields, headers, enough)[0]

    def _completed(
        self, answer: bytes, url: str, fields: dict[str, str], headers: dict[str, str], enough: int = 0
    ) -> tuple[list[dict[str, Any]], bool]:
        """The items of all pages, if the server cuts the list, and whether the list was whole.

        A user whose line has several extensions counts several times in the total and is listed once. So ``enough``
        items are complete, even below the total.
        """
        items, total = _page(answer, url)
        whole = len(items) == total
        while len(items) < total and len(items) != enough:
            page, again = _page(self._get(url, fields | {"offset": str(len(items))}, headers), url)
            items += page
            if not page and enough:
                break
            if again != total or not page:
                raise SourceError(f"{url} changed between its pages, or is not complete; it is read again soon")
        if len(items) != total and not enough:
            raise SourceError(f"{url} says that it holds {total} things and gives {len(items)}; it is read again soon")
        return items, whole

    def _get(self, url: str, fields: dict[str, str], headers: dict[str, str]) -> bytes:
        """One response. A token may end at any time, so a rejected one is replaced once."""
        token = self._session.token()
        try:
            return self._get_once(token, url, fields, headers)
        except RefusedError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
        self._session.replace(token)
        return self._get_once(self._session.token(), url, fields, headers)

    def _get_once(self, token: str, url: str, fields: dict[str, str], headers: dict[str, str]) -> bytes:
        own = {"X-Auth-Token": token, "Accept": "application/json"}
        return self._client.ask(Query("GET", url, own | headers, fields), self._patience)


def explained(error: RefusedError) -> SourceError:
    """The remedy for a rejection without another explanation."""
    resource = error.place.rpartition("/")[2]
    service = "auth" if resource == _TENANTS else "confd"
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return SourceError(f"{error}; give the user a policy with the access {service}.{resource}.read")
    return SourceError(f"{error}; check that the source's URL is the base of Wazo's API, as docs/wazo.md shows")


def _page(data: bytes, url: str) -> tuple[list[dict[str, Any]], int]:
    match parsed(data, url):
        case {"items": list(items), "total": int(total)} if all(isinstance(item, dict) for item in items):
            return items, total
        case _:
            raise SourceError(f"{url} answered with no list; check that the URL is that of Wazo's API")


def _names(items: list[dict[str, Any]]) -> dict[str, str]:
    names = {tenant_of(item, _TENANTS, "uuid"): item.get("name") for item in items}
    if not names:
        raise SourceError("wazo-auth names no tenant, not even the user's own; check that its answers are whole")
    return {uuid: name if isinstance(name, str) else "" for uuid, name in names.items()}


def _user_ids(items: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tenant_of(item, Kind.USERS, "uuid") for item in items))
