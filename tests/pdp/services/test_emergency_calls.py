"""Emergency numbers: allowed whoever calls, whatever the rules, and in any state of the server, on every way."""

from __future__ import annotations

import os
import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest
import strategies
from authzen_client import ask as ask_authzen
from cores import EACH_TRANSPORT
from given import ACME, ALICE, BOB, BOLT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from security import bearer, client_of, clients_file
from server import DEADLINE, current_of, running_server
from waiting import until
from ways import Told, every_way, told

from loader.numbering import numbering_table
from pdp.errors import Code, TooManyCalls
from pdp.metrics.registry import Metrics
from pdp.rules.model import CallPermission, Dialling, Outcall, Tenant, User
from pdp.rules.snapshot.ruling import Policy
from pdp.security.identity import beyond
from pdp.security.settings import Auth, SecuritySettings
from pdp.services.decisions import DecisionService
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.emergency import EmergencyCalls
from pdp.transports.choice import Transport
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.rules.snapshot.snapshot import Snapshot

EXAMPLES = int(os.environ.get("RIGHTCALL_EMERGENCY_EXAMPLES", "60"))
"""States that are tried; more in a long run."""
STRANGER = "7e57ab1e-0000-4000-8000-000000000000"
EVERYTHING = (CallPermission(1, "no", extensions=("_!",), users=(ALICE,), outcalls=("3",)),)
ACME_RULES = Tenant(
    ACME,
    users=(User(ALICE),),
    outcalls=(Outcall("3"),),
    call_permissions=EVERYTHING,
    emergency=("112", "15"),
    dialling=Dialling("FR", "0", numbering_table("FR", "0")),
)
BOLT_RULES = Tenant(BOLT, users=(User(BOB),), outcalls=(Outcall("4"),), emergency=("911",))
ALLOWED = Told("", "ALLOW", "EMERGENCY", "EMERGENCY", caller_known=True)
DENIED = Told("", "DENY", "USER", "PERMISSION", caller_known=True)


def call(extension: str, caller: str = ALICE, outcall: str = "", tenant: str = "") -> v1.CheckCallRequest:
    """A request."""
    return v1.CheckCallRequest(caller=caller, extension=extension, outcall=outcall, tenant=tenant)


CASES = [
    (call("112"), ALLOWED),
    (call("0112"), ALLOWED),
    (call("1-1-2"), ALLOWED),
    (call("١١٢"), ALLOWED),
    (call("112#"), ALLOWED),
    (call("*31#15"), ALLOWED),
    (call("0*31#15"), ALLOWED),
    (call("999"), ALLOWED),  # the server's
    (call("0999"), ALLOWED),
    (call("1120"), DENIED),
    (call("+112"), DENIED),
    (call("911"), DENIED),  # another tenant's
    (call("112*1"), DENIED),
    (call("911", BOB), ALLOWED),
    (call("0911", BOB), Told("", "ALLOW", "NONE", "NO_PERMISSION", caller_known=True)),
    (call("112", STRANGER), ALLOWED._replace(caller_known=False)),  # of any tenant, where the call is of none
    (call("112", "not a caller"), ALLOWED._replace(caller_known=False)),
    (call("112", "x" * 1000, "4" * 1000), ALLOWED._replace(caller_known=False)),
    (call("112", "", "3"), ALLOWED._replace(caller_known=False, outcall_known=True)),
    (call("112", ALICE, tenant=STRANGER), Told("NOT_FOUND")),
    (call("999", ALICE, tenant=STRANGER), ALLOWED._replace(caller_known=False)),
    (call("112", ALICE, tenant=BOLT), Told("", "ALLOW", "NONE", "NO_PERMISSION")),
    (call(""), Told("INVALID_ARGUMENT")),
]


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
def test_an_emergency_number_is_allowed_as_a_whole_and_however_it_is_dialled(transport: Transport) -> None:
    """Whoever calls, and whatever else the request holds."""
    with running_server(ACME_RULES, BOLT_RULES, transport=transport, emergency="999") as running:
        found = every_way(running, [asked for asked, _ in CASES])

    for way, answers in found.items():
        for (asked, wanted), answer in zip(CASES, answers, strict=True):
            assert (way, str(asked), answer) == (way, str(asked), wanted)


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
def test_an_only_tenant_that_does_not_say_how_it_dials_has_emergency_numbers_too(transport: Transport) -> None:
    """Long numbers still take the fast path, and are decided as ever."""
    rules = Tenant(ACME, users=(User(ALICE),), call_permissions=EVERYTHING, emergency=("112",))
    with running_server(rules, transport=transport, emergency="911") as running:
        found = every_way(running, [call("112"), call("1 1 2"), call("911"), call("1120"), call("0033123456789")])

    wanted = [ALLOWED, ALLOWED, ALLOWED, DENIED, DENIED]
    assert found == dict.fromkeys(found, wanted)


