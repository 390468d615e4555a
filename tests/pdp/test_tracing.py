"""Tracing: what a collector receives of servers and loaders, what it never does, and that nobody waits for it."""

from __future__ import annotations

import http.client
import json
import queue
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import pytest
from collector import Collector, http_collector
from given import ACME, ALICE, BOLT, KEY, GivenSource, denying
from programs import ROOT, Program, run_program
from redis import Redis
from redis_server import RedisServer, free_port
from security import bearer, client_of, clients_file
from server import DEADLINE, current_of
from waiting import until

from loader.publishing.publish import RedisPublisher
from loader.tracing import TracedSynchronizer
from pdp.app import Server
from pdp.decision_log.ids import METADATA_KEY
from pdp.metrics.registry import Metrics
from pdp.rules.model import PasswordOverride
from pdp.settings import ServerSettings
from pdp.tracing import ServerTracing
from rightcall import v1
from rightcall.programs.tracing import Tracing, TracingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from collector import Received

    from pdp.rules.model import Tenant

CHECK_CALL = "rightcall.v1.DecisionService/CheckCall"
COMPANY = str(ROOT / "examples" / "company.yaml")
FREE = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5"}
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PASSWORD = "86420975"
DENIED = "0900123456"
RULES = f"""
tenants:
  - uuid: {ACME}
    name: acme
    users: [{{uuid: {ALICE}}}]
    call_permissions:
      - {{id: 1, name: "no", extensions: ["_0900."], users: [{ALICE}]}}
      - {{id: 2, name: "ask", password: "{PASSWORD}", extensions: ["_00."], users: [{ALICE}]}}
"""


class Sending(NamedTuple):
    """A server that sends traces, and the collector that it sends them to."""

    collector: Collector
    decisions: v1.DecisionServiceStub
    directory: v1.DirectoryServiceStub
    http: str


def traceparent(trace: str = TRACE, *, sampled: bool = True) -> str:
    """The header of somebody within a trace."""
    return f"00-{trace}-{SPAN}-0{int(sampled)}"


def call(extension: str) -> v1.CheckCallRequest:
    """Alice's question."""
    return v1.CheckCallRequest(caller=ALICE, extension=extension)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sending]:
    """A server with all that leaves a mark in spans; everybody asks it with a token."""
    directory = tmp_path_factory.mktemp("traced")
    rules = directory / "rules.yaml"
    rules.write_text(RULES)
    clients = clients_file(directory, client_of("switchboard", "token"))
    options = ("--auth", "tokens", "--clients", clients, "--decision-log", str(directory / "decisions"))
    with ExitStack() as stack:
        collector = stack.enter_context(Collector())
        tracing = ("--trace-endpoint", collector.endpoint)
        program = Program("serve", "--definitions", str(rules), *FREE, *tracing, *options, **SOON)
        started = stack.enter_context(program).wait_for("server_started")
        channel = stack.enter_context(grpc.insecure_channel(started["grpc"]))
        stubs = v1.DecisionServiceStub(channel), v1.DirectoryServiceStub(channel)
        yield Sending(collector, *stubs, started["http"])


def metadata(trace: str = TRACE) -> tuple[tuple[str, str], ...]:
    """What a client within a trace sends with a call."""
    return (*bearer("token"), ("traceparent", traceparent(trace)))


def within(server: Sending, trace: str) -> Received:
    """The span that the server added to a trace."""
    found: list[Received] = []

    def came() -> bool:
        found[:] = [one for one in server.collector.received if one.span.trace_id.hex() == trace]
        return bool(found)

    until(came, f"a span of trace {trace} came")
    return found[0]


