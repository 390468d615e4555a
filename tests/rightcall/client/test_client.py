"""Both client libraries, against a real server: nearly every test runs with the blocking and the asynchronous one."""

from __future__ import annotations

import asyncio
import inspect
import re
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from definitions import tenant_from
from server import running_server
from waiting import until

import rightcall
from pdp.snapshots.current import CurrentSnapshots
from rightcall import Call, Client, Decision, Permission, Stage, v1
from rightcall.aio import Client as AsyncClient
from rightcall.client import messages as wire
from rightcall.client import values as answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Connect = Callable[..., Any]

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
TENANT = tenant_from(
    {
        "uuid": ACME,
        "name": "acme",
        "users": [{"uuid": ALICE}],
        "groups": [{"id": "7", "name": "sales", "users": [ALICE]}],
        "outcalls": [{"id": "3", "name": "world"}],
        "call_permissions": [
            {"id": 11, "name": "no-premium", "extensions": ["_0900."], "groups": ["7"]},
            {"id": 12, "name": "pin", "password": "1234", "extensions": ["_00."], "outcalls": ["3"]},
        ],
    }
)


class Awaited:
    """The asynchronous client with blocking methods, so that one test serves both."""

    def __init__(self, target: str = "", **settings: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._connect(target, settings))
        self.target = self._client.target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method of the client, to be called and not awaited."""
        method = getattr(self._client, name)
        return lambda *args, **named: self._loop.run_until_complete(method(*args, **named))

    def end(self) -> None:
        """Closes the client and its event loop."""
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    @staticmethod
    async def _connect(target: str, settings: dict[str, Any]) -> AsyncClient:
        return AsyncClient(target, **settings)


@pytest.fixture(params=["blocking", "asynchronous"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of one kind, and closes them after the test."""
    made: list[Any] = []

    def client(target: str, **settings: Any) -> Any:
        settings.setdefault("timeout", 10.0)
        made.append(Client(target, **settings) if request.param == "blocking" else Awaited(target, **settings))
        return made[-1]

    yield client
    for one in made:
        one.end() if isinstance(one, Awaited) else one.close()


@contextmanager
def answering(
    handler: Callable[[Any, grpc.ServicerContext], Any], credentials: grpc.ServerCredentials | None = None
) -> Iterator[str]:
    """A server whose CheckCall is ``handler``; for what a Rightcall server does only when it is hard pressed."""
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        method = grpc.unary_unary_rpc_method_handler(
            handler, v1.CheckCallRequest.FromString, v1.CheckCallResponse.SerializeToString
        )
        service = "rightcall.v1.DecisionService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"CheckCall": method}),))
        address = "localhost:0"
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        server.start()
        yield f"localhost:{port}"
        server.stop(0).wait()


def test_a_check_tells_decision_stage_permission_and_revision(connect: Connect) -> None:
    """All that the server says about a decision reaches the caller as typed values."""
    with running_server(TENANT) as running:
        answer = connect(running.server.address).check(caller=ALICE, extension="0900123")
        revision = str(running.current.held()[0].snapshot.revision)
    assert answer == answers.Answer(
        Decision.DENY,
        Stage.GROUP,
        Permission("11", "no-premium"),
        revision,
        "",
        reason=answers.Reason.PERMISSION,
        caller_known=True,
    )
    assert not answer.allowed


def test_a_call_that_nothing_forbids_is_allowed_without_a_permission(connect: Connect) -> None:
    """Stage NONE has no permission."""
    with running_server(TENANT) as running:
        answer = connect(running.server.address).check(caller=ALICE, extension="118", tenant=ACME)
    assert (answer.decision, answer.stage, answer.permission) == (Decision.ALLOW, Stage.NONE, None)
    assert answer.allowed


def test_a_challenge_is_not_allowed(connect: Connect) -> None:
    """A call that asks for a password may not go ahead yet."""
    with running_server(TENANT) as running:
        answer = connect(running.server.address).check(caller=ALICE, extension="0033", outcall="3")
    assert answer.decision is Decision.CHALLENGE
    assert not answer.allowed


