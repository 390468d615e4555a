"""Redis for the checks: read-only."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from pdp.rules.errors import SnapshotError
from pdp.rules.publication.keys import Keys, without_credentials
from pdp.rules.publication.pointer import Pointer
from rightcall.doctor.findings import NotExamined
from rightcall.doctor.place import Place, TlsFiles
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.rules.publication.keys import Scope

_BATCH: Final = 500
"""Number of snapshots that are read together."""
HEAD_SIZE: Final = 12
"""Bytes of a snapshot up to the format version."""


class Pointers(NamedTuple):
    """The content of the hash of pointers.

    Attributes:
        good: the pointers by tenant, including removed tenants.
        bad: why a pointer cannot be used, by tenant.
    """

    good: dict[str, Pointer]
    bad: dict[str, str]

    @property
    def current(self) -> dict[str, Pointer]:
        """The pointers of existing tenants."""
        return {tenant: pointer for tenant, pointer in self.good.items() if not pointer.removed}


class RedisPart:
    """A Redis, through the account of the URL.

    Args:
        url: as in ``rightcall.redis_url``.
        scope: deployment and prefix of every key.
        secrets: the deployment's keys; none: signatures are not checked.
        seconds: timeout of a response.

    Attributes:
        name: the server's name in messages, without credentials.

    Raises:
        RedisUrlError: the URL cannot be read.
    """

    def __init__(self, url: str, *, scope: Scope, secrets: Sequence[bytes], seconds: float) -> None:
        self.name = without_credentials(url)
        self.keys = Keys(scope.prefix)
        self.scope = scope
        self.secrets = tuple(secrets)
        self._url = urlsplit(url)
        self._seconds = seconds
        self._client = open_redis(url, answer_timeout=seconds)

    @property
    def tls(self) -> bool:
        """Whether the URL asks for TLS."""
        return self._url.scheme.startswith("rediss")

    @property
    def is_several(self) -> bool:
        """Whether the URL has more than one address."""
        return "+" in self._url.scheme

    @property
    def is_cluster(self) -> bool:
        """Whether the URL is a cluster's."""
        return self._url.scheme.endswith("cluster")

    @property
    def place(self) -> Place:
        """The address of the only server.

        Raises:
            NotExamined: there is more than one address.
        """
        if self._url.scheme == "unix":
            return Place(f"unix:{self._url.path}", self._seconds)
        if self.is_several:
            raise NotExamined("of sentinels and clusters there is more than one address")
        return Place(f"{self._url.hostname or 'localhost'}:{self._url.port or 6379}", self._seconds)

    @property
    def files(self) -> TlsFiles:
        """The URL's files for TLS."""
        given = {name: values[-1] for name, values in parse_qs(self._url.query).items()}
        return TlsFiles(given.get("ssl_ca_certs"), given.get("ssl_certfile"), given.get("ssl_keyfile"))

    @cached_property
    def trouble(self) -> Exception | None:
        """The error of the first connection; None: Redis responds."""
        try:
            self._client.ping()
        except NoPermissionError:
            return None
        except (RedisError, OSError) as error:
            return error
        return None

    @property
    def refused(self) -> bool:
        """Whether Redis responds and rejects the credentials."""
        trouble = self.trouble
        return isinstance(trouble, AuthenticationError) or (
            isinstance(trouble, ResponseError) and str(trouble).startswith(("NOAUTH", "WRONGPASS"))
        )

    def information(self, section: str) -> dict[str, Mapping[str, Any]]:
        """A section of ``INFO``, by node.

        Raises:
            NotExamined: this account lacks the right.
        """
        try:
            if self.is_cluster:
                answer: Any = self._client.info(section, target_nodes="primaries")
                return cast("dict[str, Mapping[str, Any]]", answer)
            return {self.name: cast("Mapping[str, Any]", self._client.info(section))}
        except NoPermissionError:
            raise NotExamined("this account may not ask (INFO)") from None

    @cached_property
    def user(self) -> str:
        """The account of the connection.

        Raises:
            NotExamined: the account may not ask for the own name, or this Redis has no accounts.
        """
        return self._asked("ACL WHOAMI")

    def may(self, *command: str) -> str:
        """The error that a command of this account would get, without running the command; empty: permitted.

        Raises:
            NotExamined: the account lacks the right to ask.
        """
        answer = self._asked("ACL DRYRUN", self.user, *command)
        return "" if answer == "OK" else answer

    def pointers(self) -> Pointers:
        """The current pointers.

        Raises:
            RedisError: Redis cannot be read.
        """
        found = cast("dict[bytes, bytes]", self._client.hgetall(self.keys.pointers))
        pointers = Pointers({}, {})
        for name, raw in found.items():
            tenant = name.decode("utf-8", "replace")
            try:
                pointers.good[tenant] = Pointer.load(tenant, raw, self.secrets, self.scope)
            except SnapshotError as error:
                pointers.bad[tenant] = str(error)
        return pointers

    @cached_property
    def first_pointers(self) -> Pointers:
        """The pointers at the first reading.

        Raises:
            RedisError: Redis cannot be read.
        """
        return self.pointers()

    def heads(self, pointers: Sequence[Pointer]) -> list[bytes]:
        """The first bytes of the snapshots of these pointers; empty for a missing snapshot.

        Raises:
            RedisError: Redis cannot be read.
        """
        heads: list[bytes] = []
        for start in range(0, len(pointers), _BATCH):
            pipeline = self._client.pipeline(transaction=False)
            for pointer in pointers[start : start + _BATCH]:
                pipeline.getrange(self.keys.snapshot(pointer.tenant, pointer.revision.number), 0, HEAD_SIZE - 1)
            heads += pipeline.execute()
        return heads

    def leader(self) -> tuple[str, int]:
        """The holder of the lease, empty without one, and the milliseconds left, -1 for ever.

        Raises:
            RedisError: the lease cannot be read.
        """
        holder = cast("bytes | None", self._client.get(self.keys.leader)) or b""
        left = self._client.pttl(self.keys.leader)
        return holder.partition(b" ")[2].decode("utf-8", "replace"), left

    def clock(self) -> tuple[float, float, float]:
        """The local time before, the time of Redis, and the local time after, in Unix time.

        Raises:
            RedisError: Redis does not report the time.
        """
        before = time.time()
        seconds, microseconds = self._client.time()
        return before, seconds + microseconds / 1e6, time.time()

    def close(self) -> None:
        """Ends the connections."""
        with self._client:
            pass

    def _asked(self, *command: str) -> str:
        try:
            answer = self._client.execute_command(*command)  # type: ignore[no-untyped-call] # redis-py
        except ResponseError as error:
            raise NotExamined(f"this account may not ask ({command[0]})") from error
        return answer.decode() if isinstance(answer, bytes) else str(answer)
