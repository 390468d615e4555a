"""The decision log: what is written, what is left out, and that no answer waits for it."""

from __future__ import annotations

import http.client
import io
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from given import ACME, ALICE, KEY, denying
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis_server import RedisServer
from server import DEADLINE, current_of, running_server
from structlog.testing import capture_logs
from waiting import until

from pdp.decision_log.ids import METADATA_KEY
from pdp.decision_log.log import DecisionLog, DecisionLogSettings
from pdp.decision_log.masking import masked
from pdp.decision_log.sinks import FileSink, RedisSink, SinkError, TextSink
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Call, Decision, Reason, Revision
from pdp.rules.snapshot.snapshot import decode
from pdp.rules.snapshot.verdict import UNRESTRICTED, Outcome
from pdp.security.identity import ASKING, Client
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from server import Running

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900123456")
ALLOWED = Outcome(UNRESTRICTED, Reason.NO_PERMISSION, caller_known=True, outcall_known=False)


class Kept:
    """A sink that keeps what it is given, and can be told to hang or to fail."""

    name = "kept"

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.broken = False
        self.closed = False
        self.open = threading.Event()
        self.open.set()

    def write(self, lines: Sequence[str]) -> None:
        """Keeps lines, unless it is broken; waits until it is open."""
        self.open.wait(DEADLINE)
        if self.broken:
            raise OSError(28, "No space left on device")
        self.entries += map(json.loads, lines)

    def close(self) -> None:
        """Notes it."""
        self.closed = True


def logging_to(sink: Kept, **settings: Any) -> Callable[[Metrics], DecisionLog]:
    """Makes the log of a server."""
    return lambda metrics: DecisionLog(sink, DecisionLogSettings(**settings), metrics)


def counted(metrics: Metrics, result: str) -> float | None:
    """Entries with this result."""
    return metrics.registry.get_sample_value("rightcall_decision_log_entries_total", {"result": result})


def standing(sink: Any, **settings: Any) -> tuple[DecisionLog, Metrics]:
    """A log without a server; it is not started."""
    metrics = Metrics(current_of(), "")
    return DecisionLog(sink, DecisionLogSettings(**settings), metrics), metrics


def id_of(call: Any) -> str:
    """The decision's id in the trailing metadata of a call."""
    return str(dict(call.trailing_metadata())[METADATA_KEY])


def ask(running: Running, extension: str) -> str:
    """One question; the id of its decision."""
    request = v1.CheckCallRequest(caller=ALICE, extension=extension, outcall="3")
    _, call = running.decisions.CheckCall.with_call(request, timeout=DEADLINE)
    return id_of(call)


def test_a_decision_is_logged_with_all_that_it_was_about() -> None:
    """The id in the trailing metadata is the entry's."""
    sink = Kept()
    with running_server(denying("_0900."), decision_log=logging_to(sink)) as running:
        name = ask(running, "0900123456")
    (entry,) = sink.entries
    time, latency = entry.pop("time"), entry.pop("latency_us")

    assert entry == {
        "decision_id": name,
        "client": "",
        "tenant": ACME,
        "caller": ALICE,
        "extension": "0900123456",
        "outcall": "3",
        "forwarded_by": "",
        "caller_known": True,
        "outcall_known": False,
        "decision": "DENY",
        "stage": "USER",
        "reason": "PERMISSION",
        "permission": {"id": "1", "name": "no"},
        "revision": f"1-{'ab' * 6}",
    }
    assert len(name) == 32
    assert time.endswith("+00:00")
    assert latency >= 0
    assert sink.closed


def test_the_decisions_of_a_batch_and_of_a_stream_have_the_requests_id_and_their_position() -> None:
    """So that one id in the metadata leads to all of them."""
    sink = Kept()
    calls = [v1.CheckCallRequest(extension=extension) for extension in ("1", "2", "3")]
    with running_server(denying("118"), decision_log=logging_to(sink)) as running:
        _, call = running.decisions.CheckCalls.with_call(v1.CheckCallsRequest(calls=calls), timeout=DEADLINE)
        batch = id_of(call)
        stream = running.decisions.StreamCheckCalls(
            iter([v1.StreamCheckCallsRequest(id="x", call=one) for one in calls]), timeout=DEADLINE
        )
        answers = list(stream)
        streamed = id_of(stream)
    ids = [entry["decision_id"] for entry in sink.entries]

    assert len(answers) == 3
    assert ids == [batch, f"{batch}.2", f"{batch}.3", streamed, f"{streamed}.2", f"{streamed}.3"]


