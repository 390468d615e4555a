"""The benchmark itself: that its checks notice what is worse, that engines agree, that a part runs."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bench.clients import quantile, read_times
from bench.engines import agree, engines
from bench.facts import cpu_seconds, listening, private, resident
from bench.ratios import BASELINE, CHECKED, figures, load_baseline, regressions, updated
from bench.rounds import medians
from bench.soak import _growth
from bench.stops import EndingConnection
from bench.workload import Call, make_workload
from load.http2 import questions
from load.paced import CHECK_CALL
from postgres_server import PostgresServer
from server import running_server
from waiting import until

from pdp.rules.model import Decision
from rightcall import v1

RUN = Path(__file__).parents[1] / "bench" / "run.py"


def size(permissions: int, **more: float) -> dict[str, float]:
    """What was measured of rules of one size."""
    return {
        "permissions": permissions,
        "decide_s": 2e-6,
        "decide_p99_s": 4e-6,
        "compile_s": 10.0,
        "load_s": 0.04,
        "sha256_s": 0.03,
        "step_s": 1e-7,
        "read_s": 2e-7,
        "edit_digest_s": 0.2,
        "edit_compile_s": 0.3,
        "server_rss": 6e7,
        "blob_bytes": 6e7,
        **more,
    }


def load(rate: float, **more: float) -> dict[str, float]:
    """What a run under load came to."""
    return {"rate": rate, "answers": 1, "p50": 1e-4, "p99": 1e-3, "p999": 2e-3, "longest": 1e-2, "cpu": 2e-5, **more}


def parts(**changed: Any) -> dict[str, Any]:
    """Results of the parts that the baseline is about, some of them replaced."""
    both = {"loaded": load(4_000), "alone": load(900), "mix": load(3_500), "many": load(80)}
    core = {"loaded": load(50_000), "alone": load(9_000), "mix": load(30_000), "many": load(200)}
    server = {"nginx": {**both, "loaded": load(100_000)}, "grpcio-empty": both, "grpcio": both, "core": core}
    found = {name: {"1000": 1e-3, "10000": 1e-2} for name in ("regex", "re2", "wazo")}
    engines_ = {"rightcall": {"1000": 2e-6, "10000": 2e-6}, **found}
    return {"sizes": [size(1000, decide_s=1.5e-6), size(100_000)], "server": [server], "engines": engines_, **changed}


def test_what_was_measured_again_is_no_regression() -> None:
    """Nor is what differs by less than the margin, nor what is better."""
    found = figures(parts())
    baseline = updated(found, {})
    better = parts(sizes=[size(1000, decide_s=1.5e-6), size(100_000, compile_s=1.0, load_s=0.02, decide_s=1.6e-6)])

    assert set(baseline) == CHECKED
    assert regressions(found, baseline) == []
    assert [one.name for one in regressions(figures(better), baseline)] == ["one edit / compile, 100,000 permissions"]
    slightly = parts(sizes=[size(1000, decide_s=1.5e-6), size(100_000, load_s=0.045)])
    assert regressions(figures(slightly), baseline) == []


@pytest.mark.parametrize(
    ("worse", "names"),
    [
        (size(100_000, decide_s=3e-6), ["decide() at 100,000 / a read of distant memory"]),
        (size(100_000, load_s=0.08), ["load 100,000 / SHA-256 of the same bytes"]),
        (size(100_000, edit_compile_s=0.9), ["one edit / compile, 100,000 permissions"]),
        (size(100_000, server_rss=2e8), ["memory of a server / its snapshot, 100,000"]),
    ],
)
def test_a_worse_result_is_a_regression(worse: dict[str, float], names: list[str]) -> None:
    """And it is told which ratio it is, what it was, and what it is now."""
    baseline = updated(figures(parts()), {})
    found = regressions(figures(parts(sizes=[size(1000, decide_s=1.5e-6), worse])), baseline)

    assert [one.name for one in found] == names
    assert found[0].now is not None
    assert f"was {found[0].was:.3g}, is {found[0].now:.3g}" in found[0].line()
    assert "the margin is 30%" in found[0].line()


def test_a_slower_server_is_a_regression() -> None:
    """Throughput counts the other way round: less is worse."""
    baseline = updated(figures(parts()), {})
    (server,) = parts()["server"]
    server["core"]["loaded"] = load(20_000)
    found = regressions(figures(parts(server=[server])), baseline)

    assert [one.name for one in found] == ["core / nginx, loaded"]


def test_a_slow_round_does_not_decide() -> None:
    """A ratio is of figures of one round, and of several rounds it is the median that counts."""
    (good,) = parts()["server"]
    (slow,) = parts()["server"]
    slow["core"]["loaded"] = load(10_000)
    found = {one.name: one.value for one in figures(parts(server=[good, slow, good]))}

    assert found["core / nginx, loaded"] == 0.5
    assert medians([good, slow, good])["core"]["loaded"]["rate"] == 50_000


def test_what_is_not_measured_any_more_is_told() -> None:
    """A check that leaves something out must not pass."""
    baseline = updated(figures(parts()), {})
    found = regressions(figures(parts(engines=None)), baseline)

    assert {one.name.split(" ")[0] for one in found} == {"re2", "regex"}
    assert all("not measured" in one.line() for one in found)


def test_the_committed_baseline_has_the_ratios_that_are_checked() -> None:
    """Each with a value above zero and a margin that means something."""
    baseline = load_baseline()

    assert set(baseline) == CHECKED
    assert all(entry["value"] > 0 and 0 < entry["margin"] < 1 for entry in baseline.values())


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (3.0, 1)])
def test_bench_check_fails_on_a_regression(factor: float, code: int, tmp_path: Path) -> None:
    """The program itself, on given results: exactly the baseline's ratios, then one that is three times worse."""
    for part, results in parts_of_the_baseline(factor).items():
        (tmp_path / f"{part}.json").write_text(json.dumps({"machine": {}, "results": results}))
    command = [sys.executable, str(RUN), "--check", "--from-results", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.count("REGRESSION") == code
    assert ("REGRESSION  load 100,000 / SHA-256 of the same bytes: was" in done.stdout) is bool(code)
    assert (tmp_path / "bench-server.png").stat().st_size > 1000


def parts_of_the_baseline(factor: float) -> dict[str, Any]:
    """Results that come to the ratios of the committed baseline, but for the time to load, which is longer."""
    was = {name: entry["value"] for name, entry in load_baseline().items()}
    small, step, compiled, digest = 1e-6, 1e-6 / was["decide() at 1,000 / a step of Python's own"], 0.0, 0.01
    compiled = was["compile a permission of 100,000 / a step of Python's own"] * step * 100_000
    large = {
        "decide_s": 2e-7 * was["decide() at 100,000 / a read of distant memory"],
        "step_s": step,
        "compile_s": compiled,
        "load_s": 0.03 * was["load 100,000 / SHA-256 of the same bytes"] * factor,
        "edit_digest_s": digest,
        "edit_compile_s": was["one edit / compile, 100,000 permissions"] * compiled - digest,
        "server_rss": 6e7 * was["memory of a server / its snapshot, 100,000"],
    }
    nginx = {"loaded": load(100_000), "alone": load(9_000)}
    empty = {"loaded": load(4_000), "mix": load(3_500)}
    grpcio = {"loaded": load(4_000 * was["grpcio / empty, loaded"])}
    grpcio["many"] = load(4_000 * was["grpcio CheckCalls of 1,000 / empty, loaded"])
    core = {
        "loaded": load(
            100_000 * was["core / nginx, loaded"], cpu=2e-5 * was["core / nginx, processor time of a call, loaded"]
        ),
        "alone": load(3_000, p50=1e-4 * was["core / nginx, p50 alone"]),
        "many": load(100_000 * was["core CheckCalls of 1,000 / nginx, loaded"]),
    }
    engine = {name: 1e-6 * was[f"{name} / ours, 1,000 permissions, time of a decision"] for name in ("re2", "regex")}
    return {
        "sizes": [size(1000, decide_s=small, step_s=step), size(100_000, **large)],
        "server": [{"nginx": nginx, "grpcio-empty": empty, "grpcio": grpcio, "core": core}],
        "engines": {"rightcall": {"1000": 1e-6}, **{name: {"1000": value} for name, value in engine.items()}},
    }


def test_all_engines_decide_alike() -> None:
    """What is compared answers the same questions; one that answered another way would be noticed."""
    workload = make_workload(60, calls=150)
    with PostgresServer() as postgres, ExitStack() as stack:
        made = engines(workload.tenant, postgres, stack)
        agree(made, workload.calls)
        with pytest.raises(AssertionError, match="disagree"):
            agree({**made, "always": lambda _: Decision.CHALLENGE}, workload.calls)

    assert set(made) == {"rightcall", "re2", "regex", "wazo", "wazo, memory"}
    assert {made["rightcall"](call) for call in workload.calls} == set(Decision)


def test_times_of_h2load_are_read(tmp_path: Path) -> None:
    """Microseconds in the last column; a quantile is the time within which that share came."""
    log = tmp_path / "log"
    log.write_text("".join(f"1795420040123456\t200\t{time}\n" for time in range(100, 200)))
    times = read_times(log)

    assert quantile(times, 0.5) == 149e-6
    assert quantile(times, 0.99) == 198e-6
    assert quantile(times, 1) == 199e-6


def test_growth_is_told_from_noise() -> None:
    """A line through looks at memory: its slope a minute, and how far the looks are from it."""
    steady = _growth([(second, 100.0 + second % 2) for second in range(100)])
    growing = _growth([(second, 100.0 + second) for second in range(100)])

    assert abs(steady["a_minute"]) < 0.1
    assert steady["noise"] == pytest.approx(0.5, abs=0.01)
    assert growing["a_minute"] == pytest.approx(60)
    assert growing["noise"] == pytest.approx(0)


def test_what_a_process_has_is_read_from_proc() -> None:
    """Memory of its own, processor time, and the port that it listens on."""
    with running_server(make_workload(10).tenant) as running:
        port = int(running.server.address.rpartition(":")[2])
        mine = int(Path("/proc/self/stat").read_text(encoding="ascii").split()[0])

        assert listening(port)
    assert 0 < private(mine) < resident("VmRSS") * 2
    assert cpu_seconds(mine) > 0


def test_a_stopping_server_loses_no_call_that_it_took() -> None:
    """The client that counts them: what is asked is answered or refused, and nothing is lost."""
    workload = make_workload(30, calls=100)
    asked = questions(request(call) for call in workload.calls)
    with running_server(workload.tenant) as running:
        port = int(running.server.address.rpartition(":")[2])
        connection = EndingConnection("127.0.0.1", port, CHECK_CALL)
        for question in asked[:50]:
            assert connection.ask(question, 0.0)
        connection.flush()

        def all_in() -> bool:
            connection.receive()
            return len(connection.finished) == 50

        until(all_in, "all are answered")
        lost = connection.lost()
        connection.close()

    assert lost == 0
    assert not connection.leaving


def request(call: Call) -> bytes:
    """A call as it is asked."""
    return v1.CheckCallRequest(caller=call.caller, extension=call.extension, outcall=call.outcall).SerializeToString()


def test_an_unknown_part_is_refused() -> None:
    """With those that there are."""
    done = subprocess.run([sys.executable, str(RUN), "--only", "speed"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "there is no part speed" in done.stderr
    assert BASELINE.exists()
