"""Lockouts as an operator sees and lifts them: who may, and what is told of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from click.testing import CliRunner
from definitions import tenant_from
from given import ACME, ALICE, BOB, BOLT, KEY, denying
from redis import Redis
from security import bearer, client_of, clients_file, refusal
from server import DEADLINE, current_of, running_server, snapshot_of
from structlog.testing import capture_logs

from pdp.challenges.attempts import Limits
from pdp.challenges.attempts_redis import RedisAttempts
from pdp.challenges.delays import Paces
from pdp.challenges.delays_redis import RedisDelays
from pdp.errors import CallError, InvalidCall, NotAllowed
from pdp.security.settings import Auth, SecuritySettings
from pdp.services.lockouts import LockoutService
from rightcall import Client, v1
from rightcall.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis_server import RedisServer
    from server import Running

pytestmark = pytest.mark.every_transport

RULES = tenant_from(
    {
        "uuid": ACME,
        "users": [{"uuid": ALICE, "aliases": ["alice"]}, {"uuid": BOB}],
        "outcalls": [{"id": "3"}],
        "call_permissions": [
            {"id": 12, "password": "4321", "extensions": ["_00."], "users": [ALICE, BOB], "outcalls": ["3"]}
        ],
    }
)


@pytest.fixture(params=["memory", "redis"])
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A server on this machine, with attempts in memory or in Redis."""
    rules = current_of(snapshot_of(RULES, secret=KEY))
    if request.param == "memory":
        with running_server(current=rules, secrets=(KEY,)) as it:
            yield it
        return
    server: RedisServer = request.getfixturevalue("redis")
    with Redis.from_url(server.url) as client:
        attempts, delays = RedisAttempts(client, Limits()), RedisDelays(client, Paces())
        with running_server(current=rules, secrets=(KEY,), attempts=attempts, delays=delays) as it:
            yield it


def lock_out(running: Running, **call: Any) -> None:
    """Dials wrong PINs until nothing is looked at."""
    with Client(running.server.address) as client:
        challenge = client.check(extension="0033", tenant=ACME, **call).challenge
        for pin in ("1", "2", "3"):
            client.answer_challenge(challenge, pin)


def opens(running: Running, **call: Any) -> bool:
    """Whether the right PIN opens a call."""
    with Client(running.server.address) as client:
        return client.answer_challenge(client.check(extension="0033", tenant=ACME, **call).challenge, "4321").allowed


def rightcall(running: Running, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command."""
    ran = CliRunner().invoke(main, [*arguments, "--target", running.server.address], prog_name="rightcall")
    return ran.exit_code, ran.output


def test_an_operator_sees_who_is_locked_out_and_lets_them_in(running: Running) -> None:
    """By UUID or alias; strangers by their outcall; the server's log says who did it, and no PIN."""
    lock_out(running, caller=ALICE)
    lock_out(running, outcall="3")
    code, told = rightcall(running, "lockouts")
    listed = json.loads(rightcall(running, "lockouts", "--json", "--tenant", ACME)[1])
    with capture_logs() as logs:
        done = [rightcall(running, "unlock", *who) for who in (("alice",), ("alice",), ("--outcall", "3"))]

    assert code == 0
    assert ALICE in told
    assert "unknown, outcall 3" in told
    assert [(one["caller"], one["outcall"], one["lockouts"]) for one in listed["lockouts"]] == [
        ("", "3", 1),
        (ALICE, "", 1),
    ]
    assert [(code, f"caller {ALICE}" in text, "forgotten" in text) for code, text in done] == [
        (0, True, True),
        (0, True, False),
        (0, False, True),
    ]
    lifted = [entry for entry in logs if entry["event"] == "lockout_lifted"]
    assert [(one.get("caller"), one.get("outcall"), one["lifted"]) for one in lifted] == [
        (ALICE, None, True),
        (ALICE, None, False),
        (None, "3", True),
    ]
    assert all(one["client"] == "address:ipv4:127.0.0.1" for one in lifted)
    rightcall(running, "unlock", "--permission", "12")  # six wrong ones are enough to delay the next
    assert opens(running, caller=ALICE)
    assert json.loads(rightcall(running, "lockouts", "--json")[1])["lockouts"] == []


def test_an_operator_ends_the_delays_of_a_permission(running: Running) -> None:
    """They are listed by lane, and end for all callers."""
    for caller in (ALICE, BOB):
        lock_out(running, caller=caller)
    listed = json.loads(rightcall(running, "lockouts", "--json")[1])["delays"]

    assert {(one["permission"], one["lane"], one["clients"]) for one in listed} == {
        ("12", "strange", 1),
        ("12", "common", 1),
    }
    assert "forgotten" in rightcall(running, "unlock", "--permission", "12")[1]
    rightcall(running, "unlock", ALICE)
    rightcall(running, "unlock", BOB)
    assert rightcall(running, "lockouts")[1].startswith("Nobody is locked out")
    assert opens(running, caller=BOB)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({}, "name one of"),
        ({"caller": ALICE, "outcall": "3"}, "name one of"),
        ({"caller": "nobody", "tenant": ACME}, "nobody"),
        ({"permission": "12"}, "name the tenant"),
        ({"caller": "x" * 200}, "neither a UUID"),
    ],
)
def test_what_names_nobody_is_an_error(request_: dict[str, str], error: str) -> None:
    """It says what to send."""
    service = LockoutService(current_of(RULES, denying("118", tenant=BOLT)), None)
    with pytest.raises(InvalidCall, match=error):
        service.unlock(v1.UnlockRequest(**request_))


