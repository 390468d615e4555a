"""The one session with wazo-auth: a token that is renewed before expiry and revoked after use.

wazo-auth rejects more than a hundred sessions of a user. So the old one ends before a new one begins.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog

from loader.errors import SourceError
from loader.sources.wazo.rest.client import Query, RefusedError, parsed
from loader.sources.wazo.rest.settings import Patience

if TYPE_CHECKING:
    from loader.sources.wazo.rest.client import Client
    from loader.sources.wazo.rest.settings import WazoSettings

_log = structlog.get_logger()

_RENEW_AT: Final = 0.8
"""Part of a token's life after which the token is renewed."""

_REVOKING: Final = Patience(attempts=1, silence=2.0, whole=2.0)


class Session:
    """Holds a token, or none. Safe for threads.

    Args:
        client: makes the requests.
        settings: user, URL and lifetime of the token.
    """

    def __init__(self, client: Client, settings: WazoSettings) -> None:
        self._client = client
        self._settings = settings
        self._url = f"{settings.auth_url}/token"
        self._lock = threading.RLock()
        self._token = ""
        self._renew_at = 0.0

    def token(self) -> str:
        """A token that is probably valid for a while.

        Raises:
            SourceError: wazo-auth gives none.
        """
        with self._lock:
            if not self._token or time.monotonic() >= self._renew_at:
                self.end()
                self._begin()
            return self._token

    def replace(self, refused: str) -> None:
        """Ends the session unless another thread has begun a new one since this token was rejected."""
        with self._lock:
            if self._token == refused:
                self.end()

    def end(self) -> None:
        """Revokes the token, if there is one. A failure is logged: the token ends by itself."""
        with self._lock:
            token, self._token = self._token, ""
        if not token:
            return
        headers = {"X-Auth-Token": token, "Accept": "application/json"}
        query = Query("DELETE", f"{self._url}/{quote(token, safe='')}", headers)
        try:
            self._client.ask_once(query, _REVOKING)
        except RefusedError as error:
            _log.debug("session_ended_already", status=error.status)
        except Exception as error:  # noqa: BLE001 - no failure here may keep the loader from going on, or from ending
            _log.warning("session_not_revoked", problem=type(error).__name__, seconds=self._settings.token_seconds)

    def _begin(self) -> None:
        settings = self._settings
        credentials = b64encode(f"{settings.username}:{settings.password}".encode()).decode()
        query = Query(
            "POST",
            self._url,
            {"Authorization": f"Basic {credentials}", "Accept": "application/json"},
            body={"expiration": settings.token_seconds},
        )
        asked_at = time.monotonic()
        try:
            answer = parsed(self._client.ask(query), self._url)
        except RefusedError as error:
            raise SourceError(_advice(error, settings.username)) from None
        match answer:
            case {"data": {"token": str(token)}} if token and token.isprintable() and token.isascii():
                self._token = token
                self._renew_at = asked_at + _RENEW_AT * settings.token_seconds
            case _:
                raise SourceError(f"{self._url} answered without a token; check that auth_url is wazo-auth's")


def _advice(error: RefusedError, username: str) -> str:
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"{error.place} refused the user {username!r} ({error.status}); check the user's name and password"
    return f"{error}; check that auth_url is the base of wazo-auth's API, as in https://HOST/api/auth/0.1"