def test_decisions_over_http_are_logged_with_the_id_in_a_header() -> None:
    """One log for both doors."""
    sink = Kept()
    question = {
        "subject": {"type": "user", "id": ALICE},
        "action": {"name": "call"},
        "resource": {"type": "extension", "id": "118"},
    }
    with running_server(denying("118"), decision_log=logging_to(sink)) as running:
        connection = http.client.HTTPConnection(running.server.http_address, timeout=DEADLINE)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/access/v1/evaluation", json.dumps(question), headers)
        response = connection.getresponse()
        response.read()
        connection.close()

    assert [entry["decision_id"] for entry in sink.entries] == [response.headers["Decision-Id"]]


def test_what_came_of_a_password_is_logged_and_the_password_is_not() -> None:
    """An entry for each that was looked at, with the id of its request; one that is none is no decision."""
    sink = Kept()
    rules = denying("00", password="4321")
    current = current_of(decode(Compiler(secret=KEY).compile(rules, Revision(1, "ab" * 32), compiled_at=1.5e9)))
    with running_server(current=current, secrets=(KEY,), decision_log=logging_to(sink)) as running:
        asked = v1.CheckCallRequest(caller=ALICE, extension="00")
        challenge = running.decisions.CheckCall(asked, timeout=DEADLINE).challenge
        ids = []
        for password in ("1234", "4321"):
            request = v1.AnswerChallengeRequest(challenge=challenge, password=password)
            _, call = running.decisions.AnswerChallenge.with_call(request, timeout=DEADLINE)
            ids.append(id_of(call))
        with pytest.raises(grpc.RpcError):
            running.decisions.AnswerChallenge(v1.AnswerChallengeRequest(challenge="x", password="4321"))
    first, *entries = sink.entries

    assert "challenge" not in first
    assert [(entry["decision"], entry["challenge"]) for entry in entries] == [("DENY", "wrong"), ("ALLOW", "passed")]
    assert [entry["decision_id"] for entry in entries] == ids
    assert {(entry["caller"], entry["extension"], entry["stage"]) for entry in entries} == {(ALICE, "00", "USER")}
    assert "4321" not in str(sink.entries)
    assert "1234" not in str([entry | {"decision_id": "", "time": ""} for entry in sink.entries])


def test_without_a_log_there_is_no_id() -> None:
    """Nothing is paid for it: the interceptor is not even there."""
    with running_server(denying("118")) as running:
        _, call = running.decisions.CheckCall.with_call(CALL, timeout=DEADLINE)

    assert METADATA_KEY not in dict(call.trailing_metadata() or ())


def test_explanations_and_status_are_no_decisions() -> None:
    """They are not logged; nor is a question that has no answer."""
    sink = Kept()
    with running_server(denying("118"), decision_log=logging_to(sink)) as running:
        running.decisions.ExplainCall(v1.ExplainCallRequest(call=CALL), timeout=DEADLINE)
        running.directory.GetStatus(v1.GetStatusRequest(), timeout=DEADLINE)
        running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[v1.CheckCallRequest()]), timeout=DEADLINE)

    assert sink.entries == []


def test_each_decision_has_its_own_sample() -> None:
    """All denials and no permissions, say."""
    sink = Kept()
    with running_server(denying("118"), decision_log=logging_to(sink, samples={Decision.ALLOW: 0.0})) as running:
        for extension in ("118", "200", "118", "201"):
            ask(running, extension)

    assert [entry["decision"] for entry in sink.entries] == ["DENY", "DENY"]