def test_a_server_that_takes_no_pins_has_no_lockouts() -> None:
    """And says so without an error."""
    service = LockoutService(current_of(RULES), None)

    assert service.list_lockouts(v1.ListLockoutsRequest()) == v1.ListLockoutsResponse()
    assert not service.unlock(v1.UnlockRequest(caller=ALICE)).lifted
    with pytest.raises(CallError, match="limit"):
        service.list_lockouts(v1.ListLockoutsRequest(limit=10_001))


def test_only_clients_with_the_right_may_and_only_for_their_tenants(tmp_path: Path) -> None:
    """The right is in no other, so clients of before do not get it."""
    clients = clients_file(
        tmp_path,
        client_of("old", "token-old"),
        client_of("help", "token-help", services=["lockouts"], tenants=[BOLT]),
        client_of("root", "token-root", services=["lockouts"]),
    )
    rules = current_of(snapshot_of(RULES, secret=KEY), denying("118", tenant=BOLT, user=BOB))
    security = SecuritySettings(auth=Auth.TOKENS, clients=clients)
    with running_server(current=rules, secrets=(KEY,), security=security) as running:
        service = v1.LockoutServiceStub(running.channel)

        def unlock(token: str, **request: str) -> grpc.StatusCode:
            asked = v1.UnlockRequest(**request)
            return refusal(lambda: service.Unlock(asked, metadata=bearer(token), timeout=DEADLINE))

        def listed(token: str, tenant: str = "") -> grpc.StatusCode:
            asked = v1.ListLockoutsRequest(tenant=tenant)
            return refusal(lambda: service.ListLockouts(asked, metadata=bearer(token), timeout=DEADLINE))

        ok, denied = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED
        assert [unlock("token-old", caller=ALICE), listed("token-old")] == [denied, denied]
        assert [unlock("token-help", caller=BOB), listed("token-help")] == [ok, ok]
        assert [unlock("token-help", caller=ALICE, tenant=ACME), listed("token-help", ACME)] == [denied, denied]
        assert [unlock("token-root", caller=ALICE), listed("token-root", ACME)] == [ok, ok]
        assert unlock("token-nobody", caller=ALICE) is grpc.StatusCode.UNAUTHENTICATED


def test_where_nobody_authenticates_only_this_machine_may() -> None:
    """Whoever guesses PINs from elsewhere must not start afresh."""
    security = SecuritySettings(auth=Auth.NONE)
    with running_server(RULES, security=security, listen="0.0.0.0:0") as running:
        service = v1.LockoutServiceStub(running.channel)
        said = [
            refusal(lambda: service.Unlock(v1.UnlockRequest(caller=ALICE), timeout=DEADLINE)),
            refusal(lambda: service.ListLockouts(v1.ListLockoutsRequest(), timeout=DEADLINE)),
        ]

    assert said == [grpc.StatusCode.PERMISSION_DENIED] * 2
    with pytest.raises(NotAllowed):
        LockoutService(current_of(RULES), None, lambda: NotAllowed("service")).unlock(v1.UnlockRequest(caller=ALICE))
