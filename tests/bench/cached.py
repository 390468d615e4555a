"""Compiled rules of a size, as the load tests prepare them once: a million permissions take minutes and gigabytes."""

from __future__ import annotations

import dataclasses
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from load.paced import read_questions
from load.prepare import SECRET, prepared
from redis_server import free_port

from bench.workload import TENANT
from loader.publishing.publish import PublishedState, RedisPublisher
from pdp.rules.model import Decision
from pdp.rules.publication.keys import without_credentials
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode
from rightcall.redis_url import open_redis
from rightcall.v1 import decision_pb2 as messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_server import RedisServer

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".bench" / "rules"
KEY: Final = SECRET.encode()
_ANSWER_SECONDS: Final = 120
"""For Redis to take hundreds of megabytes."""


class Rules:
    """A tenant of the benchmarks, compiled, and what it is asked.

    Args:
        permissions: how many it has; it has as many users.

    Attributes:
        questions: a file of requests: callers and numbers as they come, half of which meet a permission.

    Raises:
        load.prepare.NotEnoughMemory: it is not there, and cannot be compiled.
    """

    def __init__(self, permissions: int) -> None:
        self.permissions = permissions
        self._prepared = prepared(permissions, CACHE)
        self._state = self._prepared.directory / "state"
        self.questions = self._prepared.questions("realistic")

    @property
    def path(self) -> Path:
        """The file of its snapshot."""
        (found,) = self._state.glob("*.snapshot")
        return found

    @contextmanager
    def state(self) -> Iterator[tuple[str, ...]]:
        """The options of a server that starts from these rules on disk, while Redis is away."""
        with tempfile.TemporaryDirectory(prefix="state-", dir=CACHE.parent) as directory:
            state = self._prepared.copy_state(Path(directory, "state"))
            yield "--redis", f"redis://127.0.0.1:{free_port()}/0", "--state-dir", str(state)

    def requests(self) -> list[bytes]:
        """What is in ``questions``."""
        return list(read_questions(self.questions))

    def plain_request(self) -> bytes:
        """One that a permission denies, without a password: neither the shortest way to an answer nor the longest."""
        snapshot = decode(self.path.read_bytes())
        for request in self.requests():
            call = messages.CheckCallRequest.FromString(request)
            if snapshot.decide(call.caller, call.extension, call.outcall).decision is Decision.DENY:
                return request
        raise LookupError("no call is denied")

    def revisions(self) -> list[tuple[Pointer, Path]]:
        """What can be published one after the other: the rules, then later editions of them."""
        later = sorted((self._prepared.directory / "editions").glob("*.snapshot"))
        pointers = [self._state / f"{TENANT}.pointer", *(path.with_suffix(".pointer") for path in later)]
        loaded = [Pointer.load(TENANT, path.read_bytes(), [KEY]) for path in pointers]
        return list(zip(loaded, [self.path, *later], strict=True))


class Published:
    """Rules in Redis, and all their editions, to be swapped for each other.

    Args:
        redis: where.
        rules: which.
        editions: how many; None: all.
    """

    def __init__(self, redis: RedisServer, rules: Rules, editions: int | None = None) -> None:
        self._client = open_redis(redis.url, answer_timeout=_ANSWER_SECONDS)
        self._publisher = RedisPublisher(self._client, without_credentials(redis.url), secret=KEY, keep=100)
        self._revisions = rules.revisions()[:editions]
        for pointer, path in self._revisions:
            self._publisher.publish(pointer, path.read_bytes(), self._standing())
        self._publisher.list_tenants({TENANT: 0}, complete=True)  # servers take no tenant that the list does not have
        self._swaps = len(self._revisions) - 1

    def swap(self) -> Pointer:
        """Moves the pointer to the next edition, the first one after the last; returns it."""
        self._swaps += 1
        pointer, _ = self._revisions[self._swaps % len(self._revisions)]
        standing = self._standing()
        moved = dataclasses.replace(pointer, serial=standing.next_serial())
        self._publisher.move(moved, standing)
        self._publisher.list_tenants({TENANT: 0}, complete=True)
        return moved

    def close(self) -> None:
        """Lets go of Redis."""
        self._client.close()

    def _standing(self) -> PublishedState:
        return self._publisher.standing().get(TENANT, PublishedState())
