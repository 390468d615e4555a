"""Opens Redis from a URL: the one place that knows how, for the loader and for the server.

    redis://[USER:PASSWORD@]HOST:PORT/DB                       one server
    rediss://…                                                 the same over TLS; ?ssl_ca_certs=FILE: own authority
    unix://[USER:PASSWORD@]/PATH?db=DB                         one server, through a socket
    redis+sentinel://[USER:PASSWORD@]HOST:PORT,…/NAME/DB       the master that these sentinels know as NAME
    redis+cluster://[USER:PASSWORD@]HOST:PORT,…                a cluster, found through any of these nodes

``rediss+sentinel`` and ``rediss+cluster`` are the same over TLS. Behind ``?`` stand options, all in ``OPTIONS``:
``password_file`` names a file that is read for each connection, those with ``sentinel_`` are for the sentinels alone,
and the others are redis-py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.exceptions import RedisError
from redis.retry import Retry

from rightcall.redis_connections import (
    FileCredentials,
    LazyCluster,
    LeavingConnection,
    LeavingMasterConnection,
    LeavingMasterTlsConnection,
    LeavingSocketConnection,
    LeavingTlsConnection,
    NamedSentinel,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

_CONNECT_TIMEOUT: Final = 2.0
ANSWER_TIMEOUT: Final = 10.0
"""Seconds; a snapshot of a large tenant is tens of megabytes."""
_SENTINEL_PORT = 26379
_REDIS_PORT = 6379
_FORMS = (
    "redis://[USER:PASSWORD@]HOST:PORT/DB, rediss://…, unix:///PATH, redis+sentinel://HOST:PORT,…/NAME/DB or "
    "redis+cluster://HOST:PORT,…"
)
_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_SENTINEL = "sentinel_"


def _yes(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError(text)
    return text.lower() in ("true", "1", "yes")


_TLS_OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_password": str,
    "ssl_cert_reqs": str,
    "ssl_check_hostname": _yes,
}
_CREDENTIALS: Final[dict[str, Callable[[str], Any]]] = {"username": str, "password": str, "password_file": str}
OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    **_CREDENTIALS,
    **_TLS_OPTIONS,
    "db": int,
    "socket_timeout": float,
    "socket_connect_timeout": float,
    "socket_keepalive": _yes,
    "health_check_interval": int,
    "max_connections": int,
    "protocol": int,
}
"""The options behind ``?``, with the parser of each value."""
SENTINEL_OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    f"{_SENTINEL}{name}": read for name, read in {**_CREDENTIALS, **_TLS_OPTIONS, "ssl": _yes}.items()
}
"""The options of sentinels, with the parser of each value; ``sentinel_ssl`` selects TLS."""


class RedisUrlError(ValueError):
    """A Redis URL that cannot be used; the message names the mistake and repeats nothing that may be a password."""

    def __init__(self, mistake: str) -> None:
        super().__init__(f"the Redis URL cannot be read: {mistake}; write it as {_FORMS}")


class _Parts(NamedTuple):
    """The parts of a Redis URL.

    Attributes:
        kind: ``redis``, ``unix``, ``sentinel`` or ``cluster``.
        tls: whether the servers are asked over TLS.
        hosts: of servers, sentinels or nodes.
        path: the parts between slashes.
        options: for connections to servers.
        sentinel: for connections to sentinels.
    """

    kind: str
    tls: bool
    hosts: list[tuple[str, int]]
    path: list[str]
    options: dict[str, Any]
    sentinel: dict[str, Any]


def open_redis(url: str, *, answer_timeout: float = ANSWER_TIMEOUT) -> Redis:
    """A client for a Redis URL, which connects on first use.

    Args:
        url: in one of the forms above.
        answer_timeout: timeout of a response, in seconds.

    Raises:
        RedisUrlError: the URL cannot be used.
    """
    parts = _read(url)
    common = {
        "socket_connect_timeout": _CONNECT_TIMEOUT,
        "socket_timeout": answer_timeout,
        "health_check_interval": 15,
    }
    if parts.kind == "sentinel":
        return _open_sentinel(parts, common | parts.options)
    if parts.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in parts.hosts]  # type: ignore[no-untyped-call] # redis-py
        return cast("Redis", LazyCluster(nodes, common | parts.options | ({"ssl": True} if parts.tls else {})))
    return _open_one(parts, common | parts.options)


def mistake_of(url: str, *, answer_timeout: float = _CONNECT_TIMEOUT) -> str:
    """Asks the first server of a URL for the mode, and names the URL's mistake.

    Returns:
        The mistake and the correction; empty without a mistake or a response.

    Raises:
        RedisUrlError: the URL cannot be used.
    """
    parts = _read(url)
    sentinels = parts.kind == "sentinel"
    options: dict[str, Any] = {**(parts.sentinel if sentinels else parts.options), "db": 0}
    options |= {"socket_connect_timeout": answer_timeout, "socket_timeout": answer_timeout}
    one = parts if parts.kind == "unix" else parts._replace(tls=options.pop("ssl", not sentinels and parts.tls))
    try:
        with _open_one(one, options) as client:
            told = client.execute_command("HELLO")
    except (RedisError, OSError):
        return ""
    return _kind_mistake(parts.kind, _mode(told))


def _mode(told: object) -> str:
    """The mode in a server's response to ``HELLO``, in either version of the protocol; empty without one."""
    if isinstance(told, list):
        told = dict(zip(told[::2], told[1::2], strict=False))
    mode = told.get(b"mode") if isinstance(told, dict) else None
    return mode.decode("ascii", "replace") if isinstance(mode, bytes) else ""


