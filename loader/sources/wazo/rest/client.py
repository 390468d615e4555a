"""Requests to wazo-confd and wazo-auth: with timeouts, and with retries where these can help.

A response is read whole within one attempt, so that a broken response is retried like a missing one.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NoReturn

import structlog
import tenacity
import urllib3
from urllib3.exceptions import HTTPError, InsecureRequestWarning, SSLError

from loader.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loader.sources.wazo.rest.settings import Patience, WazoSettings

_log = structlog.get_logger()

MAX_REPLY_SIZE: Final = 2**30
"""Bytes."""

CONNECTIONS: Final = 4
"""To each server, at the most."""

_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 5.0
_CHUNK: Final = 2**16
_SUCCESS: Final = range(200, 300)


class _TransientError(Exception):
    """A transient failure; ``status`` is the response's, if there was one."""

    def __init__(self, problem: str, status: int = 0) -> None:
        self.status = status
        super().__init__(problem)


class ServerFailedError(SourceError):
    """The server failed at all attempts of a request."""


class RefusedError(Exception):
    """A request was understood and rejected; retrying would not help.

    Attributes:
        status: the HTTP status of the response.
        place: the requested URL, without parameters.
    """

    def __init__(self, status: int, place: str) -> None:
        self.status = status
        self.place = place
        super().__init__(f"{place} answered {status}")


@dataclass(frozen=True, slots=True)
class Query:
    """A request.

    Attributes:
        method: as in ``GET``.
        url: without parameters.
        headers: may hold a token, so never shown.
        fields: the parameters.
        body: sent as JSON; None: no body.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    fields: Mapping[str, str] | None = None
    body: Mapping[str, object] | None = None


class Client:
    """Connections to one stack. Safe for threads.

    Args:
        settings: timeouts, attempts and trust.

    Raises:
        SourceError: the certificates to trust cannot be read.
    """

    def __init__(self, settings: WazoSettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._pool = urllib3.PoolManager(
            ssl_context=_trust(settings), retries=False, maxsize=CONNECTIONS, headers={"User-Agent": "rightcall-loader"}
        )

    def end_with(self, stop: threading.Event) -> None:
        """Once ``stop`` is set, no request is made again and no wait goes on; until ``close``."""
        self._stop = stop

    @property
    def stopped(self) -> bool:
        """Whether no request is to be made any more."""
        return self._stop.is_set()

    def ask(self, query: Query, patience: Patience | None = None) -> bytes:
        """Makes a request, retried after transient failures, and returns the response.

        Args:
            query: the request.
            patience: timeouts and attempts; None: those of the settings.

        Raises:
            RefusedError: the server rejects the request.
            ServerFailedError: the server failed at each attempt.
            SourceError: no attempt brought a response.
        """
        patience = patience or self._settings.patience
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TransientError),
            wait=tenacity.wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
            stop=tenacity.stop_after_attempt(patience.attempts) | tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=lambda state: _tell(query, state),
            reraise=True,
        )
        try:
            return retrying(self.ask_once, query, patience)
        except _TransientError as error:
            self._give_up(query, error)

    def ask_once(self, query: Query, patience: Patience) -> bytes:
        """Makes a request once, and returns the response.

        Args:
            query: the request.
            patience: the timeouts.

        Raises:
            RefusedError: the server rejects the request.
            SourceError: the request can never succeed.
            _TransientError: the next attempt may succeed. ``ask`` raises none of these.
        """
        deadline = time.monotonic() + patience.whole
        connect = min(patience.whole, self._settings.connect_seconds)
        try:
            reply = self._pool.request(
                query.method,
                query.url,
                fields=query.fields if query.body is None else None,
                headers={**self._pool.headers, **query.headers},
                json=query.body,
                redirect=False,  # a token goes where the person sent it, and nowhere else
                preload_content=False,
                timeout=urllib3.Timeout(connect=connect, read=patience.silence),
            )
        except SSLError as error:
            raise SourceError(
                f"the certificate of {query.url} is not trusted ({_reason(error)}); give its authority's with ca_file"
            ) from None
        except HTTPError as error:
            raise _TransientError(f"cannot be reached ({_reason(error)})") from None
        return _read(reply, query, deadline)

    def close(self) -> None:
        """Closes the connections. The client can be used again."""
        self._stop = threading.Event()
        self._pool.clear()

    def _give_up(self, query: Query, error: _TransientError) -> NoReturn:
        message = f"{query.url} {error}; check that the Wazo stack is up and can be reached from here"
        kind = ServerFailedError if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else SourceError
        raise kind(message) from None


def parsed(data: bytes, url: str) -> object:
    """The JSON value of a response.

    Raises:
        SourceError: the response is not JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise SourceError(f"{url} answered with something else than JSON; check that the URL is the API's") from None


def _read(reply: urllib3.BaseHTTPResponse, query: Query, deadline: float) -> bytes:
    """The body of a response. A body that is not read whole leaves a connection that cannot be reused."""
    whole = False
    try:
        data = _body(reply, deadline)
        whole = True
    except HTTPError as error:
        raise _TransientError(f"broke off its answer ({_reason(error)})") from None
    finally:
        if whole:
            reply.release_conn()
        else:
            reply.close()
    if reply.status in _SUCCESS:
        return data
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise _TransientError("has too many sessions or requests (429); end those of the user that it need not have")
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _TransientError(f"failed ({reply.status})", reply.status)
    raise RefusedError(reply.status, query.url)


def _body(reply: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    chunks, size = [], 0
    # what has arrived, and not a full chunk: one whose bytes trickle in would outlast the deadline
    while chunk := reply.read1(_CHUNK):
        size += len(chunk)
        if size > MAX_REPLY_SIZE:
            raise SourceError(f"an answer of Wazo has more than {MAX_REPLY_SIZE} bytes; read fewer tenants")
        if time.monotonic() > deadline:
            raise _TransientError("takes too long to answer")
        chunks.append(chunk)
    return b"".join(chunks)


def _trust(settings: WazoSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ValueError):
        raise SourceError(f"{settings.ca_file} holds no certificates that can be read; check ca_file") from None
    if not settings.verify:
        _log.warning("certificates_not_checked", advice="whoever is on the way can change rules; give ca_file instead")
        urllib3.disable_warnings(InsecureRequestWarning)  # would be logged for each request; logged above
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _tell(query: Query, state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.info("wazo_asked_again", url=query.url, attempt=state.attempt_number, problem=str(error))


def _reason(error: HTTPError) -> str:
    """The failure, in few words; the texts of the library name objects and repeat URLs."""
    cause = error.__cause__ or error.__context__
    return getattr(cause, "strerror", None) or type(cause or error).__name__
