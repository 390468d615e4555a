"""Tenants with faults: closed where nothing good was ever there, else as they were, and never open by mistake."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from followers import publisher_to, replica
from given import ACME, ALICE, BOB, BOLT, KEY
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import booleans, sampled_from
from redis_server import running_redis
from server import DEADLINE, running_server
from structlog.testing import capture_logs
from waiting import until
from ways import Told, every_way

from loader.cycle import Synchronizer
from loader.sources.file import FileSource
from pdp.errors import CallError
from pdp.rules.model import PasswordOverride
from pdp.services.decisions import DecisionService
from rightcall import Client, TenantClosed, v1
from rightcall.programs.local import Local
from rightcall.programs.reports import ReportLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_server import RedisServer

STRANGER = "7e57ab1e-0000-4000-8000-000000000000"
CLOSED = Told("FAILED_PRECONDITION")
BAD = {"id": 9, "extensions": ["_0[0-9"], "users": [BOB]}


def tenant(uuid: str, user: str, *permissions: dict[str, object], **more: object) -> dict[str, object]:
    """A tenant of a document."""
    users = [{"uuid": user, "aliases": ["desk " + uuid[:4]]}]
    return {"uuid": uuid, "users": users, "outcalls": [{"id": uuid[:2]}], "call_permissions": [*permissions], **more}


def deny(*extensions: str, user: str = BOB) -> dict[str, object]:
    """A permission that denies."""
    return {"id": 1, "name": "no", "extensions": [*extensions], "users": [user]}


def write(directory: Path, name: str, *tenants: dict[str, object]) -> None:
    """A document of a directory."""
    (directory / f"{name}.json").write_text(json.dumps({"tenants": tenants}), encoding="utf-8")


def call(extension: str, caller: str = BOB, outcall: str = "", tenant_uuid: str = "") -> v1.CheckCallRequest:
    """A request."""
    return v1.CheckCallRequest(caller=caller, extension=extension, outcall=outcall, tenant=tenant_uuid)


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    """Acme is good; bolt has a typing error, and emergency numbers."""
    directory = tmp_path / "definitions"
    directory.mkdir()
    write(directory, "a", tenant(ACME, ALICE, deny("_!", user=ALICE)))
    write(directory, "b", tenant(BOLT, BOB, deny("_!"), BAD, emergency={"numbers": ["112"]}))
    return directory


def test_a_tenant_that_was_never_good_is_closed_on_every_way(definitions: Path) -> None:
    """By its callers, their aliases, its outcalls and its name; not for emergency numbers. Others are as ever."""
    desk, denied = "desk " + BOLT[:4], Told("", "DENY", "USER", "PERMISSION", caller_known=True)
    emergency = Told("", "ALLOW", "EMERGENCY", "EMERGENCY", caller_known=True)
    cases = [
        (call("0900"), CLOSED),
        (call("0900", desk), CLOSED),
        (call("0900", "", BOLT[:2]), CLOSED),
        (call("0900", STRANGER, "", BOLT), CLOSED),
        (call("112"), emergency),
        (call("0900", "nobody"), Told("INVALID_ARGUMENT")),
        (call("0900", ALICE), denied),
        (call("0900", STRANGER), Told("", "ALLOW", "NONE", "NO_PERMISSION")),
    ]
    with closing(Local(str(definitions))) as local:
        local.load()
        with running_server(current=local.current) as running:
            found = every_way(running, [asked for asked, _ in cases])
            with pytest.raises(grpc.RpcError) as refused:
                running.decisions.CheckCall(call("0900"), timeout=DEADLINE)
            with pytest.raises(grpc.RpcError) as directory:
                running.directory.ListReach(v1.ListReachRequest(caller=BOB), timeout=DEADLINE)
            status = running.directory.GetStatus(v1.GetStatusRequest(), timeout=DEADLINE)
            closed = running.metrics.registry.get_sample_value("rightcall_closed_tenants")
            reason = running.server._readiness().reason

    for way, answers in found.items():
        assert (way, answers) == (way, [wanted for _, wanted in cases])
    assert f"tenant {BOLT} is closed: its definitions have 1 fault" in str(refused.value.details())
    assert directory.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert {one.tenant: one.closed_faults for one in status.tenants} == {ACME: 0, BOLT: 1}
    assert closed == 1
    assert "2 tenants (1 closed by faults)" in reason


def test_faults_are_isolated_where_that_is_asked_for(definitions: Path) -> None:
    """A faulty deny denies everything to those whom it names, a faulty allow nothing; what is sound counts."""
    allow = {"id": 3, "mode": "allow", "extensions": ["_0[8"], "users": [BOB]}
    off = {"id": 4, "enabled": False, "extensions": ["_0[8"], "users": [BOB]}
    sound = {"id": 5, "mode": "allow", "extensions": ["118"], "users": [BOB]}
    write(definitions, "b", tenant(BOLT, BOB, allow, off, sound, emergency={"numbers": ["112"]}))
    service_found = []
    for permissions in ((allow, off, sound), (allow, off, sound, BAD)):
        write(definitions, "b", tenant(BOLT, BOB, *permissions, emergency={"numbers": ["112"]}))
        with closing(Local(str(definitions), isolate_faults=True)) as local:
            report = local.load()
            service = DecisionService(local.current, local.metrics)
            decided = [service.check_call(call(extension)) for extension in ("0800", "118", "112")]
        service_found.append([v1.Decision.Name(one.decision).removeprefix("DECISION_") for one in decided])
        assert report.isolated == (BOLT,)

    assert service_found == [["ALLOW", "ALLOW", "ALLOW"], ["DENY", "ALLOW", "ALLOW"]]


def test_the_log_tells_tenants_that_are_closed_from_those_that_keep_their_rules(definitions: Path) -> None:
    """And from those whose faulty permissions alone are closed; nothing is said to be kept that never was there."""
    told = []
    for isolate in (False, True):
        with closing(Local(str(definitions), isolate_faults=isolate)) as local, capture_logs() as log:
            tell = ReportLog()
            tell(local.load())
            write(definitions, "a", tenant(ACME, ALICE, BAD | {"users": [ALICE]}))
            tell(local.loader.load())
            write(definitions, "a", tenant(ACME, ALICE, deny("_!", user=ALICE)))
        told.append([(one["event"], one["tenants"]) for one in log if one["event"].startswith("tenants_")])

    kept = [("tenants_closed", [BOLT]), ("tenants_kept_as_they_were", [ACME]), ("tenants_closed", [BOLT])]
    assert told == [kept, [("tenants_isolated", [BOLT]), ("tenants_isolated", [ACME, BOLT])]]


def test_a_file_that_cannot_be_read_at_the_start_opens_no_line(definitions: Path) -> None:
    """Its tenants are not known, so whoever is not known here may be theirs; nobody at all is still nobody."""
    (definitions / "b.json").write_text('{"tenants": [', encoding="utf-8")
    with closing(Local(str(definitions))) as local:
        local.load()
        with running_server(current=local.current) as running:
            before = every_way(running, [call("0900"), call("0900", "", "x"), call("0900", "")])
            write(definitions, "b", tenant(BOLT, BOB, deny("_!")))
            local.loader.load()
            after = every_way(running, [call("0900"), call("0900", STRANGER)])

    away, allowed = Told("UNAVAILABLE"), Told("", "ALLOW", "NONE", "NO_PERMISSION")
    denied = Told("", "DENY", "USER", "PERMISSION", caller_known=True)
    assert before == {way: [away, away, allowed] for way in before}
    assert after == {way: [denied, allowed] for way in after}


def test_a_tenant_defined_twice_is_closed_for_all_in_either(definitions: Path) -> None:
    """Nobody can tell which of the two is meant."""
    write(definitions, "b", tenant(BOLT, BOB))
    write(definitions, "c", tenant(BOLT, STRANGER))
    with closing(Local(str(definitions))) as local:
        local.load()
        service = DecisionService(local.current, local.metrics)
        for caller in (BOB, STRANGER):
            with pytest.raises(CallError, match="is closed"):
                service.check_call(call("0900", caller))


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A Redis."""
    yield from running_redis()