def _kind_mistake(kind: str, mode: str) -> str:
    single = kind in ("redis", "unix")
    if mode == "cluster" and kind != "cluster":
        return "it leads to a node of a cluster; write redis+cluster://HOST:PORT,…"
    if mode == "sentinel" and kind != "sentinel":
        return "it leads to a sentinel; write redis+sentinel://HOST:PORT,…/NAME/DB"
    if mode == "standalone" and not single:
        which = "no sentinel" if kind == "sentinel" else "no cluster"
        return f"it leads to a single server, which is {which}; write redis://HOST:PORT/DB"
    return ""


def _open_one(parts: _Parts, options: dict[str, Any]) -> Redis:
    options = {"retry": Retry(NoBackoff(), 1), **options}
    if parts.kind == "unix":
        options |= {"connection_class": LeavingSocketConnection, "path": "/" + "/".join(parts.path)}
    else:
        host, port = parts.hosts[0]
        kind = LeavingTlsConnection if parts.tls else LeavingConnection
        options |= {"connection_class": kind, "host": host, "port": port}
    return Redis.from_pool(ConnectionPool(**options))


def _open_sentinel(parts: _Parts, options: dict[str, Any]) -> Redis:
    """The master that the sentinels know; asked again whenever a connection is made, so that a failover is followed."""
    sentinel = NamedSentinel(  # type: ignore[no-untyped-call] # redis-py
        parts.hosts,
        sentinel_kwargs={
            "socket_connect_timeout": _CONNECT_TIMEOUT,
            "socket_timeout": _CONNECT_TIMEOUT,
            "retry": Retry(NoBackoff(), 0),  # there are others to ask
            **parts.sentinel,
        },
    )
    kind = LeavingMasterTlsConnection if parts.tls else LeavingMasterConnection
    options |= {"connection_class": kind, "retry": Retry(NoBackoff(), 1)}
    return cast("Redis", sentinel.master_for(parts.path[0], **options))  # type: ignore[no-untyped-call] # redis-py


