"""Opening the Redis that a URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.publication.keys import without_credentials
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from redis import Redis


def opened_redis(url: str, **settings: float) -> tuple[Redis, str]:
    """A client for a Redis URL, and the name of that Redis in messages: without credentials.

    Args:
        url: as in ``rightcall.redis_url``.
        settings: as of ``open_redis``.

    Raises:
        Failure: the URL is unusable, or leads to another kind of Redis than named.
    """
    from rightcall.redis_url import (  # noqa: PLC0415 - who has definitions needs no Redis
        RedisUrlError,
        mistake_of,
        open_redis,
    )

    try:
        client = open_redis(url, **settings)
        mistake = mistake_of(url)
    except RedisUrlError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    if mistake:
        raise Failure(str(RedisUrlError(mistake)), ExitCode.USAGE)
    return client, without_credentials(url)
