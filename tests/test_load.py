from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.workload import TENANT, make_workload
from definitions import tenants_from
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined] # not among its types
from load.drive import Result
from load.report import Run, thresholds
from load.scenarios import SCENARIOS, challenging, write_definitions, write_questions
from server import DEADLINE, running_server

from rightcall import v1

LOAD = Path(__file__).parent / "load"


def _questions(path: Path) -> list[v1.CheckCallRequest]:
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        size, at = _DecodeVarint32(data, at)
        found.append(v1.CheckCallRequest.FromString(data[at : at + size]))
        at += size
    return found


def test_definitions_and_questions_are_those_of_the_rules(tmp_path: Path) -> None:
    """What is written can be read back: a tenant, and every call of every scenario."""
    workload = make_workload(200, calls=50)
    write_definitions(workload.tenant, tmp_path / "bench.json")
    (tenant,) = tenants_from(json.loads((tmp_path / "bench.json").read_text()))
    assert tenant.uuid == TENANT
    assert tenant.call_permissions[1:] == workload.tenant.call_permissions[1:]
    for made in SCENARIOS.values():
        calls = made(workload)
        write_questions(calls, tmp_path / "questions")
        asked = [(one.caller, one.extension, one.outcall) for one in _questions(tmp_path / "questions")]
        assert sorted(asked) == sorted(tuple(call) for call in calls)


def test_calls_that_should_be_challenged_are() -> None:
    """The scenario with passwords measures challenges, not something else."""
    workload = make_workload(200, calls=1)
    calls = challenging(workload)[:500]
    questions = [v1.CheckCallRequest(caller=call.caller, extension=call.extension) for call in calls]
    with running_server(workload.tenant) as running:
        answers = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=questions), timeout=DEADLINE).answers
    challenged = sum(answer.response.decision == v1.Decision.DECISION_CHALLENGE for answer in answers)
    assert challenged > len(calls) / 3


def test_a_ratio_that_is_missed_is_told() -> None:
    """Throughput that falls with the number of rules, and requests without an answer, are noticed."""

    def run(scenario: str, permissions: int, rate: float, failed: int = 0) -> Run:
        return Run(scenario, permissions, "closed", Result(100, failed, rate, 1, 1, 1, 1))

    good = thresholds([run("one caller", 10, 100), run("hostile", 10, 90), run("hostile", 1000, 80)])
    bad = thresholds([run("one caller", 10, 100), run("hostile", 10, 90, failed=1), run("hostile", 1000, 9)])
    assert all(one.met for one in good)
    assert [one.what.split()[0] for one in bad if not one.met] == ["requests", "throughput"]


def test_a_short_run_reports(tmp_path: Path) -> None:
    """The whole thing once, small: a real server, ghz, the open loop, and the three files."""
    options = ["--sizes", "50", "--seconds", "0.2", "--output", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, LOAD / "run.py", *options], capture_output=True, text=True, check=False, timeout=120
    )
    assert (tmp_path / "load.json").exists(), done.stderr
    report = json.loads((tmp_path / "load.json").read_text())
    assert len(report["runs"]) == 3 * (len(SCENARIOS) + 1)
    assert all(run["result"]["failed"] == 0 for run in report["runs"])
    assert all(run["result"]["sent"] > 0 for run in report["runs"])
    assert "| hostile | 50 | closed |" in (tmp_path / "load.md").read_text()
    assert (tmp_path / "load.png").stat().st_size > 1000