def test_many_questions_get_their_answers_in_order_and_errors_in_their_place(connect: Connect) -> None:
    """A question that is at fault spoils no other one."""
    calls = [Call(caller=ALICE, extension="0900123"), Call(extension=""), Call(extension="1", tenant=ALICE)]
    with running_server(TENANT) as running:
        denied, invalid, unknown = connect(running.server.address).check_many(calls)
    assert denied.decision is Decision.DENY
    assert isinstance(invalid, rightcall.InvalidCall)
    assert isinstance(unknown, rightcall.UnknownTenant)


def test_more_questions_than_a_request_may_hold_are_sent_in_parts(connect: Connect) -> None:
    """Nobody who has many questions needs to know the server's limit."""
    calls = [Call(caller=ALICE, extension="0900123" if number % 2 else "118") for number in range(2345)]
    with running_server(TENANT) as running:
        found = connect(running.server.address).check_many(iter(calls))
    assert [answer.allowed for answer in found] == [number % 2 == 0 for number in range(2345)]


def test_no_questions_get_no_answers(connect: Connect) -> None:
    """Nothing is sent where there is nothing to ask."""
    assert connect("127.0.0.1:1").check_many([]) == []


def test_an_explanation_holds_the_whole_derivation(connect: Connect) -> None:
    """Stages, candidates, patterns and reasons arrive as typed values."""
    with running_server(TENANT) as running:
        explanation = connect(running.server.address).explain(caller=ALICE, extension="0900123", outcall="3")
    assert explanation.answer.decision is Decision.DENY
    assert (explanation.tenant, explanation.caller_known, explanation.outcall_known) == (ACME, True, True)
    assert [stage.stage for stage in explanation.stages] == [Stage.USER, Stage.GROUP, Stage.OUTCALL]
    decisive = explanation.stages[1].candidates[0]
    assert decisive.permission == Permission("11", "no-premium")
    assert decisive.result is answers.CandidateResult.DECIDED
    assert (decisive.mode, decisive.has_password) == (answers.Mode.DENY, False)
    assert (decisive.matched_patterns, decisive.group_name) == (("_0900.",), "sales")
    assert explanation.stages[2].result is answers.StageResult.NOT_REACHED
    assert "no-premium" in explanation.summary


def test_the_status_tells_what_the_server_holds(connect: Connect) -> None:
    """Counts are numbers and times have a zone."""
    with running_server(TENANT) as running:
        status = connect(running.server.address).status()
        named = connect(running.server.address).status(tenant=ACME)
    (tenant,) = status.tenants
    assert status.source == running.current.source
    assert (tenant.tenant, tenant.name, tenant.users, tenant.permissions) == (ACME, "acme", 1, 2)
    assert tenant.compiled_at.tzinfo is UTC
    assert status.contacted_at is not None
    assert status.contacted_at.tzinfo is UTC
    assert status.staleness_seconds >= 0
    assert named == status


def test_an_empty_extension_is_an_invalid_call(connect: Connect) -> None:
    """What the server says is wrong reaches the caller."""
    with running_server(TENANT) as running, pytest.raises(rightcall.InvalidCall, match="extension is empty"):
        connect(running.server.address).check(extension="")


def test_text_that_cannot_be_sent_is_an_invalid_call(connect: Connect) -> None:
    """A lone surrogate, as of undecodable bytes, never reaches the server."""
    with pytest.raises(rightcall.InvalidCall, match="no UTF-8 form"):
        connect("127.0.0.1:1").check(extension="\udc80")


def test_a_tenant_that_nobody_knows_is_an_error_of_its_own(connect: Connect) -> None:
    """Whoever names tenants wants to notice a wrong one."""
    with running_server(TENANT) as running, pytest.raises(rightcall.UnknownTenant, match="not known"):
        connect(running.server.address).check(extension="1", tenant=ALICE)


def test_a_server_without_rules_is_not_ready(connect: Connect) -> None:
    """It is there, so nobody needs to look for it: it says so itself."""
    with running_server(current=CurrentSnapshots("nothing")) as running, pytest.raises(rightcall.NotReady) as caught:
        connect(running.server.address).check(extension="1")
    assert str(caught.value).startswith(wire.NOT_READY)


def test_a_server_that_is_not_there_is_unreachable(connect: Connect) -> None:
    """The error names the target and says what to check."""
    with pytest.raises(rightcall.Unreachable, match=re.escape("127.0.0.1:1 ") + ".*check that"):
        connect("127.0.0.1:1").check(extension="1")