def test_without_any_rules_the_servers_own_numbers_are_allowed() -> None:
    """A server that waits for its rules answers nothing else."""
    with running_server(current=CurrentSnapshots("nowhere"), emergency="112") as running:
        found = every_way(running, [call("112", STRANGER), call("118", STRANGER)])

    anybody = ALLOWED._replace(caller_known=False)
    assert found == {way: [anybody, Told("UNAVAILABLE")] for way in found}


def test_no_limit_of_a_client_keeps_an_emergency_call_back(tmp_path: Path) -> None:
    """Over gRPC and AuthZEN, once the client has asked too much; a stranger gets nothing."""
    clients = clients_file(tmp_path, client_of("a", "token-a", tenants=[ACME]))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, client_rate=0.001, client_burst=1)
    with running_server(ACME_RULES, security=security) as running:
        check = running.decisions.CheckCall

        def status(request: v1.CheckCallRequest, token: str) -> str:
            try:
                return v1.Stage.Name(check(request, metadata=bearer(token), timeout=DEADLINE).stage)
            except grpc.RpcError as error:
                return error.code().name

        asked = [status(one, "token-a") for one in (call("118"), call("118"), call("112"), call("15"))]
        foreign = status(call("112", tenant=BOLT), "token-a")
        stranger = status(call("112"), "token-b")
        over_http = ask_authzen(
            running,
            {
                "subject": {"type": "user", "id": ALICE},
                "action": {"name": "call"},
                "resource": {"type": "extension", "id": "112"},
            },
            headers={"Content-Type": "application/json", "Authorization": "Bearer token-a"},
        )

    assert asked == ["STAGE_USER", "RESOURCE_EXHAUSTED", "STAGE_EMERGENCY", "STAGE_EMERGENCY"]
    assert (foreign, stranger) == ("PERMISSION_DENIED", "UNAUTHENTICATED")
    assert (over_http.status, over_http.document["decision"]) == (200, True)


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
@pytest.mark.parametrize("limits", [{"client_rate": 0.001, "client_burst": 2}, {"client_concurrency": 1}])
def test_a_client_beyond_its_limits_gets_its_emergency_calls_out_of_many(
    tmp_path: Path, transport: Transport, limits: dict[str, float]
) -> None:
    """In a batch and a stream the limits hold for all others, and a batch without such a call is rejected."""
    clients = clients_file(tmp_path, client_of("a", "token-a", tenants=[ACME]))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, **limits)  # type: ignore[arg-type] # by name
    calls = [call("118"), call("112"), call("112", tenant=BOLT), call("1-5")]
    with running_server(ACME_RULES, BOLT_RULES, security=security, transport=transport) as running:
        token = bearer("token-a")
        open_end = threading.Event()

        def asked_first() -> Iterator[v1.StreamCheckCallsRequest]:
            yield v1.StreamCheckCallsRequest(call=call("118"))
            open_end.wait(DEADLINE)

        holding = running.decisions.StreamCheckCalls(asked_first(), metadata=token, timeout=DEADLINE)
        next(holding)  # the stream that is open, or its call, is all that the client may have

        batch = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=calls), metadata=token, timeout=DEADLINE)
        with pytest.raises(grpc.RpcError) as rejected:
            running.decisions.CheckCalls(
                v1.CheckCallsRequest(calls=[call("118"), call("1120")]), metadata=token, timeout=DEADLINE
            )
        requests = (v1.StreamCheckCallsRequest(id=one, call=call(one)) for one in ("112", "0 15", "118", "112"))
        stream = running.decisions.StreamCheckCalls(requests, metadata=token, timeout=DEADLINE)
        streamed = [told(next(stream).response) for _ in range(2)]
        with pytest.raises(grpc.RpcError) as ended:
            next(stream)
        many = ask_authzen(
            running,
            {
                "subject": {"type": "user", "id": ALICE},
                "action": {"name": "call"},
                "evaluations": [{"resource": {"type": "extension", "id": one}} for one in ("118", "112")],
            },
            path="/access/v1/evaluations",
            headers={"Content-Type": "application/json", "Authorization": "Bearer token-a"},
        )
        open_end.set()
        list(holding)

    found = [
        told(one.response) if one.HasField("response") else Told(Code(one.error.code).name) for one in batch.answers
    ]
    wanted = [Told("RESOURCE_EXHAUSTED"), ALLOWED, Told("PERMISSION_DENIED"), ALLOWED]
    assert found == wanted
    assert (rejected.value.code(), ended.value.code()) == (grpc.StatusCode.RESOURCE_EXHAUSTED,) * 2
    assert streamed == [ALLOWED, ALLOWED]
    assert [one["decision"] for one in many.document["evaluations"]] == [False, True]


