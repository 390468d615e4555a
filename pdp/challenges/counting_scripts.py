"""Scripts that count in Redis: each is one atomic step, and no client waits for a Redis that is away."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import structlog
from redis.exceptions import RedisError, ResponseError

from pdp.errors import AttemptsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis

_log = structlog.get_logger()

_AWAY_SECONDS = 1.0
"""Seconds after a failure before Redis is called again: each command to a hanging Redis holds a thread."""

_SCANNED = 1000
"""Keys that Redis looks at in one step."""
_SPECIAL = re.compile(r"[\\*?\[\]]")


class CountingScripts:
    """Runs scripts.

    Args:
        client: connects to Redis; the timeouts bound the wait for a reply.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._away_until = 0.0

    def run(self, script: str, keys: Sequence[str], *arguments: str | float) -> Any:
        """The result of a script.

        Raises:
            AttemptsUnavailable: Redis is away, or refuses the script.
        """
        with self._told(keys[0]):
            return cast("Any", self._client.eval(script, len(keys), *keys, *arguments))

    def keys(self, prefix: str, pattern: str) -> Iterator[str]:
        """The keys that match a pattern behind a prefix, each once, read from the whole Redis; for few and rare uses.

        Args:
            prefix: the beginning, as it is.
            pattern: the rest, as of Redis' MATCH.

        Raises:
            AttemptsUnavailable: Redis is away, or refuses.
        """
        match = _SPECIAL.sub(r"\\\g<0>", prefix) + pattern
        with self._told(match):
            yield from {key.decode() for key in self._client.scan_iter(match=match, count=_SCANNED)}

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Turns errors into ``AttemptsUnavailable``, and logs them."""
        if time.monotonic() < self._away_until:
            raise AttemptsUnavailable
        try:
            yield
        except ResponseError as error:  # Redis is there, so other keys go on; this key alone may be at fault
            _log.warning("attempts_refused", key=key, problem=str(error), advice=_advice(error))
            raise AttemptsUnavailable from error
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            _log.warning("attempts_unavailable", error=type(error).__name__, advice="no password is accepted meanwhile")
            raise AttemptsUnavailable from error


def _advice(error: ResponseError) -> str:
    """The remedy for Redis' error on a script."""
    text = str(error)
    if "WRONGTYPE" in text:
        return "this caller's passwords are not accepted until the key is deleted; see who else writes to this Redis"
    if "permission" in text or "can't run this command" in text:
        return "give the server's Redis user the rights of docs/cli.md; no password is accepted meanwhile"
    return "no password of this caller is accepted meanwhile"