def test_a_server_that_does_not_answer_in_time_exceeds_the_deadline(connect: Connect) -> None:
    """A peer that accepts connections and stays silent costs no more than the time allowed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"127.0.0.1:{silent.getsockname()[1]}", timeout=30)
        with pytest.raises(rightcall.DeadlineExceeded, match=re.escape("within 0.2 s")):
            client.check(extension="1", timeout=0.2)


def test_a_server_that_comes_back_is_found_again(connect: Connect) -> None:
    """The client outlives the server and needs no restart."""
    with running_server(TENANT) as running:
        address = running.server.address
        client = connect(address, timeout=1.0)
        assert client.check(extension="1").allowed
    with pytest.raises(rightcall.NoAnswer):
        client.check(extension="1")

    def answered() -> bool:
        try:
            return bool(client.check(extension="1").allowed)
        except rightcall.NoAnswer:
            return False

    with running_server(TENANT, listen=address):
        until(answered, "the server was found again")


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED], ids=lambda it: it.name)
def test_a_question_that_meets_an_unavailable_server_is_asked_again(connect: Connect, status: grpc.StatusCode) -> None:
    """Whoever asks does not notice that the first attempts failed."""
    asked: list[str] = []

    def fails_twice(request: v1.CheckCallRequest, context: grpc.ServicerContext) -> v1.CheckCallResponse:
        asked.append(request.extension)
        if len(asked) < 3:
            context.abort(status, "going down")
        return v1.CheckCallResponse(decision=v1.Decision.Value("DECISION_ALLOW"), stage=v1.Stage.Value("STAGE_NONE"))

    with answering(fails_twice) as target:
        assert connect(target).check(extension="118").allowed
    assert asked == ["118"] * 3


def test_a_client_without_retries_asks_once(connect: Connect) -> None:
    """So that a program with another way to go on learns at once that a server is away."""
    asked: list[str] = []

    def fails(request: v1.CheckCallRequest, context: grpc.ServicerContext) -> None:
        asked.append(request.extension)
        context.abort(grpc.StatusCode.UNAVAILABLE, "going down")

    with answering(fails) as target, pytest.raises(rightcall.Unreachable):
        connect(target, retry=False).check(extension="118")
    assert asked == ["118"]


def test_a_decision_that_the_client_does_not_know_is_never_taken_for_one_that_it_does(connect: Connect) -> None:
    """An answer from a newer server, or none at all, must not let a call through."""
    with answering(lambda *_: v1.CheckCallResponse()) as target, pytest.raises(rightcall.ServerError, match="update"):
        connect(target).check(extension="118")


def test_a_server_that_fails_is_a_server_error(connect: Connect) -> None:
    """A defect of the server's is told apart from a server that is not there."""

    def fails(_request: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.INTERNAL, "internal error")

    with answering(fails) as target, pytest.raises(rightcall.ServerError, match="INTERNAL"):
        connect(target).check(extension="118")


def test_a_client_that_is_closed_gives_up_what_it_asked() -> None:
    """A thread that still waits gets an error of the tree, not a hang."""
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as thread:
        client = Client(f"127.0.0.1:{silent.getsockname()[1]}", timeout=30)
        asked = thread.submit(client.check, extension="1")
        with silent.accept()[0]:  # the question is under way once there is a connection
            client.close()
        with pytest.raises(rightcall.NoAnswer):
            asked.result(10)


