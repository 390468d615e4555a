"""Connections to Redis that leave a server that became a replica, and read the password anew for each connection.

redis-py keeps a working connection for ever. Behind an address that moves (a Service, a DNS name) the old master goes
on responding after a failover, as a replica, and rejects every write: such a connection is closed here, and the command
is repeated over a new one, which leads to the new master. A command that a replica rejects has changed nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import structlog
from redis import CredentialProvider, RedisCluster, Sentinel
from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004 - redis-py's own, which redis-py and callers catch
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.sentinel import MasterNotFoundError, SentinelManagedConnection, SentinelManagedSSLConnection

from pdp.runtime.files import read_regular

if TYPE_CHECKING:
    from redis.cluster import ClusterNode

_log = structlog.get_logger()

CLIENT_NAME = "rightcall"
"""The name in ``CLIENT LIST``."""
_READ_ONLY = "READONLY You can't write"
"""Redis 6 wraps this into an error of the script that wrote."""

_NO_PASSWORD = ("Authentication required", "already authenticated")
"""Errors of a server that received no password."""


class ReplicaError(ConnectionError):
    """The Redis behind the address is a replica, and takes no writes."""

    def __init__(self) -> None:
        super().__init__(
            "it is a replica, and takes no writes (READONLY); give the master's address, or redis+sentinel://…"
        )


class _Leaving(AbstractConnection):
    """A connection that is closed when the server turns out to be a replica."""

    def read_response(self, *args: Any, **options: Any) -> Any:
        """The next response.

        Raises:
            ReplicaError: the server is a replica; the connection is closed.
        """
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            if _READ_ONLY not in f"READONLY {error}":
                raise
            self.disconnect()  # type: ignore[no-untyped-call] # redis-py
            raise ReplicaError from error

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's own
        """Authenticates, selects the database, and names the connection if the account may."""
        super().on_connect_check_health(check_health)
        try:
            self.send_command("CLIENT", "SETNAME", CLIENT_NAME, check_health=False)  # type: ignore[no-untyped-call] # redis-py
            self.read_response()
        except NoPermissionError:  # the name is for readers of CLIENT LIST; nothing here needs one
            _log.debug("redis_connection_unnamed", advice="CLIENT SETNAME would name it in CLIENT LIST")


class LeavingConnection(_Leaving, Connection):
    """To a host, in the clear."""


class LeavingTlsConnection(_Leaving, SSLConnection):
    """To a host, over TLS."""


class LeavingSocketConnection(_Leaving, UnixDomainSocketConnection):
    """Through a Unix socket."""


class LeavingMasterConnection(_Leaving, SentinelManagedConnection):
    """To the master that sentinels name."""


class LeavingMasterTlsConnection(_Leaving, SentinelManagedSSLConnection):
    """The same over TLS."""


class FileCredentials(CredentialProvider):
    """A user and the password in a file, which is read for each connection and so may change while programs run.

    Args:
        path: of the file; blanks and line ends around the password are ignored.
        user: empty: the default user.
    """

    def __init__(self, path: str, user: str = "") -> None:
        self._path = Path(path)
        self._user = user

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """The current credentials.

        Raises:
            AuthenticationError: the file cannot be read, or is empty.
        """
        try:
            password = read_regular(self._path).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is no text"
            raise AuthenticationError(f"password file {self._path} cannot be read: {problem}") from error
        if not password:
            raise AuthenticationError(f"password file {self._path} is empty")
        return (self._user, password) if self._user else (password,)


class NamedSentinel(Sentinel):
    """Sentinels whose errors are sentences."""

    def discover_master(self, service_name: str) -> Any:
        """The master's address.

        Raises:
            MasterNotFoundError: no sentinel names a master; the message names the result of each.
        """
        try:
            return super().discover_master(service_name)  # type: ignore[no-untyped-call] # redis-py
        except MasterNotFoundError:
            raise MasterNotFoundError(self._told(service_name)) from None
        except ResponseError as error:
            raise MasterNotFoundError(f"sentinels refuse to tell: {error}") from error

    def _told(self, service_name: str) -> str:
        told: list[str] = []
        for sentinel in self.sentinels:
            where = "{host}:{port}".format_map(sentinel.connection_pool.connection_kwargs)
            try:
                known = sorted(map(str, sentinel.sentinel_masters()))
            except RedisError as error:
                wants = any(words in str(error) for words in _NO_PASSWORD)
                told.append(f"{where}: {'it wants a password; give sentinel_password_file' if wants else error}")
            else:
                told.append(f"{where}: knows {', '.join(known) or 'no master'}")
        return f"no sentinel names a master {service_name} that is up ({'; '.join(told)})"


class LazyCluster:
    """A cluster whose nodes are looked up on first use: the cluster may be down when a server starts.

    Args:
        nodes: initial nodes, any of which may name the others.
        options: for redis-py.
    """

    def __init__(self, nodes: list[ClusterNode], options: dict[str, Any]) -> None:
        self._nodes = nodes
        self._options = options
        self._cluster: RedisCluster | None = None

    def __getattr__(self, name: str) -> Any:
        """The attributes of the cluster's client.

        Raises:
            ConnectionError: no node reports a cluster.
        """
        if self._cluster is None:
            try:
                self._cluster = RedisCluster(startup_nodes=self._nodes, **self._options)
            except RedisClusterException as error:  # which is no RedisError
                raise ConnectionError(f"the cluster cannot be reached through these nodes: {error}") from error
        return getattr(self._cluster, name)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        if self._cluster is not None:
            self._cluster.close()