def test_over_redis_a_closed_tenant_is_closed_and_never_takes_good_rules_away(
    redis: RedisServer, definitions: Path
) -> None:
    """Fresh servers close it; a server that has good rules keeps them, even when Redis and the loader forgot them."""

    def loader() -> Synchronizer:
        return Synchronizer(
            FileSource(str(definitions)), publisher_to(redis), secret=KEY, password_override=PasswordOverride.ALL
        )

    redis.client().flushall()
    write(definitions, "b", tenant(BOLT, BOB, deny("_0900.")))
    loader().sync()
    with replica(redis.url) as old:
        until(lambda: old.denies("09001", BOLT, BOB), "the good rules are here")
        write(definitions, "b", tenant(BOLT, BOB, deny("_0900."), BAD))
        redis.client().flushall()
        report = loader().sync()
        with replica(redis.url) as fresh:
            until(lambda: fresh.current.get(BOLT) is not None, "the fresh one has it")
            closed = fresh.current.get(BOLT)
            until(lambda: old.reloads("success") >= 2, "the old one has looked")
            kept = old.denies("09001", BOLT, BOB)
            write(definitions, "b", tenant(BOLT, BOB, deny("_0800.")))
            loader().sync()
            until(lambda: fresh.denies("08001", BOLT, BOB) and old.denies("08001", BOLT, BOB), "the mended rules count")

    assert report.closed == (BOLT,)
    assert closed is not None
    assert closed.snapshot.closed == 1
    assert kept