def test_tls_with_an_authority_of_ones_own(connect: Connect, tmp_path: Path) -> None:
    """A certificate file is all that it takes; without it the server is not trusted."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed, and nothing else here makes certificates")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        *subject,
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run(command, check=True, capture_output=True)
    secure = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    allow = v1.CheckCallResponse(decision=v1.Decision.Value("DECISION_ALLOW"), stage=v1.Stage.Value("STAGE_NONE"))
    with answering(lambda *_: allow, secure) as target:
        assert connect(target, ca_file=certificate).check(extension="1").allowed
        with pytest.raises(rightcall.NoAnswer):
            connect(target, tls=True, timeout=2).check(extension="1")


def test_an_authority_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """A wrong path is a mistake of the program's, not of the network's."""
    with pytest.raises(FileNotFoundError):
        Client(ca_file=tmp_path / "none.pem")


def test_a_client_is_shared_by_threads() -> None:
    """One connection serves many threads at the same time."""
    with (
        running_server(TENANT) as running,
        Client(running.server.address, timeout=10) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        found = list(threads.map(lambda number: client.check(extension=str(number)).allowed, range(200)))
    assert all(found)


def test_the_asynchronous_client_asks_many_questions_at_once() -> None:
    """Tasks of one loop share a connection, and the client is its context manager."""

    async def ask(target: str) -> list[bool]:
        async with AsyncClient(target, timeout=10) as client:
            found = await asyncio.gather(*(client.check(extension=str(number)) for number in range(200)))
        return [answer.allowed for answer in found]

    with running_server(TENANT) as running:
        assert all(asyncio.run(ask(running.server.address)))


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    """Whoever knows one knows the other."""
    for name in ("__init__", "check", "check_many", "explain", "status", "close"):
        blocking, asynchronous = inspect.signature(getattr(Client, name)), inspect.signature(getattr(AsyncClient, name))
        assert blocking == asynchronous, name


@pytest.mark.parametrize(
    ("ours", "api", "prefix"),
    [
        (answers.Decision, v1.Decision, "DECISION_"),
        (answers.Stage, v1.Stage, "STAGE_"),
        (answers.Mode, v1.Mode, "MODE_"),
        (answers.StageResult, v1.StageResult, "STAGE_RESULT_"),
        (answers.CandidateResult, v1.CandidateResult, "CANDIDATE_RESULT_"),
    ],
)
def test_the_enumerations_are_those_of_the_api(ours: Any, api: Any, prefix: str) -> None:
    """A member added to the API is added to the client as well."""
    assert {prefix + member.name: member.value for member in ours} == {
        name: number for name, number in api.items() if number
    }


def test_the_library_brings_neither_server_nor_loader_nor_command_line() -> None:
    """Whoever embeds the client pays for the client alone."""
    heavy = "{'pdp', 'loader', 'click', 'rich', 'rich_click', 'redis', 'pydantic', 'yaml', 'prometheus_client'}"
    program = (
        "import sys; from rightcall import *; import rightcall.aio\n"
        f"print({heavy} & {{name.split('.')[0] for name in sys.modules}})"
    )
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "set()"


def test_every_public_name_exists_and_is_exported() -> None:
    """What ``rightcall`` offers is what ``__all__`` says."""
    assert all(hasattr(rightcall, name) for name in rightcall.__all__)
    assert list(rightcall.__all__) == sorted(rightcall.__all__)
    assert set(rightcall.__all__) <= set(dir(rightcall))
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        _ = rightcall.Server  # type: ignore[attr-defined] # that is the point


def test_an_answer_has_no_truth() -> None:
    """A denial is an object as well, so the obvious one-liner would let every call through."""
    denied = answers.Answer(Decision.DENY, Stage.USER, None, "", "")
    wrong = answers.ChallengeAnswer(Decision.DENY, 0, "", 0)

    for answer in (denied, wrong):
        with pytest.raises(TypeError, match=r"ask \.allowed"):
            bool(answer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"caller": None}, "caller is NoneType, not text"),
        ({"outcall": 1}, "outcall is a number; write '1'"),
        ({"extension": 118}, "extension is a number; write '118'"),
        ({"tenant": b"x"}, "tenant is bytes, not text"),
        ({"forwarded_by": True}, "forwarded_by is bool, not text"),
    ],
)
def test_what_is_no_text_is_no_question(connect: Connect, arguments: dict[str, Any], message: str) -> None:
    """None would pass for a caller without permissions."""
    with pytest.raises(TypeError, match=message):
        connect("localhost:1").check(**{"extension": "118"} | arguments)


@pytest.mark.parametrize("extension", ["112", "1 1 2", "112#"])
def test_emergency_calls_are_allowed_where_no_server_answers(connect: Connect, extension: str) -> None:
    """Of the numbers that the client was told of; others get no answer, as ever."""
    client = connect("localhost:1", emergency=["112"], timeout=0.5)
    answer = client.check(extension=extension, caller=ALICE)

    assert (answer.allowed, answer.stage, answer.reason) == (True, Stage.EMERGENCY, answers.Reason.EMERGENCY)
    with pytest.raises(rightcall.NoAnswer):
        client.check(extension="1120", caller=ALICE)