def test_a_stream_that_is_slowed_down_does_not_hold_an_emergency_call_up(tmp_path: Path) -> None:
    """It takes no token, while the next of another kind would wait for a quarter of an hour."""
    clients = clients_file(tmp_path, client_of("a", "token-a"))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, client_rate=0.001, client_burst=2)
    with running_server(ACME_RULES, security=security) as running:
        requests = (v1.StreamCheckCallsRequest(call=call(one)) for one in ("118", "112", "15", "112"))
        stream = running.decisions.StreamCheckCalls(requests, metadata=bearer("token-a"), timeout=DEADLINE)
        assert [told(one.response) for one in stream] == [DENIED, ALLOWED, ALLOWED, ALLOWED]


def test_who_is_beyond_the_limits_does_not_keep_a_stream_open_with_nothing(tmp_path: Path) -> None:
    """One that sends nothing ends after the time that a message may take."""
    clients = clients_file(tmp_path, client_of("a", "token-a"))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients, client_rate=0.001, client_burst=1)
    with running_server(ACME_RULES, security=security, message_timeout=0.5) as running:
        running.decisions.CheckCall(call("118"), metadata=bearer("token-a"), timeout=DEADLINE)
        over = threading.Event()

        def silence() -> Iterator[v1.StreamCheckCallsRequest]:
            over.wait(DEADLINE)
            yield from ()

        with pytest.raises(grpc.RpcError) as ended:
            next(running.decisions.StreamCheckCalls(silence(), metadata=bearer("token-a"), timeout=DEADLINE * 3))
        over.set()

    assert ended.value.code() is grpc.StatusCode.CANCELLED


class Stuck(CurrentSnapshots):
    """Answers no call until it is told to; emergency calls are found without its help."""

    def __init__(self) -> None:
        super().__init__("tests")
        self.replace(current_of(Tenant(ACME, users=(User(ALICE),))).held()[0].snapshot)
        self.go = threading.Event()

    def resolve(self, caller: str, outcall: str, tenant: str) -> Snapshot | None:
        """Waits, but for callers that are not known."""
        if caller:
            self.go.wait(DEADLINE)
        return super().resolve(caller, outcall, tenant)