def _read(url: str) -> _Parts:
    """Parses a URL.

    Raises:
        RedisUrlError: the URL has a mistake.
    """
    try:
        split = urlsplit(url)
    except ValueError as error:
        raise RedisUrlError("its host is no host") from error
    if split.scheme not in _SCHEMES or "://" not in url:
        raise RedisUrlError("it does not begin like one")
    if split.fragment:
        raise RedisUrlError("it has a '#'; write %23 in a password")
    kind = split.scheme.partition("+")[2] or ("unix" if split.scheme == "unix" else "redis")
    tls = split.scheme.startswith("rediss")
    path = [unquote(part) for part in split.path.split("/") if part]
    options, sentinel = _options(split, kind, tls=tls)
    hosts = [] if kind == "unix" else _hosts(split, _SENTINEL_PORT if kind == "sentinel" else _REDIS_PORT, kind)
    database = _database(kind, path)
    if database:
        options.setdefault("db", database)
    return _Parts(kind, tls, hosts, path, options, sentinel)


def _options(split: SplitResult, kind: str, *, tls: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options behind ``?`` and before ``@``: for servers, and for sentinels."""
    known = OPTIONS | (SENTINEL_OPTIONS if kind == "sentinel" else {})
    found: dict[str, Any] = {}
    for name, value in parse_qsl(split.query, keep_blank_values=True):
        if name not in known:
            of_sentinels = name in SENTINEL_OPTIONS
            why = "belongs to redis+sentinel://" if of_sentinels else f"is no option; these are: {', '.join(known)}"
            raise RedisUrlError(f"'{name[:40]}' {why}")
        if name in _TLS_OPTIONS and not tls:
            raise RedisUrlError(f"'{name}' is for TLS; write rediss instead of redis")
        try:
            found[name] = known[name](value)
        except ValueError as error:
            raise RedisUrlError(f"the value of '{name}' cannot be read") from error
    user, _, password = split.netloc.rpartition("@")[0].partition(":")
    given = {name: unquote(value) for name, value in (("username", user), ("password", password)) if value}
    sentinel = {name.removeprefix(_SENTINEL): value for name, value in found.items() if name.startswith(_SENTINEL)}
    plain = {name: value for name, value in found.items() if not name.startswith(_SENTINEL)}
    return _with_credentials(plain | given), _with_credentials(sentinel)


def _with_credentials(options: dict[str, Any]) -> dict[str, Any]:
    """Options for redis-py: a password file becomes a credential provider."""
    path = options.pop("password_file", None)
    if path is None:
        return options
    if "password" in options:
        raise RedisUrlError("it has a password and a password_file; give one of them")
    options["credential_provider"] = FileCredentials(path, options.pop("username", ""))
    return options


def _database(kind: str, path: list[str]) -> int:
    """The number of the database that the path names."""
    if kind == "unix":
        return 0
    if kind == "cluster" and path:
        raise RedisUrlError("a cluster has one database, so nothing stands behind its hosts")
    if kind == "sentinel" and not path:
        raise RedisUrlError("the name by which the sentinels know the master is missing: …/NAME")
    numbers = path[1:] if kind == "sentinel" else path
    if len(numbers) > 1 or any(not (number.isascii() and number.isdecimal()) for number in numbers):
        raise RedisUrlError("the database behind the host is no number")
    return int(numbers[0]) if numbers else 0


def _hosts(split: SplitResult, default_port: int, kind: str) -> list[tuple[str, int]]:
    hosts = [_host(one, default_port) for one in split.netloc.rpartition("@")[2].split(",")]
    if len(hosts) > 1 and kind == "redis":
        raise RedisUrlError("it has several hosts; write redis+sentinel:// or redis+cluster://")
    if kind != "redis" and not split.netloc.rpartition("@")[2]:
        raise RedisUrlError("a host is missing")
    return hosts


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        split = urlsplit(f"//{text}")
        return unquote(split.hostname or "localhost"), split.port or default_port
    except ValueError as error:
        raise RedisUrlError("a port is no number") from error