class Faults(RuleBasedStateMachine):
    """Edits, faults, outages and restarts of an embedded server, against a model of what must be in force."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="rightcall-test-"))
        self.definitions = self.directory / "definitions"
        self.definitions.mkdir()
        self.local: Local | None = None
        self.written: tuple[str, str] = ("good", "0900")
        self.force = ""
        """What the rules in force deny to bob; or ``closed``, ``gone``, ``missing``."""
        self.kept = ""
        self.whole = False

    @initialize(keeps=booleans())
    def begin(self, keeps: bool) -> None:  # noqa: FBT001 - hypothesis names it
        """A server with or without a state directory."""
        self.keeps = keeps
        write(self.definitions, "a", tenant(ACME, ALICE))
        self._write()
        self.restart()

    def _write(self) -> None:
        kind, number = self.written
        if kind == "unreadable":
            (self.definitions / "b.json").write_text("{", encoding="utf-8")
        elif kind == "gone":
            (self.definitions / "b.json").unlink(missing_ok=True)
        else:
            faults = [BAD] if kind == "faulty" else []
            write(self.definitions, "b", tenant(BOLT, BOB, deny(number), *faults))

    @rule(kind=sampled_from(["good", "faulty", "unreadable", "gone"]), number=sampled_from(["0900", "0800"]))
    def edit(self, kind: str, number: str) -> None:
        """Somebody writes the definitions, well or not, and the server looks at them."""
        self.written = kind, number
        self._write()
        assert self.local is not None
        self.local.loader.load()
        self._look()

    @rule()
    def restart(self) -> None:
        """The process ends, and another one begins."""
        if self.local is not None:
            self.local.close()
        self.force, self.whole = (self.kept if self.keeps else ""), False
        self.local = Local(
            str(self.definitions), secret=KEY, state_dir=self.directory / "state" if self.keeps else None
        )
        self.local.load()
        self._look()

    def _look(self) -> None:
        """What the model makes of what is written."""
        kind, number = self.written
        has_rules = self.force in ("0900", "0800")
        if kind == "good":
            self.force = self.kept = number
        elif kind == "faulty" and not has_rules:
            self.force = "closed"
        elif kind == "unreadable" and not self.force:
            self.force = "missing"
        elif kind == "gone":
            self.force, self.kept = "gone", ""
        self.whole = self.whole or kind != "unreadable"

    @invariant()
    def the_rules_in_force_are_those_of_the_model(self) -> None:
        """Above all: no denial becomes an allowance by itself."""
        if self.local is None:
            return
        service = DecisionService(self.local.current, self.local.metrics)
        found = {}
        for number in ("0900", "0800"):
            try:
                found[number] = v1.Decision.Name(service.check_call(call(number)).decision)
            except CallError as error:
                found[number] = error.code.name
        if self.force == "closed":
            wanted = dict.fromkeys(found, "FAILED_PRECONDITION")
        elif self.force == "missing" and not self.whole:
            wanted = dict.fromkeys(found, "UNAVAILABLE")
        else:
            wanted = {number: "DECISION_DENY" if number == self.force else "DECISION_ALLOW" for number in found}
        assert found == wanted

    def teardown(self) -> None:
        """Leaves nothing behind."""
        if self.local is not None:
            self.local.close()
        shutil.rmtree(self.directory, ignore_errors=True)


Faults.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestFaults = Faults.TestCase


def test_the_client_library_tells_a_closed_tenant_from_rules_that_are_behind(definitions: Path) -> None:
    """There may be an answer once the definitions are repaired."""
    with closing(Local(str(definitions))) as local:
        local.load()
        with (
            running_server(current=local.current) as running,
            Client(running.server.address) as client,
            pytest.raises(TenantClosed, match="is closed"),
        ):
            client.check(caller=BOB, extension="0900")