def test_no_overload_keeps_an_emergency_call_back() -> None:
    """All threads are busy and as many calls wait as may; others are refused, and a call for help is answered.

    Calls that the core decides wait for no thread.
    """
    stuck, grpcio = Stuck(), Transport.GRPCIO
    with running_server(current=stuck, threads=1, max_waiting=1, emergency="112", transport=grpcio) as running:
        waiting = [running.decisions.CheckCall.future(call("0900"), timeout=DEADLINE) for _ in range(10)]

        def refused() -> float:
            return running.metrics.registry.get_sample_value("rightcall_rejected_total", {"reason": "overload"}) or 0

        until(lambda: refused() >= 8, "all but those that wait are refused")
        answer = running.decisions.CheckCall(call("112", caller=""), timeout=DEADLINE)
        two = v1.CheckCallsRequest(calls=[call("0900", caller=""), call("112", caller="")])
        batch = running.decisions.CheckCalls(two, timeout=DEADLINE)
        stuck.go.set()
        codes = [one.code() for one in waiting]

    assert v1.Stage.Name(answer.stage) == "STAGE_EMERGENCY"
    assert batch.answers[0].error.code == Code.RESOURCE_EXHAUSTED
    assert v1.Stage.Name(batch.answers[1].response.stage) == "STAGE_EMERGENCY"
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes


def test_the_directory_knows_emergency_numbers() -> None:
    """Everybody may call them, and they are part of what one may dial."""
    rules = Tenant(ACME, users=(User(ALICE),), call_permissions=EVERYTHING, emergency=("112",))
    with running_server(rules, emergency="911") as running:
        pages = running.directory.ListCallers(v1.ListCallersRequest(extension="112", tenant=ACME), timeout=DEADLINE)
        (caller,) = [one for page in pages for one in page.callers]
        reach = running.directory.ListReach(v1.ListReachRequest(caller=ALICE, by_permission=True), timeout=DEADLINE)

    allowed = [one for one in reach.reaches if one.stage == v1.Stage.STAGE_EMERGENCY]
    assert (caller.caller, v1.Stage.Name(caller.stage)) == (ALICE, "STAGE_EMERGENCY")
    assert {"112", "911", "112#"} <= {pattern.pattern.lstrip("_") for one in allowed for pattern in one.patterns}


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(
    tenant=strategies.tenants(),
    request=st.builds(
        v1.CheckCallRequest,
        caller=st.sampled_from([*strategies.USERS, "", STRANGER, "nobody", "x" * 200]),
        forwarded_by=st.sampled_from(["", "", *strategies.USERS, STRANGER, "nobody"]),
        outcall=st.sampled_from([*strategies.OUTCALLS, "", "unknown", "y" * 200]),
        tenant=st.sampled_from(["", strategies.TENANT, STRANGER]),
        at_least_revision=st.sampled_from([0, 1, 2**62]),
        extension=st.sampled_from(["911", "9 1 1", "9-11", "(911)", "911#", "*31#911", "９11"]),  # noqa: RUF001
    ),
    state=st.sampled_from(["loaded", "empty", "closed", "incomplete", "awaited"]),
    excess=st.sampled_from(["", "rate", "concurrency", "overload"]),
    policy=st.builds(Policy, st.booleans(), st.booleans(), st.booleans()),
)
def test_no_rules_no_caller_and_no_state_take_an_emergency_number_away(
    tenant: Tenant, request: v1.CheckCallRequest, state: str, excess: str, policy: Policy
) -> None:
    """Whatever the definitions and the policy, with rules or without, beyond limits or not, alone and among many."""
    closed = replace(tenant, closed=2, call_permissions=(), groups=())
    current = CurrentSnapshots("nowhere") if state == "empty" else current_of(closed if state == "closed" else tenant)
    if state == "awaited":
        current.await_all()
    elif state == "incomplete":
        current.set_incomplete("a file cannot be read", [STRANGER])
    numbers = EmergencyCalls(current, ["911"])
    service = DecisionService(current, Metrics(current, ""), emergency=numbers, policy=policy)
    with beyond(TooManyCalls(excess, 1.0)) if excess else nullcontext():
        alone = service.check_call(request)
        (batch,) = service.check_calls(v1.CheckCallsRequest(calls=[request])).answers
        (streamed,) = service.stream_check_calls([v1.StreamCheckCallsRequest(call=request)])

    for response in (alone, batch.response, streamed.response):
        assert (response.decision, response.stage) == (v1.Decision.DECISION_ALLOW, v1.Stage.STAGE_EMERGENCY)
    assert service.spares(request)
    assert service.spares_some(v1.CheckCallsRequest(calls=[v1.CheckCallRequest(), request]).SerializeToString())