def post(server: Sending, path: str, document: object, trace: str) -> int:
    """Asks over HTTP; the status."""
    connection = http.client.HTTPConnection(server.http, timeout=DEADLINE)
    headers = {key.title(): value for key, value in metadata(trace)}
    connection.request("POST", path, json.dumps(document), {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


@contextmanager
def company(*options: str, **variables: str) -> Iterator[tuple[Program, Any]]:
    """A server of the example company, and what asks it over CheckCall."""
    with ExitStack() as stack:
        program = stack.enter_context(Program("serve", "--definitions", COMPANY, *FREE, *options, **variables))
        channel = stack.enter_context(grpc.insecure_channel(program.wait_for("server_started")["grpc"]))
        yield program, v1.DecisionServiceStub(channel).CheckCall


@contextmanager
def traced_server(*rules: Tenant) -> Iterator[tuple[Collector, grpc.Channel, str]]:
    """A server in this process, a channel to it and its HTTP address; afterwards the collector has all spans."""
    current = current_of(*rules)
    settings = ServerSettings(listen="127.0.0.1:0", http="127.0.0.1:0")
    with Collector() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        tracing = Tracing("test", endpoint=collector.endpoint)
        made = Server(settings, current, Metrics(current, ""), tracing=ServerTracing(tracing.tracer))
        with made as server, grpc.insecure_channel(server.address) as channel:
            yield collector, channel, server.http_address
        tracing.close()


def evaluation(extension: str) -> dict[str, Any]:
    """Alice's question, as AuthZEN has it."""
    return {
        "subject": {"type": "user", "id": ALICE},
        "action": {"name": "call"},
        "resource": {"type": "extension", "id": extension},
    }


def test_a_call_continues_the_trace_of_whoever_asks_and_says_what_was_decided(server: Sending) -> None:
    """The span is a child of the client's, and names the entry of the decision log in place of who called whom."""
    _, answered = server.decisions.CheckCall.with_call(call(DENIED), metadata=metadata(), timeout=DEADLINE)
    got = within(server, TRACE)
    attributes = got.attributes
    revision = attributes.pop("rightcall.revision")

    assert got.name == CHECK_CALL
    assert got.span.parent_span_id.hex() == SPAN
    assert got.span.kind == got.span.SPAN_KIND_SERVER
    assert got.span.end_time_unix_nano > got.span.start_time_unix_nano
    assert not got.failed
    assert revision.partition("-")[0].isdigit()
    assert attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": CHECK_CALL,
        "rpc.response.status_code": "OK",
        "rightcall.decision": "DENY",
        "rightcall.stage": "USER",
        "rightcall.reason": "PERMISSION",
        "rightcall.tenant": ACME,
        "rightcall.permission_id": "1",
        "rightcall.client": "switchboard",
        "rightcall.decision_id": dict(answered.trailing_metadata())[METADATA_KEY],
    }
    assert got.resource["service.name"] == "rightcall-server"


def test_a_batch_and_a_stream_have_one_span_with_counts(server: Sending) -> None:
    """A span for each question would bury the others."""
    calls = [call(DENIED), call("101"), call(""), call(DENIED)]
    server.decisions.CheckCalls(v1.CheckCallsRequest(calls=calls), metadata=metadata("1a" * 16), timeout=DEADLINE)
    questions = iter([v1.StreamCheckCallsRequest(id="x", call=one) for one in calls])
    answers = list(server.decisions.StreamCheckCalls(questions, metadata=metadata("1b" * 16), timeout=DEADLINE))
    batch, stream = within(server, "1a" * 16), within(server, "1b" * 16)
    counted = {"rightcall.decisions.allow": 1, "rightcall.decisions.deny": 2, "rightcall.decisions.challenge": 0}

    assert len(answers) == 4
    assert (batch.name, stream.name) == (CHECK_CALL + "s", CHECK_CALL.replace("CheckCall", "StreamCheckCalls"))
    assert batch.attributes["rightcall.calls"] == 4
    for got in (batch, stream):
        assert counted.items() <= got.attributes.items()
        assert got.attributes["rpc.response.status_code"] == "OK"
        assert "rightcall.decision" not in got.attributes


def test_what_came_of_a_password_is_in_the_span_and_the_password_the_caller_and_the_number_are_in_none(
    server: Sending,
) -> None:
    """Whatever goes to the collector is looked through, byte by byte."""
    asked = call("0033123456789")
    challenge = server.decisions.CheckCall(asked, metadata=metadata("2a" * 16), timeout=DEADLINE).challenge
    for trace, password in (("2b" * 16, "11111111"), ("2c" * 16, PASSWORD)):
        request = v1.AnswerChallengeRequest(challenge=challenge, password=password)
        server.decisions.AnswerChallenge(request, metadata=metadata(trace), timeout=DEADLINE)
    spans = [within(server, trace * 16).attributes for trace in ("2a", "2b", "2c")]
    sent = b"".join(request.SerializeToString() for request in server.collector.requests)

    assert [span["rightcall.decision"] for span in spans] == ["CHALLENGE", "DENY", "ALLOW"]
    assert [span.get("rightcall.challenge") for span in spans] == [None, "wrong", "passed"]
    assert ACME.encode() in sent
    for secret in (PASSWORD, "11111111", ALICE, "0033123456789", "Bearer", challenge):
        assert secret.encode() not in sent


def test_a_refused_call_has_a_span_with_its_status_and_is_no_error_of_the_servers(server: Sending) -> None:
    """Neither a question that is none, nor one by a stranger."""
    for trace, sent in (("3a" * 16, bearer("token")), ("3b" * 16, bearer("stranger"))):
        with pytest.raises(grpc.RpcError):
            server.decisions.CheckCall(
                call(""), metadata=(*sent, ("traceparent", traceparent(trace))), timeout=DEADLINE
            )
    wrong, stranger = within(server, "3a" * 16), within(server, "3b" * 16)

    assert wrong.attributes["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert stranger.attributes["rpc.response.status_code"] == "UNAUTHENTICATED"
    assert not wrong.failed
    assert not stranger.failed
    assert "rightcall.decision" not in wrong.attributes


def test_methods_that_decide_nothing_have_spans_as_well(server: Sending) -> None:
    """With one response, or with a stream of them."""
    server.directory.GetStatus(v1.GetStatusRequest(), metadata=metadata("4a" * 16), timeout=DEADLINE)
    question = v1.ListCallersRequest(extension=DENIED, tenant=ACME)
    pages = list(server.directory.ListCallers(question, metadata=metadata("4b" * 16), timeout=DEADLINE))
    status, callers = within(server, "4a" * 16), within(server, "4b" * 16)

    assert pages
    assert (status.name, callers.name) == tuple(
        f"rightcall.v1.DirectoryService/{n}" for n in ("GetStatus", "ListCallers")
    )
    assert {got.attributes["rpc.response.status_code"] for got in (status, callers)} == {"OK"}


def test_authzen_continues_traces_too(server: Sending) -> None:
    """One question has its decision in the span, several have counts, and a mistake has its status."""
    statuses = [
        post(server, "/access/v1/evaluation", evaluation(DENIED), "5a" * 16),
        post(server, "/access/v1/evaluations", {"evaluations": [evaluation(DENIED), evaluation("1")]}, "5b" * 16),
        post(server, "/access/v1/evaluation", {}, "5c" * 16),
    ]
    one, several, wrong = (within(server, trace * 16) for trace in ("5a", "5b", "5c"))

    assert statuses == [200, 200, 400]
    assert one.name == "POST /access/v1/evaluation"
    assert one.span.parent_span_id.hex() == SPAN
    assert one.attributes["rightcall.decision"] == "DENY"
    assert one.attributes["rightcall.client"] == "switchboard"
    assert one.attributes["http.route"] == "/access/v1/evaluation"
    assert several.attributes["rightcall.decisions.deny"] == several.attributes["rightcall.decisions.allow"] == 1
    assert [got.attributes["http.response.status_code"] for got in (one, several, wrong)] == statuses
    assert not wrong.failed


def test_the_manual_has_every_span_and_every_attribute(server: Sending) -> None:
    """Of what the other tests made the server send, its loader's cycles included."""
    server.decisions.CheckCall(call(DENIED), metadata=metadata("7a" * 16), timeout=DEADLINE)
    within(server, "7a" * 16)
    documented = set(re.findall(r"`([a-z_.]+)`", (ROOT / "docs" / "tracing.md").read_text(encoding="utf-8")))
    sent = server.collector.received
    steps = {one.name for one in sent if one.span.kind == one.span.SPAN_KIND_INTERNAL}

    assert {"sync", "fetch", "compile"} <= steps
    assert not steps - documented
    assert not {name for one in sent for name in one.attributes} - documented


def test_what_a_server_cannot_do_is_an_error_of_its_span() -> None:
    """Over gRPC and over HTTP: it has no rules yet."""
    with traced_server() as (collector, channel, address):
        with pytest.raises(grpc.RpcError):
            v1.DecisionServiceStub(channel).CheckCall(call("101"), timeout=DEADLINE)
        connection = http.client.HTTPConnection(address, timeout=DEADLINE)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/access/v1/evaluation", json.dumps(evaluation("101")), headers)
        status = connection.getresponse().status
        connection.close()
    (grpc_span,), (http_span,) = collector.named(CHECK_CALL), collector.named("POST /access/v1/evaluation")

    assert status == 503
    assert grpc_span.failed
    assert grpc_span.attributes["rpc.response.status_code"] == grpc_span.attributes["error.type"] == "UNAVAILABLE"
    assert http_span.failed
    assert http_span.attributes["error.type"] == "503"


def test_a_stream_whose_client_goes_away_ends_its_span() -> None:
    """With what was decided until then."""
    asked: queue.SimpleQueue[v1.StreamCheckCallsRequest] = queue.SimpleQueue()
    with traced_server(denying("118")) as (collector, channel, _):
        stream = v1.DecisionServiceStub(channel).StreamCheckCalls(iter(asked.get, None))
        asked.put(v1.StreamCheckCallsRequest(id="1", call=call("118")))
        assert next(stream).response.decision == v1.Decision.DECISION_DENY
        stream.cancel()
        (span,) = collector.wait_for(CHECK_CALL.replace("CheckCall", "StreamCheckCalls"))
        asked.put(v1.StreamCheckCallsRequest())  # so that gRPC's thread ends

    # Of a client that went away, grpcio may first say that there are no more questions: then it ended well.
    assert span.attributes["rpc.response.status_code"] in {"CANCELLED", "OK"}
    assert span.attributes["rightcall.decisions.deny"] == 1
    assert not span.failed


def test_an_embedded_loader_shows_what_each_cycle_did_and_what_failed_in_it(tmp_path: Path) -> None:
    """Each step is a child of its cycle; only tenants that changed have steps."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with Collector() as collector:
        tracing = ("--trace-endpoint", collector.endpoint, "--recheck", "0.2")
        with Program("serve", "--definitions", str(rules), *FREE, *tracing, **SOON) as program:
            program.wait_for("server_started")
            collector.wait_for("sync", 2)
            rules.unlink()
            until(lambda: any(one.failed for one in collector.named("sync")), "a cycle failed")
            assert program.stop() == 0
        first, second, *_ = collector.named("sync")
        failed = next(one for one in collector.named("sync") if one.failed)
        steps = {one.name: one for one in collector.received if one.span.parent_span_id == first.span.span_id}
        idle = {one.name for one in collector.received if one.span.parent_span_id == second.span.span_id}
        fetch = next(one for one in collector.named("fetch") if one.failed)

    assert first.attributes["rightcall.published"] == 1
    assert set(steps) == {"fetch", "standing", "digest", "compile", "publish", "list"}
    assert steps["compile"].attributes["rightcall.tenant"] == ACME
    assert steps["compile"].attributes["rightcall.permissions"] == 2
    assert steps["publish"].attributes["rightcall.revision"] == steps["digest"].attributes["rightcall.revision"]
    assert idle == {"fetch", "standing", "list"}
    assert fetch.attributes["error.type"] == "SourceError"
    assert str(rules) in fetch.span.status.message
    assert str(rules) in failed.span.status.message


def test_a_loader_sends_its_spans_before_it_ends(tmp_path: Path) -> None:
    """Even one that runs once; the service's name is as OpenTelemetry's own variable says."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_SERVICE_NAME": "rules-of-acme",
        "RIGHTCALL_SECRET_KEY": KEY.decode(),
    }
    with RedisServer(password="s3cr3t-of-redis") as redis, Collector() as collector:
        loading = ("load", "--once", "--source", f"file:{rules}", "--redis", redis.url)
        done = run_program(*loading, "--tracing", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **variables)
    sent = b"".join(request.SerializeToString() for request in collector.requests)

    assert done.returncode == 0, done.stderr
    assert [len(collector.named(name)) for name in ("sync", "fetch", "compile", "publish")] == [1, 1, 1, 1]
    assert collector.received[0].resource["service.name"] == "rules-of-acme"
    for secret in ("s3cr3t-of-redis", PASSWORD, KEY.decode()):
        assert secret.encode() not in sent


def test_a_redis_that_is_away_is_an_error_of_the_step_that_needed_it_without_its_password() -> None:
    """What people are told in the log is in the span, and no more."""
    source = GivenSource(denying("118"), denying("119", tenant=BOLT))
    url = f"redis://:s3cr3t-of-redis@127.0.0.1:{free_port()}/0"
    with Collector() as collector, Redis.from_url(url) as client:
        tracing = Tracing("loader", endpoint=collector.endpoint)
        publisher = RedisPublisher(client, "redis of the test")
        synchronizer = TracedSynchronizer(
            tracing.tracer, source, publisher, secret=KEY, password_override=PasswordOverride.ALL
        )
        report = synchronizer.sync()
        tracing.close()
    (standing,), (sync,) = collector.named("standing"), collector.named("sync")

    assert report.problems
    assert standing.failed
    assert standing.attributes["error.type"] == "PublishError"
    assert standing.span.status.message == sync.span.status.message == report.error
    assert b"s3cr3t-of-redis" not in b"".join(request.SerializeToString() for request in collector.requests)


def test_a_share_of_the_traces_is_begun_here_and_those_of_others_are_as_they_decided() -> None:
    """With a share of nothing, only a trace that somebody else samples is sent."""
    with Collector() as collector:
        tracing = ("--tracing", "--trace-endpoint", collector.endpoint, "--trace-ratio", "0")
        with company(*tracing, **SOON) as (program, ask):
            ask(call("101"), timeout=DEADLINE)
            for trace, sampled in (("6a" * 16, False), ("6b" * 16, True)):
                sent = (("traceparent", traceparent(trace, sampled=sampled)),)
                ask(call("101"), metadata=sent, timeout=DEADLINE)
            assert program.stop() == 0

    assert [one.span.trace_id.hex() for one in collector.received] == ["6b" * 16]


def test_without_tracing_nothing_of_it_is_even_imported() -> None:
    """By Python's own account of what a server imports, whatever OpenTelemetry's variables say."""
    variables = {"PYTHONPROFILEIMPORTTIME": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    with company(**variables) as (program, ask):
        ask(call("101"), timeout=DEADLINE)
        assert program.stop() == 0
    imported = {line["text"].rpartition("|")[2].strip() for line in program.events if line["event"] == "text"}

    assert {"pdp.app", "loader.cycle", "rightcall.cli.options.tracing"} <= imported
    assert not {"pdp.tracing", "loader.tracing", "rightcall.programs.tracing"} & imported
    # Redis's client looks for OpenTelemetry's metrics by itself, and has them where it finds them.
    assert not [name for name in imported if name.startswith(("opentelemetry.exporter", "opentelemetry.propagat"))]


def test_calls_are_answered_while_the_collector_is_away_and_the_log_says_so_once() -> None:
    """And once more when it is back."""
    port = free_port()
    with company("--trace-endpoint", f"http://127.0.0.1:{port}", **SOON) as (program, ask):
        failing = program.wait_for("tracing_failing")
        assert ask(call("101"), timeout=DEADLINE).decision == v1.Decision.DECISION_ALLOW
        with Collector(port=port) as collector:
            until(lambda: (ask(call("101"), timeout=DEADLINE), collector.received)[1], "spans come")
            program.wait_for("tracing_recovered")
            assert program.stop() == 0

    assert "UNAVAILABLE" in failing["problem"]
    assert [line["event"] for line in program.events].count("tracing_failing") == 1


def test_a_collector_that_hangs_holds_up_neither_calls_nor_the_end() -> None:
    """What it has not taken within a few seconds is given up."""
    with ExitStack() as stack:
        collector = stack.enter_context(Collector(hanging=True))
        sending = ("--trace-endpoint", collector.endpoint)
        program, ask = stack.enter_context(company(*sending, OTEL_BSP_SCHEDULE_DELAY="50"))
        until(lambda: collector.requests, "the collector has something to hang with")
        answer = ask(call("101"), timeout=DEADLINE)
        assert answer.decision == v1.Decision.DECISION_ALLOW
        assert program.stop() == 0
        assert program.wait_for("tracing_failing")


@pytest.mark.parametrize("path", ["", "/v1/traces"])
def test_spans_go_out_over_http_where_the_environment_says_so(path: str) -> None:
    """To the usual path of OTLP/HTTP, or to the one of the endpoint."""
    with ExitStack() as stack:
        endpoint, spans = stack.enter_context(http_collector())
        variables = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        _, ask = stack.enter_context(company("--trace-endpoint", endpoint + path, **variables))
        assert ask(call("101"), timeout=DEADLINE).decision == v1.Decision.DECISION_ALLOW
        (span,) = spans.wait_for(CHECK_CALL)
        assert span.attributes["rightcall.decision"] == "ALLOW"


def test_tracing_that_is_not_installed_is_refused_with_what_to_install(tmp_path: Path) -> None:
    """An installation without the extra, by hiding OpenTelemetry behind an empty package."""
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()
    done = run_program("serve", "--definitions", COMPANY, *FREE, "--tracing", PYTHONPATH=f"{tmp_path}:{ROOT}")

    assert done.returncode == 2
    assert "run: pip install 'rightcall[tracing]'" in done.stderr


def test_a_propagator_that_nobody_knows_is_refused() -> None:
    """OpenTelemetry reads it before all else."""
    done = run_program("serve", "--definitions", COMPANY, *FREE, "--tracing", OTEL_PROPAGATORS="smoke-signals")

    assert done.returncode == 2
    assert "look at OTEL_PROPAGATORS" in done.stderr


@pytest.mark.parametrize(
    ("endpoint", "variables", "message"),
    [
        ("collector:4317", {}, "no URL of a gRPC server"),
        ("http://collector", {}, "no URL of a gRPC server"),
        ("http://collector:port", {}, "no URL of a gRPC server"),
        ("http://collector:4318/v1/traces", {}, "no URL of a gRPC server"),
        ("https://me:s3cr3t@collector:4317", {}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "no URL of a gRPC server"),
        ("", {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, r"set it to grpc .* or http/protobuf"),
        ("collector:4318", {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "http://collector:4318"),
        ("", {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "look at the variables OTEL_"),
        ("", {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "look at the variables OTEL_"),
    ],
)
def test_a_collector_that_cannot_be_meant_is_refused(
    endpoint: str, variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, with a message that says what to do, and no secret in it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TracingError, match=message) as refused:
        Tracing("test", endpoint=endpoint)

    assert "s3cr3t" not in str(refused.value)
