"""Opens Redis from a URL: the one place that knows how, for the loader and for the server.

    redis://[USER:PASSWORD@]HOST:PORT/DB                       one server
    rediss://…                                                 the same over TLS; ?ssl_ca_certs=FILE: own authority
    unix://[USER:PASSWORD@]/PATH?db=DB                         one server, through a socket
    redis+sentinel://[USER:PASSWORD@]HOST:PORT,…/NAME/DB       the master that these sentinels know as NAME
    redis+cluster://[USER:PASSWORD@]HOST:PORT,…                a cluster, found through any of these nodes

``rediss+sentinel`` and ``rediss+cluster`` are the same over TLS. What stands behind ``?`` is passed on to redis-py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast
from urllib.parse import unquote, urlsplit

from redis import Redis, RedisCluster, Sentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import parse_url
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

_CONNECT_TIMEOUT: Final = 2.0
_ANSWER_TIMEOUT: Final = 10.0
"""Seconds; a snapshot of a large tenant is tens of megabytes."""
_SENTINEL_PORT = 26379
_REDIS_PORT = 6379
_FORMS = (
    "redis://[USER:PASSWORD@]HOST:PORT/DB, rediss://…, unix:///PATH, redis+sentinel://HOST:PORT,…/NAME/DB or "
    "redis+cluster://HOST:PORT,…"
)


class RedisUrlError(ValueError):
    """A Redis URL that cannot be read; the message does not repeat it, since it may hold a password."""


class _Parts(NamedTuple):
    """What a URL with more than one host says."""

    tls: bool
    hosts: list[tuple[str, int]]
    path: list[str]
    options: dict[str, Any]
    """For redis-py: user, password, and what stands behind ``?``."""


def open_redis(url: str, *, answer_timeout: float = _ANSWER_TIMEOUT) -> Redis:
    """A client for a Redis URL. It connects when it is first used, but to a cluster, which is asked for its nodes.

    Args:
        url: in one of the forms above.
        answer_timeout: seconds that an answer may take.

    Raises:
        RedisUrlError: the URL cannot be read.
    """
    openers: dict[str, Callable[[str, float], Redis]] = {"sentinel": _open_sentinel, "cluster": _open_cluster}
    try:
        return openers.get(urlsplit(url).scheme.partition("+")[2], _open_one)(url, answer_timeout)
    except (ValueError, TypeError, IndexError) as error:
        raise RedisUrlError(f"the Redis URL cannot be read; write it as {_FORMS}") from error


def _common(answer_timeout: float) -> dict[str, Any]:
    return {
        "socket_connect_timeout": _CONNECT_TIMEOUT,
        "socket_timeout": answer_timeout,
        "health_check_interval": 15,
        "client_name": "rightcall",
    }


def _open_one(url: str, answer_timeout: float) -> Redis:
    return Redis.from_url(url, **_common(answer_timeout), retry=Retry(NoBackoff(), 1))


def _open_sentinel(url: str, answer_timeout: float) -> Redis:
    """The master that the sentinels know; asked again whenever a connection is made, so that a failover is followed."""
    parts = _parts(url, _SENTINEL_PORT)
    name, *database = parts.path
    sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py
        parts.hosts,
        sentinel_kwargs={"socket_connect_timeout": _CONNECT_TIMEOUT, "socket_timeout": _CONNECT_TIMEOUT},
    )
    options = _common(answer_timeout) | parts.options | {"db": int(database[0]) if database else 0, "ssl": parts.tls}
    return cast("Redis", sentinel.master_for(name, **options))  # type: ignore[no-untyped-call] # redis-py


def _open_cluster(url: str, answer_timeout: float) -> Redis:
    """A cluster's client; it offers all that we use of a single server's."""
    parts = _parts(url, _REDIS_PORT)
    nodes = [ClusterNode(host, port) for host, port in parts.hosts]  # type: ignore[no-untyped-call] # redis-py
    options = _common(answer_timeout) | parts.options | ({"ssl": True} if parts.tls else {})
    return cast("Redis", _LazyCluster(nodes, options))


def _parts(url: str, default_port: int) -> _Parts:
    split = urlsplit(url)
    where = split.netloc.rpartition("@")[2]
    hosts = [_host(one, default_port) for one in where.split(",")]
    single = f"redis://x?{split.query}" if split.query else "redis://x"
    parsed: dict[str, Any] = parse_url(single)  # type: ignore[no-untyped-call] # redis-py
    options = {name: value for name, value in parsed.items() if name != "host"}
    credentials = split.netloc.rpartition("@")[0]
    user, _, password = credentials.partition(":")
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    return _Parts(split.scheme.startswith("rediss"), hosts, [part for part in split.path.split("/") if part], options)


def _host(text: str, default_port: int) -> tuple[str, int]:
    split = urlsplit(f"//{text}")
    if not split.hostname:
        raise ValueError
    return split.hostname, split.port or default_port


class _LazyCluster:
    """A cluster that is asked for its nodes when it is first used: it may be down when a server starts."""

    def __init__(self, nodes: list[ClusterNode], options: dict[str, Any]) -> None:
        self._nodes = nodes
        self._options = options
        self._cluster: RedisCluster | None = None

    def __getattr__(self, name: str) -> Any:
        if self._cluster is None:
            self._cluster = RedisCluster(startup_nodes=self._nodes, **self._options)
        return getattr(self._cluster, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._cluster is not None:
            self._cluster.close()
