"""The lists that are read from a Wazo stack: whole, as they came."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from loader.errors import SourceError
from loader.sources.wazo.rest.client import Query, RefusedError, parsed

if TYPE_CHECKING:
    from loader.sources.wazo.rest.client import Client
    from loader.sources.wazo.rest.session import Session
    from loader.sources.wazo.rest.settings import WazoSettings

_TENANTS: Final = "tenants"
_BY_ID: Final = {"order": "id"}
"""Without an order a list is sorted by name, which is unique within a tenant only."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list.

    Attributes:
        items: the things of the list.
        digest: of the answer that it was read from: equal digests, equal lists. Empty where it took several answers.
    """

    items: list[dict[str, Any]]
    digest: bytes


class Api:
    """Reads lists, with a token that is good.

    Args:
        client: makes the requests.
        session: has the token.
        settings: where the lists are.
    """

    def __init__(self, client: Client, session: Session, settings: WazoSettings) -> None:
        self._client = client
        self._session = session
        self._settings = settings

    def tenants(self, *, known: bytes) -> Listing | None:
        """The tenants that the user may see; None where the digest is the known one.

        Raises:
            RefusedError: the user may not read them.
            SourceError: they cannot be read.
        """
        return self._list(f"{self._settings.auth_url}/{_TENANTS}", {"order": "name"}, known)

    def resource(self, name: str, *, known: bytes) -> Listing | None:
        """One of wazo-confd's lists, of all tenants that the user may see; None where the digest is the known one.

        Args:
            name: of the resource, as in ``users``.
            known: the digest of the last time; empty: none.

        Raises:
            RefusedError: the user may not read it.
            SourceError: it cannot be read.
        """
        return self._list(f"{self._settings.confd_url}/{name}", _BY_ID | {"recurse": "true"}, known)

    def resource_of(self, name: str, tenant: str) -> list[dict[str, Any]]:
        """One of wazo-confd's lists, of one tenant.

        Raises:
            RefusedError: the tenant is unknown, or the user may not read it.
            SourceError: it cannot be read.
        """
        url, headers = f"{self._settings.confd_url}/{name}", {"Wazo-Tenant": tenant}
        fields = self._fields(_BY_ID)
        items, total = _page(self._get(url, fields, headers), url)
        return self._completed(items, total, url, fields, headers)

    def _list(self, url: str, fields: dict[str, str], known: bytes) -> Listing | None:
        fields = self._fields(fields)
        answer = self._get(url, fields, {})
        digest = hashlib.sha256(answer).digest()
        if digest == known:
            return None
        items, total = _page(answer, url)
        if len(items) < total:  # what the first answer says tells nothing about the further ones
            digest = b""
        return Listing(self._completed(items, total, url, fields, {}), digest)

    def _fields(self, fields: dict[str, str]) -> dict[str, str]:
        return fields | ({"limit": str(self._settings.page_size)} if self._settings.page_size else {})

    def _completed(
        self, items: list[dict[str, Any]], total: int, url: str, fields: dict[str, str], headers: dict[str, str]
    ) -> list[dict[str, Any]]:
        """The items with those of the further pages, where the settings or the server cut the list."""
        while len(items) < total:
            page, again = _page(self._get(url, fields | {"offset": str(len(items))}, headers), url)
            items += page
            if again != total or not page:
                raise SourceError(f"{url} changed between its pages, or is not complete; it is read again soon")
        if len(items) != total:
            raise SourceError(f"{url} says that it holds {total} things and gives {len(items)}; it is read again soon")
        return items

    def _get(self, url: str, fields: dict[str, str], headers: dict[str, str]) -> bytes:
        """One answer. A token may end at any time, so one that is refused is replaced once."""
        try:
            return self._get_once(url, fields, headers)
        except RefusedError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
        self._session.end()
        return self._get_once(url, fields, headers)

    def _get_once(self, url: str, fields: dict[str, str], headers: dict[str, str]) -> bytes:
        own = {"X-Auth-Token": self._session.token(), "Accept": "application/json"}
        return self._client.ask(Query("GET", url, own | headers, fields))


def explained(error: RefusedError) -> SourceError:
    """What to do about a refusal that nothing else explains."""
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
