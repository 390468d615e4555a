from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bench.workload import TENANT, make_workload
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined] # not among its types
from load.drive import Result
from load.http2 import Connection, ConnectionLost, questions
from load.paced import CHECK_CALL, Client, read_questions
from load.parts import middle
from load.prepare import SECRET, prepared
from load.report import Run, checks_of, save, write
from load.scenarios import SCENARIOS, challenging, write_questions
from server import DEADLINE, running_server
from waiting import until

from pdp.snapshots.disk import SnapshotStore
from pdp.transports.choice import Transport
from rightcall import v1

if TYPE_CHECKING:
    from server import Running

LOAD = Path(__file__).parents[1] / "load"
KEY = SECRET.encode()


@pytest.fixture(params=list(Transport)[1:], ids=lambda transport: transport.value)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Each transport in turn."""
    chosen: Transport = request.param
    return chosen


def _connections(running: Running, number: int, path: str = CHECK_CALL) -> list[Connection]:
    host, _, port = running.server.address.rpartition(":")
    return [Connection(host, int(port), path) for _ in range(number)]


def _decided(running: Running) -> float:
    """The calls that a server says it has answered."""
    labels = {"method": "CheckCall", "code": "OK"}
    return running.metrics.registry.get_sample_value("rightcall_grpc_requests_total", labels) or 0.0


def test_questions_are_those_of_the_scenario(tmp_path: Path) -> None:
    """What is written is what ghz reads, and what the client of our own does: every call of every scenario."""
    workload = make_workload(200, calls=50)
    file = tmp_path / "questions"
    for made in SCENARIOS.values():
        calls = made(workload)
        write_questions(calls, file)
        data, at, found = file.read_bytes(), 0, []
        while at < len(data):
            size, at = _DecodeVarint32(data, at)
            found.append(data[at : at + size])
            at += size
        assert list(read_questions(file)) == found
        asked = [v1.CheckCallRequest.FromString(one) for one in found]
        assert sorted((one.caller, one.extension, one.outcall) for one in asked) == sorted(map(tuple, calls))


def test_calls_that_should_be_challenged_are() -> None:
    """The scenario with passwords measures challenges, not something else."""
    workload = make_workload(200, calls=1)
    calls = challenging(workload)[:500]
    asked = [v1.CheckCallRequest(caller=call.caller, extension=call.extension) for call in calls]
    with running_server(workload.tenant) as running:
        answers = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=asked), timeout=DEADLINE).answers
    challenged = sum(answer.response.decision == v1.Decision.DECISION_CHALLENGE for answer in answers)
    assert challenged > len(calls) / 3


def test_prepared_rules_are_what_a_server_starts_from(tmp_path: Path) -> None:
    """The state directory holds the rules under a trusted pointer, each server has its own, and it is made once."""
    first = prepared(40, tmp_path)
    (stored,) = SnapshotStore(first.copy_state(tmp_path / "state"), [KEY]).load()
    pointer, snapshot, error = stored
    assert (error, pointer.tenant, pointer.permissions) == (None, TENANT, 40)
    assert snapshot is not None
    revisions = [snapshot.revision, *(edition.pointer.revision for edition in first.editions())]
    assert len({revision.digest for revision in revisions}) == len(revisions) > 2
    assert [revision.number for revision in revisions] == sorted(revision.number for revision in revisions)
    assert prepared(40, tmp_path).copy_state(tmp_path / "other").exists()
    (again,) = SnapshotStore(tmp_path / "other", [KEY]).load()
    assert again[0] == pointer


def test_every_question_is_asked_and_answered_once(transport: Transport) -> None:
    """The client counts as many answers as the server has given, on a schedule and without one, over any transport."""
    workload = make_workload(50, calls=100)
    requests = [v1.CheckCallRequest(caller=call.caller, extension=call.extension) for call in workload.calls]
    asked = questions(request.SerializeToString() for request in requests)
    with running_server(workload.tenant, transport=transport) as running:
        with Client(_connections(running, 3), asked) as scheduled:
            found = scheduled.summary(scheduled.paced(rate=1000, seconds=0.3))
        assert (found["sent"], found["failed"]) == (300, 0)
        assert 0 < found["p50"] <= found["p99"] <= found["p999"] <= found["slowest"]
        until(lambda: _decided(running) == 300, "the server has counted them")
        with Client(_connections(running, 2), asked) as eager:
            found = eager.summary(eager.full(in_flight=4, seconds=0.2))
        assert found["sent"] > 8
        assert found["failed"] == 0
        until(lambda: _decided(running) == 300 + found["sent"], "the server has counted them")


def test_calls_that_are_refused_have_failed(transport: Transport) -> None:
    """An error is no answer, however fast it comes: without a message, or of a method that is not there."""
    with running_server(make_workload(5, calls=1).tenant, transport=transport) as running:
        for path, request in ((CHECK_CALL, b"\xff"), (f"{CHECK_CALL}Not", b"")):
            with Client(_connections(running, 2, path), questions([request])) as client:
                found = client.summary(client.paced(rate=100, seconds=0.2))
            assert (found["sent"], found["failed"]) == (20, 20)


def test_waiting_is_measured_from_when_a_question_was_due() -> None:
    """A question that could only be sent later has waited all the while; one that was due too early does not count."""
    with running_server(make_workload(5, calls=1).tenant) as running:
        (connection,) = _connections(running, 1)
        with Client(
            [connection], questions([v1.CheckCallRequest(extension="1", outcall="1").SerializeToString()])
        ) as client:
            begun = client.paced(rate=100, seconds=0.1)
        connection.started[:] = [due - 60 for due in connection.started]
        found = client.summary(begun - 60)
        assert found["p50"] > 60
        assert client.summary(begun)["sent"] == 0


def test_what_speaks_no_http2_is_told() -> None:
    """A wrong port ends in an error that says so, not in figures."""
    with running_server(make_workload(5, calls=1).tenant) as running:
        host, _, port = running.server.http_address.rpartition(":")
        with pytest.raises(ConnectionLost, match="HTTP/2"):
            Connection(host, int(port), CHECK_CALL)


def _run(scenario: str, permissions: int, rate: float, **more: object) -> Run:
    result = Result(100, 0, rate, 1, 2, 3, 4)
    fields = {"server": "core", "mode": "closed", "offered": 0, "cpu": 20.0, **more}
    p99, failed = fields.pop("p99", 2), fields.pop("failed", 0)
    result = result._replace(p99=p99, failed=failed)  # type: ignore[arg-type] # a test knows
    return Run(scenario, permissions, result=result, **fields)  # type: ignore[arg-type] # likewise


def test_a_ratio_that_is_missed_is_told() -> None:
    """Throughput that a scenario or the number of rules takes away, waiting, and questions without an answer."""
    good = [_run("one caller", 10, 100), _run("hostile", 10, 90)]
    bad = [_run("one caller", 10, 100), _run("hostile", 10, 9, failed=1)]
    assert [check.met for check in checks_of("scenarios", good)] == [True, True]
    assert [check.met for check in checks_of("scenarios", bad)] == [False, False]

    def pair(core: float) -> list[Run]:
        grpcio = _run("realistic", 10, 2e3, server="grpcio", mode="open", offered=2_000, p99=2.0)
        return [_run("realistic", 10, 1e4, mode="open", offered=10_000, p99=core), grpcio]

    assert [check.met for check in checks_of("latency", pair(1.0))] == [True, True]
    assert [check.met for check in checks_of("latency", pair(1.9))] == [True, False]
    for rate, met in ((95.0, True), (80.0, False)):
        sized = [_run("realistic", size, of, mode="full") for size, of in ((10, 100.0), (1000, rate))]
        assert [check.met for check in checks_of("sizes", sized)] == [True, met]


def test_of_several_rounds_the_median_counts(tmp_path: Path) -> None:
    """One disturbed round does not decide, and every part has its table and its picture."""
    rounds = [
        _run("realistic", 10, rate, mode="open", offered=10_000, p99=p99) for rate, p99 in ((9, 1), (8, 70), (10, 2))
    ]
    (only,) = middle(rounds)
    assert (only.result.rate, only.result.p99, only.result.sent) == (9, 2, 300)
    save(tmp_path, "latency", [only], checks_of("latency", [only]))
    sized = [
        _run("realistic", size, 9, mode=mode, offered=100) for size in (10, 20) for mode in ("full", "closed", "open")
    ]
    save(tmp_path, "sizes", sized, checks_of("sizes", sized))
    page = write(tmp_path)
    assert "| realistic | core | open | 10 | 10,000 | 9 |" in page
    assert all((tmp_path / f"{part}.png").stat().st_size > 1000 for part in ("latency", "sizes"))


def test_a_short_run_reports(tmp_path: Path) -> None:
    """The whole thing once, small: a real server, ghz, the client of our own, rules that change, all files."""
    options = ["--parts", "scenarios", "sizes", "--transports", "core", "--permissions", "50", "--sizes", "50"]
    options += ["--seconds", "0.1", "--rounds", "1", "--output", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, LOAD / "run.py", *options], capture_output=True, text=True, check=False, timeout=120
    )
    assert (tmp_path / "load.md").exists(), done.stderr
    report = json.loads((tmp_path / "scenarios.json").read_text())
    assert len(report["runs"]) == 3 * (len(SCENARIOS) + 1)
    assert [run for run in report["runs"] if run["result"]["failed"] or not run["result"]["sent"]] == []
    assert (tmp_path / "scenarios.png").stat().st_size > 1000
    page = (tmp_path / "load.md").read_text()
    assert "| hostile | core | closed | 50 |" in page
    assert "| realistic | core | full | 50 |" in page
