"""Any sequence of edits, losses, damage, replays, restarts and broken clocks, against a real Redis and a small model.

No sequence makes a server let a call through that the rules of the manifest that it follows deny, take older rules than
it had, or be ready without a tenant; and when the harm is over, the loader's next looks put everything right.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

from followers import Replica, loader_to
from given import KEY, GivenSource, denying
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from loader.publishing import listing, publish
from pdp.rules.publication.keys import Keys
from pdp.snapshots.disk import SnapshotStore

if TYPE_CHECKING:
    from redis import Redis
    from redis_server import RedisServer

KEYS = Keys()
TENANTS = [f"{number:08x}-0000-4000-8000-00000000000a" for number in range(3)]
CALLERS = [f"{number:08x}-0000-4000-8000-00000000000b" for number in range(3)]
EXTENSIONS = ("117", "118", "119")
TEN_YEARS = 10 * 365 * 86400 * 10**9
which = st.integers(0, len(TENANTS) - 1)


class Server:
    """A server whose follower looks when it is told to, in this very thread."""

    def __init__(self, redis: RedisServer, directory: Path | None) -> None:
        self._redis = redis
        self._directory = directory
        self.start()

    def start(self) -> None:
        """Starts anew: what it knew is gone, but for its state directory."""
        self.stop()
        store = SnapshotStore(self._directory, (KEY,)) if self._directory else None
        self.replica = Replica(self._redis.url, store=store)
        follower = self.replica.follower
        with patch.object(follower, "_thread"):
            follower.start()
        self.numbers: dict[str, int] = {}
        self.ready_before = self.replica.current.ready

    def stop(self) -> None:
        """Closes its connections."""
        if hasattr(self, "replica"):
            self.replica.follower._client.close()

    def look(self) -> None:
        """One look at everything; what was refused a moment ago is looked at again."""
        self.replica.follower._uptake.look_again()
        self.replica.follower._check_all()


class Machine(RuleBasedStateMachine):
    """The world."""

    servers = Bundle("servers")
    redis: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self._end = ExitStack()
        self._client: Redis = self._end.enter_context(self.redis.client())
        self._client.flushall()
        self._source = GivenSource()
        self._rules: dict[tuple[str, str], str] = {}
        """By tenant and revision, the extension that it denies."""
        self._running: list[Server] = []
        self._pointers: list[tuple[str, bytes]] = []
        self._days: list[dict[bytes, bytes]] = []
        self._shift = 0

    @initialize(target=servers)
    def begin(self) -> Server:
        """One tenant, a loader, and a server with nothing but its memory."""
        self._source.tenants = (denying("118", tenant=TENANTS[0], user=CALLERS[0]),)
        self._loader = loader_to(self.redis, self._source)
        return self._started(None)

    @rule(target=servers, keeps=st.booleans())
    def start_server(self, *, keeps: bool) -> Server:
        """Another server, with a state directory or without."""
        kept = Path(self._end.enter_context(tempfile.TemporaryDirectory())) if keeps else None
        return self._started(kept)

    @rule(number=which, extension=st.sampled_from(EXTENSIONS))
    def edit(self, number: int, extension: str) -> None:
        """A tenant denies this from now on; it comes, if it was not there."""
        others = [one for one in self._source.tenants if one.uuid != TENANTS[number]]
        self._source.tenants = (*others, denying(extension, tenant=TENANTS[number], user=CALLERS[number]))

    @rule(number=which)
    def remove(self, number: int) -> None:
        """A tenant goes at the source."""
        self._source.tenants = tuple(one for one in self._source.tenants if one.uuid != TENANTS[number])

    @rule()
    def load(self) -> None:
        """A cycle of the loader."""
        real = time.time_ns
        clock = SimpleNamespace(time_ns=lambda: real() + self._shift, time=time.time)
        with patch.object(publish, "time", clock), patch.object(listing, "time", clock):
            report = self._loader.sync()
        for published in report.published:
            denied = next(one for one in self._source.tenants if one.uuid == published.tenant)
            self._rules[published.tenant, str(published.revision)] = denied.call_permissions[0].extensions[0]
        found = cast("dict[bytes, bytes]", self._client.hgetall(KEYS.pointers))
        self._pointers += [(name.decode(), raw) for name, raw in found.items()]

    @rule()
    def restart_loader(self) -> None:
        """It forgets what it had published."""
        self._forget_loader()
        self._loader = loader_to(self.redis, self._source)

    @rule(shift=st.sampled_from([0, TEN_YEARS, -TEN_YEARS]))
    def set_clock(self, shift: int) -> None:
        """The loader's clock jumps."""
        self._shift = shift

    @rule(server=servers)
    def look(self, server: Server) -> None:
        """A server looks."""
        server.look()

    @rule(server=servers)
    def restart(self, server: Server) -> None:
        """A server starts anew."""
        server.start()

    @rule(number=which)
    def lose_pointer(self, number: int) -> None:
        """Redis evicts it, or somebody deletes it."""
        self._client.hdel(KEYS.pointers, TENANTS[number])

    @rule(number=which, how=st.sampled_from(["lose", "cut", "flip", "type"]))
    def harm_blob(self, number: int, how: str) -> None:
        """A blob is gone, cut short, damaged inside, or something else."""
        for key in self._client.keys(f"rightcall:snapshot:{{{TENANTS[number]}}}:*"):
            if how == "flip" and self._client.type(key) == b"string":
                self._client.setrange(key, 300, b"\xff\x00\xff")
            elif how == "cut" and self._client.type(key) == b"string":
                self._client.set(key, self._client.getrange(key, 0, 99))
            elif how in ("lose", "type"):
                self._client.delete(key)
                if how == "type":
                    self._client.rpush(key, "no string")

    @precondition(lambda self: self._pointers)
    @rule(data=st.data())
    def replay_pointer(self, data: st.DataObject) -> None:
        """One of another day is put back; or another tenant's, under this one's name."""
        tenant, raw = data.draw(st.sampled_from(self._pointers))
        self._client.hset(KEYS.pointers, data.draw(st.sampled_from([tenant, *TENANTS])), raw)

    @rule(how=st.sampled_from(["lose", "damage"]))
    def harm_manifest(self, how: str) -> None:
        """The manifest is gone, or damaged."""
        raw = self._client.get(KEYS.manifest)
        if how == "lose":
            self._client.delete(KEYS.manifest)
        elif raw:
            self._client.set(KEYS.manifest, raw[:-5])

    @rule()
    def back_up(self) -> None:
        """All of today is put aside."""
        dumped = {key: self._client.dump(key) for key in cast("list[bytes]", self._client.keys("*"))}
        self._days.append({key: value for key, value in dumped.items() if value})

    @precondition(lambda self: self._days)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        """All of another day is put back."""
        self._client.flushall()
        for key, dumped in data.draw(st.sampled_from(self._days)).items():
            self._client.restore(key, 0, dumped)

    @rule()
    def flush(self) -> None:
        """Redis loses everything."""
        self._client.flushall()

    @invariant()
    def no_server_goes_wrong(self) -> None:
        """See the head of this file."""
        for server in self._running:
            known = server.replica.follower._listing._known
            held = {one.snapshot.tenant: one.snapshot.revision for one in server.replica.current.held()}
            ready = server.replica.current.ready
            for tenant, revision in held.items():
                before = server.numbers.get(tenant, 0)
                assert revision.number >= before, "never older than what it had"
                if revision.number > before:
                    server.numbers[tenant] = revision.number
            if known is None:
                assert not ready
                assert not held
                continue
            for tenant, caller in zip(TENANTS, CALLERS, strict=True):
                listed = known.tenants.get(tenant)
                gone = server.replica.follower._uptake.gone.get(tenant, 0)
                if listed is None or not listed.has_rules or gone > listed.serial:
                    continue
                answers = {server.replica.answer(caller, extension) for extension in EXTENSIONS}
                if tenant not in held:
                    assert answers <= {"TenantsMissing", "NotReady"}, "no call of a tenant that is missing gets through"
                    if listed.serial:
                        assert not ready or tenant in server.numbers or server.ready_before, "ready with all alone"
                elif str(held[tenant]) == listed.revision and (tenant, listed.revision) in self._rules:
                    denied = self._rules[tenant, listed.revision]
                    assert server.replica.answer(caller, denied) == "DENY"
            server.ready_before = ready

    def teardown(self) -> None:
        """The harm is over: what is wrong inside a blob an operator takes away, and the loader does the rest."""
        with self._end:
            self._shift = 0
            self._client.hdel(KEYS.pointers, *TENANTS)
            for _ in range(3):
                self.load()
                for server in self._running:
                    server.look()
            self.no_server_goes_wrong()
            for server in self._running:
                self._is_right(server)
                server.stop()
            self._forget_loader()

    def _is_right(self, server: Server) -> None:
        """A server has what the source says, and nothing to complain of."""
        assert server.replica.current.source_error == ""
        for one in self._source.tenants:
            assert server.replica.current.get(one.uuid)
            assert server.replica.answer(one.users[0].uuid, one.call_permissions[0].extensions[0]) == "DENY"
        assert server.replica.current.ready or not self._source.tenants

    def _forget_loader(self) -> None:
        publisher = self._loader._publisher
        assert isinstance(publisher, publish.RedisPublisher)
        publisher._client.close()

    def _started(self, directory: Path | None) -> Server:
        server = Server(self.redis, directory)
        self._running.append(server)
        return server


def test_no_sequence_opens_a_line_or_makes_a_server_ready_without_a_tenant(redis: RedisServer) -> None:
    """Some of them, drawn anew with each run; RIGHTCALL_MODEL_RUNS says how many."""

    class Drawn(Machine):
        """On this Redis."""

    Drawn.redis = redis
    runs = int(os.environ.get("RIGHTCALL_MODEL_RUNS", "40"))
    checked = settings(
        max_examples=runs, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Drawn, settings=checked)