def test_a_sample_is_about_its_share() -> None:
    """A tenth of a thousand is neither none nor half."""
    sink = Kept()
    log, _ = standing(sink, samples={Decision.ALLOW: 0.1})
    for _ in range(1000):
        log.record(None, Call(ALICE, "0900123456"), ALLOWED, 0)
    log.start()
    log.stop()

    assert 20 < len(sink.entries) < 300


def test_the_end_of_extensions_is_masked() -> None:
    """Their length still shows; a short one is hidden altogether."""
    sink = Kept()
    with running_server(denying("118"), decision_log=logging_to(sink, mask=4)) as running:
        ask(running, "0033123456789")
        ask(running, "118")

    assert [entry["extension"] for entry in sink.entries] == ["003312345xxxx", "xxx"]


@given(extension=st.text(max_size=10), last=st.integers(0, 12))
def test_a_mask_keeps_the_length_and_the_start(extension: str, last: int) -> None:
    """Whatever the extension is."""
    hidden = masked(extension, last)

    assert len(hidden) == len(extension)
    assert hidden[: len(extension) - last if last < len(extension) else 0] == extension[: max(0, len(extension) - last)]


def test_the_client_is_named() -> None:
    """As the clients file calls it."""
    sink = Kept()
    log, _ = standing(sink)
    token = ASKING.set(Client("switchboard"))
    log.record(None, Call(ALICE, "0900123456"), ALLOWED, 0.0000427)
    ASKING.reset(token)
    log.start()
    log.stop()
    (entry,) = sink.entries

    assert (entry["client"], entry["latency_us"]) == ("switchboard", 43)
    assert (entry["tenant"], entry["revision"], entry["permission"]) == ("", "", None)


def test_long_texts_are_cut() -> None:
    """A call to an emergency number is decided whatever else it says, and many such calls may wait to be logged."""
    sink = Kept()
    with running_server(denying("0900"), emergency="112", decision_log=logging_to(sink)) as server:
        call = v1.CheckCallRequest(caller="c" * 5000, extension="1 1 2", outcall="o" * 5000)
        assert server.decisions.CheckCall(call, timeout=DEADLINE).decision == v1.Decision.DECISION_ALLOW
        until(lambda: bool(sink.entries), "the entry")
    (entry,) = sink.entries
    assert (len(entry["caller"]), len(entry["outcall"])) == (128, 128)


def test_answers_do_not_wait_for_a_log_that_hangs() -> None:
    """What does not fit into the queue is dropped and counted, and what fits is written once it goes on."""
    sink = Kept()
    sink.open.clear()
    with running_server(denying("118"), decision_log=logging_to(sink, queue=10)) as running:
        for _ in range(50):
            ask(running, "118")
        dropped = counted(running.metrics, "dropped")
        sink.open.set()
    written = counted(running.metrics, "written")

    assert dropped is not None
    assert 50 - 10 - 10 <= dropped <= 50 - 10
    assert written == len(sink.entries) == 50 - dropped


def test_a_log_that_fails_is_told_of_once_and_fails_no_answer() -> None:
    """And once when it works again; what could not be written is counted."""
    sink = Kept()
    sink.broken = True
    with capture_logs() as logs, running_server(denying("118"), decision_log=logging_to(sink)) as running:
        for count in (1, 2, 3):
            ask(running, "118")
            until(lambda: counted(running.metrics, "failed") == count, "the entry failed")
        sink.broken = False
        ask(running, "118")
        until(lambda: counted(running.metrics, "written") == 1, "the entry is written")
    told = [entry["event"] for entry in logs if entry["event"].startswith("decision_log")]

    assert told == ["decision_log_failing", "decision_log_recovered"]
    assert len(sink.entries) == 1


def test_a_file_is_put_aside_when_it_is_full(tmp_path: Path) -> None:
    """As many are kept as were asked for, and no entry is torn."""
    path = tmp_path / "decisions.jsonl"
    log, metrics = standing(FileSink(path, max_bytes=2000, keep=2))
    for _ in range(100):
        log.record(None, Call(ALICE, "0900123456"), ALLOWED, 0)
    log.start()
    log.stop()
    files = sorted(one.name for one in tmp_path.iterdir())

    assert files == ["decisions.jsonl", "decisions.jsonl.1", "decisions.jsonl.2"]
    for file in tmp_path.iterdir():
        assert file.stat().st_size <= 2000
        assert all(json.loads(line)["caller"] == ALICE for line in file.read_text().splitlines())
    assert counted(metrics, "written") == 100


