"""The viewers of the pages, and the rights of each."""

from __future__ import annotations

import hashlib
import hmac
import secrets as random_secrets
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from pdp.runtime.address import is_local
from pdp.runtime.http import CLIENT_CERTIFICATE, origin_of
from pdp.security.identity import ASKING, CONSOLE, LOCKOUTS, ORIGIN, ROLLBACK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from starlette.requests import Request

    from pdp.app import ServerParts

COOKIE: Final = "rightcall-console"
"""The cookie with the token of a person who signed in."""
_NAMES: Final = frozenset(("localhost",))
"""The names under which a browser on this machine asks."""
_FORMS: Final = b"rightcall console forms"
_SAFE: Final = ("GET", "HEAD")


class Viewer(NamedTuple):
    """The person in front of a page.

    Attributes:
        name: the client that the person is known as; empty: not known.
        may_unlock: may end lockouts.
        may_roll_back: may make earlier revisions current.
        form_token: what a form that changes something must send back.
        signed_in: whether the person signed in here, and so can sign out.
    """

    name: str = ""
    may_unlock: bool = False
    may_roll_back: bool = False
    form_token: str = ""
    signed_in: bool = False


class Access(Protocol):
    """Decides who may look at the pages.

    Attributes:
        takes_tokens: whether people sign in with a token.
    """

    takes_tokens: bool

    def admitted(self, request: Request, token: str = "") -> AbstractContextManager[Viewer]:
        """The viewer, for as long as the block lasts.

        Args:
            request: the request.
            token: with which the person signs in; empty: the request identifies the person.

        Raises:
            CallError: the person may not look.
        """

    def answers(self, host: str) -> bool:
        """Whether the pages are answered under a host's name; a page of a foreign site gets nothing that way."""

    def is_secure(self, request: Request) -> bool:
        """Whether browsers reach the pages over TLS alone."""


class OpenAccess:
    """Anyone on this machine may look; nothing can be changed."""

    takes_tokens = False

    @contextmanager
    def admitted(self, request: Request, token: str = "") -> Iterator[Viewer]:
        """An unknown viewer."""
        del request, token
        yield Viewer()

    def answers(self, host: str) -> bool:
        """Whether a host is this machine."""
        return is_of_machine(host)

    def is_secure(self, request: Request) -> bool:
        """Plain HTTP."""
        del request
        return False


class ServedAccess:
    """The authentication of a server's HTTP port.

    Args:
        parts: the server's.
    """

    def __init__(self, parts: ServerParts) -> None:
        self._security = security = parts.security
        self._known = security.tells_clients_apart
        self.takes_tokens = security.guard is not None and security.guard.reads_headers
        settings = parts.settings
        self._trusted = not self._known and is_local(settings.http) and is_local(settings.listen)
        self._url = urlsplit(settings.http_url)
        key = parts.secrets[0] if parts.secrets else random_secrets.token_bytes(32)
        self._key = hmac.digest(key, _FORMS, "sha256")

    @contextmanager
    def admitted(self, request: Request, token: str = "") -> Iterator[Viewer]:
        """The viewer, for as long as the block lasts: services see the client."""
        token = token or request.cookies.get(COOKIE, "")
        given = [f"Bearer {token}"] if token else []
        authorization = request.headers.getlist("authorization") or given
        certificate = request.scope["state"].get(CLIENT_CERTIFICATE)
        # Where clients cannot be told apart, none has rights of its own.
        right = CONSOLE if self._known else ""
        with self._security.admit_http(authorization, lambda: 1, certificate, right, lambda: False):
            ORIGIN.set(origin_of(request))
            yield self._viewer(signed_in=bool(token) and self.takes_tokens)

    def answers(self, host: str) -> bool:
        """Whether a host is meant: any, where clients are known by what a foreign page does not have."""
        return self._known or is_of_machine(host) or _name(host) == self._url.hostname

    def is_secure(self, request: Request) -> bool:
        """Whether browsers reach the pages over TLS, of this server or of a proxy in front."""
        return "https" in (request.url.scheme, self._url.scheme)

    def _viewer(self, *, signed_in: bool) -> Viewer:
        client = ASKING.get()
        name = client.name if client is not None else ""
        rights = client.rights if client is not None and self._known else frozenset()
        return Viewer(
            name=name if self._known else "",
            may_unlock=self._trusted or LOCKOUTS in rights,
            may_roll_back=self._trusted or ROLLBACK in rights,
            form_token=hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest(),
            signed_in=signed_in,
        )


def is_own(request: Request) -> bool:
    """Whether a request that may change something comes from a page of this very site, as far as browsers say."""
    if request.method in _SAFE:
        return True
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def is_of_machine(host: str) -> bool:
    """Whether a host is an address or this machine: the name of a foreign site may be pointed here, an address not."""
    name = _name(host)
    if name in _NAMES:
        return True
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
