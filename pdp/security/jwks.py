"""An issuer's keys behind a URL, fetched in a separate thread so that no call ever waits for a fetch."""

from __future__ import annotations

import ipaddress
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from pdp.errors import SecurityError
from pdp.security.jwts import Keys, parse_keys
from pdp.security.watch import MAX_FILE_SIZE, Watched, read_file

if TYPE_CHECKING:
    from pdp.metrics.registry import Metrics

_log = structlog.get_logger()

_REFRESH_SECONDS = 300.0
_RETRY_SECONDS = 5.0
_TIMEOUT_SECONDS = 5.0


class RemoteKeys:
    """The keys at a URL: fetched at the start, every five minutes, and every five seconds while fetching fails.

    The last keys fetched stay in force while fetching fails. Before the first fetch succeeds, no token is trusted.

    Args:
        url: ``https://…``, or ``http://…`` of this machine.
        metrics: where fetches are counted.

    Raises:
        SecurityError: the URL has another form.
    """

    def __init__(self, url: str, metrics: Metrics, *, refresh: float = _REFRESH_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(parts.hostname or "")):
            raise SecurityError(
                "the JWKS URL must begin with https://: whoever could change the keys could make tokens"
            )
        if parts.username or parts.password:
            raise SecurityError("the JWKS URL holds credentials; public keys need none, take them out")
        self._url = url
        self._metrics = metrics
        self._refresh = refresh
        self._keys = Keys({})
        self._data = b""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jwks", daemon=True)
        self._opener = urllib.request.build_opener(_NoRedirects)

    def get(self) -> Keys:
        """The keys of now."""
        return self._keys

    def start(self) -> None:
        """Begins to fetch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends fetching, without waiting for a fetch under way."""
        self._stop.set()

    def _run(self) -> None:
        delay = 0.0
        while not self._stop.wait(delay):
            delay = self._refresh if self._fetch() else min(_RETRY_SECONDS, self._refresh)

    def _fetch(self) -> bool:
        try:
            with self._opener.open(self._url, timeout=_TIMEOUT_SECONDS) as response:
                data = response.read(MAX_FILE_SIZE)
            if data != self._data:  # tokens that were checked under the same keys stay checked
                self._keys, self._data = parse_keys(data, f"what {self._url} answers"), data
        except (OSError, HTTPException, ValueError, SecurityError) as error:
            self._metrics.reload("jwks", "failure", "unusable")
            _log.warning("jwks_refused", url=self._url, problem=str(error), kept=f"{len(self._keys.by_id)} keys")
            return False
        self._metrics.reload("jwks", "success")
        return True


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The URL that was configured is the one that is trusted."""

    def redirect_request(self, *_: Any) -> None:
        """Never."""
        return


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def watched_keys(path: str, metrics: Metrics) -> Watched[Keys]:
    """The keys in a file, re-read when the file changes.

    Raises:
        SecurityError: the file cannot be used.
    """
    return Watched("jwks", (path,), lambda: parse_keys(read_file(path, "the JWKS file"), repr(path)), metrics)