def test_a_file_that_somebody_else_rotates_is_opened_again(tmp_path: Path) -> None:
    """With no size given; entries go on in a new file of the same name."""
    path = tmp_path / "decisions.jsonl"
    sink = FileSink(path, max_bytes=0, keep=0)
    sink.write(["1"])
    path.rename(tmp_path / "old")
    sink.write(["2"])
    sink.close()

    assert (tmp_path / "old").read_text() == "1\n"
    assert path.read_text() == "2\n"
    assert path.stat().st_mode & 0o002 == 0


def test_a_file_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    """At the start, and not when the first decision is lost."""
    with pytest.raises(SinkError, match="check that its directory exists"):
        FileSink(tmp_path / "missing" / "decisions.jsonl", max_bytes=0, keep=0)


def test_a_full_disk_loses_entries_and_nothing_else() -> None:
    """It does not end up as a traceback on the terminal, and the log still stops in order."""
    log, metrics = standing(FileSink(Path("/dev/full"), max_bytes=0, keep=0))
    log.record(None, Call(ALICE, "0900123456"), ALLOWED, 0)
    with capture_logs() as logs:
        log.start()
        log.stop()

    assert counted(metrics, "failed") == 1
    assert "No space left" in logs[0]["error"]


def test_standard_output_gets_a_line_an_entry() -> None:
    """And is left open."""
    stream = io.StringIO()
    sink = TextSink(stream, "standard output")
    sink.write(['{"a": 1}', '{"a": 2}'])
    sink.close()

    assert stream.getvalue() == '{"a": 1}\n{"a": 2}\n'


def test_a_redis_stream_keeps_the_youngest_entries() -> None:
    """Each with the JSON object in one field."""
    with RedisServer() as server, Redis.from_url(server.url) as reader:
        log, metrics = standing(RedisSink(Redis.from_url(server.url), "decisions", name="redis", max_length=100))
        for _ in range(500):
            log.record(None, Call(ALICE, "0900123456"), ALLOWED, 0)
        log.start()
        log.stop()
        length = reader.xlen("decisions")
        ((_, fields),) = reader.xrevrange("decisions", count=1)

    assert counted(metrics, "written") == 500
    assert 100 <= length < 500
    assert json.loads(fields[b"decision"])["decision"] == "ALLOW"


def test_a_redis_that_is_away_loses_entries_and_nothing_else() -> None:
    """They are counted."""
    with RedisServer() as server:
        url = server.url
    log, metrics = standing(RedisSink(Redis.from_url(url), "decisions", name="redis", max_length=100))
    log.record(None, Call(ALICE, "0900123456"), ALLOWED, 0)
    with capture_logs() as logs:
        log.start()
        until(lambda: counted(metrics, "failed") == 1, "the entry failed")
        log.stop()

    assert [entry["event"] for entry in logs] == ["decision_log_failing"]


@pytest.mark.parametrize("max_bytes", [0, 1_000_000])
def test_a_file_that_is_deleted_is_begun_anew(tmp_path: Path, max_bytes: int) -> None:
    """Whoever rotates it: the space of a full one is free again, and entries are not written where nobody reads."""
    path = tmp_path / "decisions.log"
    sink = FileSink(path, max_bytes=max_bytes, keep=1)
    sink.write(["one"])
    path.unlink()
    sink.write(["two"])
    path.rename(tmp_path / "elsewhere")
    sink.write(["three"])
    sink.close()

    assert path.read_text() == "three\n"
    assert (tmp_path / "elsewhere").read_text() == "two\n"


def test_a_pipe_is_no_file_for_a_log(tmp_path: Path) -> None:
    """Opening one would wait for a reader, without a word."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(SinkError, match="not a regular file"):
        FileSink(path, max_bytes=0, keep=1)
