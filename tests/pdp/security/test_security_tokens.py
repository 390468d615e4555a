"""Bearer tokens: who gets in, what of, and how little those learn who do not."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from authzen_client import JSON, ask, question
from given import ACME, ALICE, BOB, BOLT, KEY, denying
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from security import bearer, check, client_of, clients_file, refusal
from server import DEADLINE, running_server
from structlog.testing import capture_logs
from waiting import until

from pdp.authzen.search import RESOURCES, SUBJECTS
from pdp.errors import SecurityError
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Outcall, Revision, Tenant, User
from pdp.rules.snapshot.snapshot import decode
from pdp.security.clients import parse_clients
from pdp.security.settings import Auth, SecuritySettings
from pdp.transports.guard_interceptor import needed_right
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server import Running

    from pdp.transports.choice import Transport

pytestmark = pytest.mark.every_transport

CAROL = "7b1e2f3a-4c5d-4e6f-8a9b-0c1d2e3f4a5b"
THIRD = "0c5e9d7a-1f2b-4c3d-9e8f-7a6b5c4d3e2f"
DENY, ALLOW = v1.Decision.DECISION_DENY, v1.Decision.DECISION_ALLOW
OK, UNAUTHENTICATED = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, tested_transport: Transport) -> Iterator[Running]:
    """Three tenants; clients of all of them, of one, of two, and of one service."""
    clients = clients_file(
        tmp_path_factory.mktemp("clients"),
        client_of("all", "token-all"),
        client_of("acme", "token-acme", tenants=[ACME.upper()]),
        client_of("two", "token-two", tenants=[ACME, BOLT]),
        client_of("reports", "token-reports", services=["directory"]),
        client_of("callers", "token-callers", services=["callers"]),
        client_of("reach", "token-reach", services=["reach"]),
        client_of("status", "token-status", services=["status"]),
        client_of("gone", "token-gone", tenants=["11111111-2222-4333-8444-555555555555"]),
    )
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients)
    third = Tenant(THIRD, "third", users=(User(CAROL),), outcalls=(Outcall("7", "far"),))
    rules = denying("0900"), denying("0900", tenant=BOLT, user=BOB), third
    with running_server(*rules, security=security, transport=tested_transport) as it:
        yield it


def failures(running: Running, reason: str) -> float:
    """How often calls were refused for a reason."""
    return running.metrics.registry.get_sample_value("rightcall_auth_failures_total", {"reason": reason}) or 0


def test_a_known_token_gets_an_answer(running: Running) -> None:
    """Of one call, of many, of a stream, and why."""
    call = v1.CheckCallRequest(caller=ALICE, extension="0900")
    metadata = bearer("token-all")
    many = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[call]), metadata=metadata, timeout=DEADLINE)
    questions = iter([v1.StreamCheckCallsRequest(id="1", call=call)])
    stream = list(running.decisions.StreamCheckCalls(questions, metadata=metadata, timeout=DEADLINE))
    why = running.decisions.ExplainCall(v1.ExplainCallRequest(call=call), metadata=metadata, timeout=DEADLINE)

    assert check(running, "token-all", caller=ALICE).decision == DENY
    assert [one.response.decision for one in many.answers] == [DENY]
    assert [one.response.decision for one in stream] == [DENY]
    assert why.answer.decision == DENY


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ((), "missing"),
        ((("authorization", "Bearer token-other"),), "unknown"),
        ((("authorization", "Bearer "),), "malformed"),
        ((("authorization", "Basic token-all"),), "malformed"),
        ((("authorization", "token-all"),), "malformed"),
        ((("authorization", "Bearer token-all token-all"),), "malformed"),
        ((("authorization", "Bearer " + "x" * 9000),), "malformed"),
        ((("authorization", "Bearer token-all"), ("authorization", "Bearer token-all")), "malformed"),
        ((("authorization-bin", b"Bearer token-all"),), "missing"),
        ((("x-authorization", "Bearer token-all"),), "missing"),
    ],
)
def test_whoever_has_no_token_is_not_told_why(
    running: Running, sent: tuple[tuple[str, str | bytes], ...], reason: str
) -> None:
    """Every reason sounds the same to a stranger; the metric tells them apart."""
    before = failures(running, reason)
    with pytest.raises(grpc.RpcError) as refused:
        running.decisions.CheckCall(v1.CheckCallRequest(extension="1"), metadata=sent, timeout=DEADLINE)

    assert refused.value.code() is UNAUTHENTICATED
    assert refused.value.details() == "this server answers known clients only; send valid credentials"
    assert failures(running, reason) == before + 1


def test_strangers_are_refused_whatever_they_ask(running: Running) -> None:
    """Before their bytes are looked at; streams and reflection too, but not health."""
    garbage: grpc.UnaryUnaryMultiCallable[bytes, bytes] = running.channel.unary_unary(
        "/rightcall.v1.DecisionService/CheckCall"
    )
    health = running.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )

    assert refusal(lambda: garbage(b"\xff", timeout=DEADLINE)) is UNAUTHENTICATED
    assert refusal(lambda: list(running.decisions.StreamCheckCalls(iter(()), timeout=DEADLINE))) is UNAUTHENTICATED
    assert refusal(lambda: running.directory.GetStatus(v1.GetStatusRequest(), timeout=DEADLINE)) is UNAUTHENTICATED
    assert refusal(lambda: list(running.directory.ListCallers(v1.ListCallersRequest()))) is UNAUTHENTICATED
    assert refusal(lambda: ProtoReflectionDescriptorDatabase(running.channel).get_services()) is UNAUTHENTICATED
    assert health(HealthCheckRequest(), timeout=DEADLINE).status == HealthCheckResponse.SERVING


def test_a_client_asks_the_services_that_it_may(running: Running) -> None:
    """And no others."""
    status = running.directory.GetStatus(v1.GetStatusRequest(), metadata=bearer("token-reports"), timeout=DEADLINE)

    assert len(status.tenants) == 3
    assert status.source == "rules of a test"
    assert refusal(lambda: check(running, "token-reports", caller=ALICE)) is DENIED


RIGHTS: dict[str, Callable[[Running, str], object]] = {
    "callers": lambda running, token: list(
        running.directory.ListCallers(
            v1.ListCallersRequest(extension="0900", tenant=ACME), metadata=bearer(token), timeout=DEADLINE
        )
    ),
    "reach": lambda running, token: running.directory.ListReach(
        v1.ListReachRequest(caller=ALICE), metadata=bearer(token), timeout=DEADLINE
    ),
    "status": lambda running, token: running.directory.GetStatus(
        v1.GetStatusRequest(), metadata=bearer(token), timeout=DEADLINE
    ),
    "decision": lambda running, token: check(running, token, caller=ALICE),
}


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        ("callers", {"callers"}),
        ("reach", {"reach"}),
        ("status", {"status"}),
        ("reports", {"callers", "reach", "status"}),
        ("all", set(RIGHTS)),
    ],
)
def test_each_report_is_a_right_of_its_own(running: Running, name: str, rights: set[str]) -> None:
    """Who sees whether a server is well need not see who exists; `directory` is all three, as it always was."""
    token, had = f"token-{name}", set()
    for right, report in RIGHTS.items():
        with suppress(grpc.RpcError):
            report(running, token)
            had.add(right)

    assert had == rights


def test_searches_over_http_need_the_same_rights(running: Running) -> None:
    """A search of subjects tells who exists, one of resources what somebody may dial."""
    subjects = {**question("0900"), "subject": {"type": "user"}, "context": {"tenant": ACME}}
    resources = {**question(""), "resource": {"type": "extension"}}
    statuses = {
        (name, path): ask(running, body, path, {**JSON, "Authorization": f"Bearer token-{name}"}).status
        for name in ("callers", "reach", "reports")
        for path, body in ((SUBJECTS, subjects), (RESOURCES, resources))
    }

    assert {key for key, status in statuses.items() if status == 200} == {
        ("callers", SUBJECTS),
        ("reach", RESOURCES),
        ("reports", SUBJECTS),
        ("reports", RESOURCES),
    }
    assert set(statuses.values()) == {200, 403}


def test_a_method_that_has_no_right_is_open_to_nobody() -> None:
    """So that one that is added later is not open by mistake."""
    for method in v1.decision_pb2.DESCRIPTOR.services_by_name["DecisionService"].methods:
        assert needed_right(f"/rightcall.v1.DecisionService/{method.name}")[0] == "decision"
    for method in v1.directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"].methods:
        assert needed_right(f"/rightcall.v1.DirectoryService/{method.name}")[0] in {"callers", "reach", "status"}
    for method in v1.lockout_pb2.DESCRIPTOR.services_by_name["LockoutService"].methods:
        assert needed_right(f"/rightcall.v1.LockoutService/{method.name}")[0] == "lockouts"
    assert needed_right("/rightcall.v1.DirectoryService/Unheard")[0] == "none"


def test_a_client_of_one_tenant_means_it_where_it_names_none(running: Running) -> None:
    """Its users are known, those of others are strangers, and so are their outcalls."""
    assert check(running, "token-acme", caller=ALICE).decision == DENY
    assert check(running, "token-acme", caller=ALICE, tenant=ACME).decision == DENY
    theirs = check(running, "token-acme", caller=BOB)
    nobodys = check(running, "token-acme", caller=CAROL[:-1] + "0")
    assert (theirs.decision, theirs.revision) == (nobodys.decision, nobodys.revision)
    assert theirs == nobodys
    assert check(running, "token-acme", outcall="7") == check(running, "token-acme", outcall="8")


def test_another_tenant_is_refused_whether_it_exists_or_not(running: Running) -> None:
    """With the same words; its own one is told when it has no rules."""
    said = set()
    for tenant in (BOLT, THIRD, "99999999-2222-4333-8444-555555555555", "nonsense"):
        with pytest.raises(grpc.RpcError) as refused:
            check(running, "token-acme", caller=BOB, tenant=tenant)
        said.add((refused.value.code(), refused.value.details()))

    assert len(said) == 1
    assert said.pop()[0] is DENIED
    assert refusal(lambda: check(running, "token-gone")) is grpc.StatusCode.NOT_FOUND


def test_a_client_of_two_tenants_is_answered_from_these(running: Running) -> None:
    """By who calls, else by the outcall; a third tenant might as well not exist."""
    assert check(running, "token-two", caller=ALICE).decision == DENY
    assert check(running, "token-two", caller=BOB).decision == DENY
    assert check(running, "token-two", caller=CAROL) == check(
        running, "token-two", caller="7e57ab1e-0000-4000-8000-000000000000"
    )
    assert check(running, "token-two", outcall="7").revision == ""
    assert check(running, "token-all", outcall="7").revision != ""
    assert refusal(lambda: check(running, "token-two", tenant=THIRD)) is DENIED


def test_a_batch_tells_each_question_that_may_not_be_asked(running: Running) -> None:
    """The others get their answers; so in a stream."""
    calls = [v1.CheckCallRequest(caller=who, extension="0900", tenant=of) for who, of in ((ALICE, ACME), (BOB, BOLT))]
    metadata = bearer("token-acme")
    many = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=calls), metadata=metadata, timeout=DEADLINE)
    questions = iter([v1.StreamCheckCallsRequest(id=call.caller, call=call) for call in calls])
    stream = list(running.decisions.StreamCheckCalls(questions, metadata=metadata, timeout=DEADLINE))

    for mine, theirs in (many.answers, stream):
        assert mine.response.decision == DENY
        assert theirs.error.code == DENIED.value[0]


def test_the_directory_shows_a_client_its_own_tenants(running: Running) -> None:
    """The status has no others, and not where the rules come from, since errors there may name them."""
    metadata = bearer("token-two")
    status = running.directory.GetStatus(v1.GetStatusRequest(), metadata=metadata, timeout=DEADLINE)

    def pages(tenant: str) -> list[v1.ListCallersResponse]:
        request = v1.ListCallersRequest(extension="0900", tenant=tenant)
        return list(running.directory.ListCallers(request, metadata=metadata, timeout=DEADLINE))

    assert [one.tenant for one in status.tenants] == sorted([ACME, BOLT])
    assert (status.source, status.source_error) == ("", "")
    assert status.contacted_at.seconds == int(running.current.contacted_at)  # a time tells of no other tenant
    assert [caller.caller for page in pages(BOLT) for caller in page.callers] == [BOB]
    assert refusal(lambda: pages(THIRD)) is DENIED
    for tenant in (THIRD, "nonsense"):
        request = v1.GetStatusRequest(tenant=tenant)
        assert refusal(lambda: running.directory.GetStatus(request, metadata=metadata)) is DENIED


def test_clients_are_taken_over_and_taken_back_without_a_restart(tmp_path: Path) -> None:
    """A file that cannot be used changes nothing."""
    path = clients_file(tmp_path, client_of("old", "token-old"))
    with running_server(denying("0900"), security=SecuritySettings(auth=Auth.TOKENS, clients=path)) as running:
        assert refusal(lambda: check(running, "token-old")) is OK
        with capture_logs() as logs:
            Path(path).write_text("clients: [", encoding="utf-8")
            until(lambda: refusal(lambda: check(running, "token-old")) is OK and logs, "the fault is told")
        replaced = tmp_path / "new"
        replaced.write_text(json.dumps({"clients": [client_of("new", "token-new")]}), encoding="utf-8")
        os.replace(replaced, path)  # noqa: PTH105 - as editors and Kubernetes do it
        until(lambda: refusal(lambda: check(running, "token-new")) is OK, "the new client is known")

        until(lambda: refusal(lambda: check(running, "token-old")) is UNAUTHENTICATED, "the old client is rejected")
        refused = next(entry for entry in logs if entry["event"] == "security_files_refused")
        assert "line 1" in refused["problem"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "clients"),
        ("[]", "dictionary"),
        ("clients: {}", "list"),
        ("clients: [{name: a, tenants: all, services: [decision]}]", "neither token_sha256 nor certificates"),
        ("clients: [{name: a, token_sha256: [secret], tenants: all, services: [decision]}]", "token_sha256[0]"),
        ("clients: [{name: a, certificates: [a], tenants: [], services: [decision]}]", "write all"),
        ("clients: [{name: a, certificates: [a], tenants: [acme], services: [decision]}]", "tenants"),
        ("clients: [{name: a, certificates: [a], tenants: all, services: []}]", "services"),
        ("clients: [{name: a, certificates: [a], tenants: all, services: [admin]}]", "services[0]"),
        ("clients: [{name: a, certificates: [a], services: [decision]}]", "tenants"),
        ("clients: [{name: a, certificates: [a], tenants: all, services: [decision], admin: true}]", "admin"),
        ("clients: [{name: a, certificates: [a, A], tenants: all, services: [decision]}]", "there twice"),
        ("clients: []\nclients: []", "twice"),
        ("clients: &a []\nb: *a", "aliases"),
        ("\x00", "no YAML"),
    ],
)
def test_a_faulty_clients_file_is_a_clear_error(text: str, told: str) -> None:
    """It names the place, and repeats nothing that might be a token."""
    with pytest.raises(SecurityError, match=r"clients\.yaml") as refused:
        parse_clients(text.encode(), "clients.yaml")

    assert told in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_token_or_a_name_of_two_clients_is_a_clear_error() -> None:
    """Whose limits and tenants would hold?"""
    for second in (client_of("b", "token"), client_of("a", "other")):
        with pytest.raises(SecurityError, match=r"there twice|has this name"):
            parse_clients(json.dumps({"clients": [client_of("a", "token"), second]}).encode(), "it")


def test_the_token_of_nothing_is_refused() -> None:
    """What a script makes whose variable was empty."""
    entry = {**client_of("a"), "token_sha256": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}
    with pytest.raises(SecurityError, match="of no text at all"):
        parse_clients(json.dumps({"clients": [entry]}).encode(), "it")


def test_the_log_tells_of_strangers_now_and_then_and_never_what_they_sent(running: Running) -> None:
    """However often they knock."""
    with capture_logs() as logs:
        for _ in range(50):
            assert refusal(lambda: check(running, "token-stranger-7")) is UNAUTHENTICATED

    assert len(logs) <= 1
    assert "token-stranger-7" not in str(logs)


def test_a_challenge_of_another_tenant_cannot_be_answered(tmp_path: Path) -> None:
    """Not even with the right password; and no attempt of that tenant is used up."""
    clients = clients_file(
        tmp_path,
        client_of("acme", "token-acme", tenants=[ACME]),
        client_of("bolt", "token-bolt", tenants=[BOLT]),
    )
    snapshot = decode(
        Compiler(secret=KEY).compile(denying("0900", password="1234"), Revision(1, "ab" * 32), compiled_at=1.5e9),
        secrets=(KEY,),
    )
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients)
    with running_server(snapshot, denying("0900", tenant=BOLT, user=BOB), secrets=(KEY,), security=security) as running:
        challenge = check(running, "token-acme", caller=ALICE).challenge

        def answer(token: str, password: str) -> v1.AnswerChallengeResponse:
            request = v1.AnswerChallengeRequest(challenge=challenge, password=password)
            return running.decisions.AnswerChallenge(request, metadata=bearer(token), timeout=DEADLINE)

        for password in ("1234", "1111", "1112", "1113"):
            assert refusal(lambda password=password: answer("token-bolt", password)) is DENIED  # type: ignore[misc] # mypy cannot infer it
        assert answer("token-acme", "1234").decision == ALLOW
