"""Delays as a client meets them: over each transport, over HTTP, and with the client library."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count, cycle
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from authzen_client import ask, question
from clock import Clock
from cores import EACH_TRANSPORT
from definitions import tenant_from
from given import ACME, ALICE, BOB, KEY
from redis import Redis
from security import bearer, client_of, clients_file
from server import DEADLINE, current_of, running_server, snapshot_of
from structlog.testing import capture_logs

from pdp.challenges.attempts import Limits
from pdp.challenges.attempts_redis import RedisAttempts
from pdp.challenges.delays import Paces
from pdp.challenges.delays_redis import RedisDelays
from pdp.security.settings import Auth, SecuritySettings
from rightcall import Client, PinsDelayed, v1

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis_server import RedisServer
    from server import Running

RULES = tenant_from(
    {
        "uuid": ACME,
        "users": [{"uuid": ALICE}, {"uuid": BOB}],
        "call_permissions": [{"id": 12, "password": "4321", "extensions": ["_00."], "users": [ALICE, BOB]}],
    }
)
CHALLENGE = "/rightcall/v1/challenge"


@pytest.fixture(params=EACH_TRANSPORT)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A server that looks at very few wrong PINs."""
    rules = current_of(snapshot_of(RULES, secret=KEY))
    with running_server(current=rules, secrets=(KEY,), transport=request.param, pin_guesses=1) as server:
        yield server


def challenge(running: Running, caller: str) -> str:
    """The challenge of a call abroad."""
    return running.decisions.CheckCall(
        v1.CheckCallRequest(caller=caller, extension="0033", tenant=ACME), timeout=DEADLINE
    ).challenge


def test_what_is_not_looked_at_names_the_time_to_wait_on_every_way(running: Running) -> None:
    """As a status, as trailing metadata, as a header of HTTP, and as an attribute of the library's error."""
    with capture_logs() as logs, Client(running.server.address) as client:
        for pin in ("1", "2"):
            assert not client.answer_challenge(challenge(running, ALICE), pin).allowed
        asked = v1.AnswerChallengeRequest(challenge=challenge(running, BOB), password="4321")
        with pytest.raises(grpc.RpcError) as refused:
            running.decisions.AnswerChallenge(asked, timeout=DEADLINE)
        with pytest.raises(PinsDelayed) as delayed:
            client.answer_challenge(challenge(running, BOB), "4321")
        step_up = ask(running, question("0033", BOB, tenant=ACME)).document["context"]["step_up"]
        posted = ask(running, {"challenge": step_up["challenge"], "password": "4321"}, CHALLENGE)

    trailing: dict[str, str] = dict(cast("Any", refused.value.trailing_metadata()))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 0 < int(trailing["retry-after-ms"]) <= 15 * 60 * 1000 * 100
    assert delayed.value.retry_after in range(1, 15 * 60 * 100 + 1)
    assert (posted.status, posted.document["error"]["code"]) == (429, "RESOURCE_EXHAUSTED")
    assert int(posted.headers["Retry-After"]) in range(1, 15 * 60 * 100 + 1)
    told = [entry for entry in logs if entry["event"] == "pins_delayed"]
    assert [entry["client"] for entry in told] == ["address:ipv4:127.0.0.1"], "one place, on whichever way"
    assert running.metrics.registry.get_sample_value("rightcall_challenges_total", {"result": "delayed"}) == 3


def test_without_a_limit_every_wrong_pin_is_looked_at() -> None:
    """As it was: only the caller's own attempts are limited."""
    rules = current_of(snapshot_of(RULES, secret=KEY))
    with running_server(current=rules, secrets=(KEY,), pin_guesses=0, challenge_attempts=100) as running:
        for number in range(30):
            asked = v1.AnswerChallengeRequest(challenge=challenge(running, ALICE), password=str(number))
            assert running.decisions.AnswerChallenge(asked, timeout=DEADLINE).attempts_left == 99 - number


def test_without_authentication_an_address_is_one_client_over_http_too() -> None:
    """Where limits count all of HTTP as one client, delays do not."""
    rules = current_of(snapshot_of(RULES, secret=KEY))
    security = SecuritySettings(auth=Auth.NONE, client_rate=10_000)
    with (
        capture_logs() as logs,
        running_server(current=rules, secrets=(KEY,), pin_guesses=1, security=security) as running,
    ):
        for pin in ("1", "2", "3"):
            ask(running, {"challenge": challenge(running, ALICE), "password": pin}, CHALLENGE)

    assert [one["client"] for one in logs if one["event"] == "pins_delayed"] == ["address:ipv4:127.0.0.1"]


def test_a_pin_of_3400_users_is_guessed_at_less_than_a_hundred_times_an_hour_and_they_get_in(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Twenty clients, over both of two servers, as every user in turn; the telephone system's users feel nothing."""
    users = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(3400)]
    permission = {"id": 12, "password": "4321", "extensions": ["_00."], "users": users}
    tenant = tenant_from({"uuid": ACME, "users": [{"uuid": one} for one in users], "call_permissions": [permission]})
    names = ["pbx", *(f"attacker-{number}" for number in range(20))]
    clients = clients_file(tmp_path, *(client_of(name, name) for name in names))
    settings: dict[str, Any] = {"security": SecuritySettings(auth=Auth.TOKENS, clients=clients), "secrets": (KEY,)}
    current, clock, tried = current_of(snapshot_of(tenant, secret=KEY)), Clock(), count()
    refused: set[grpc.StatusCode] = set()
    with ExitStack() as stack:
        client = stack.enter_context(Redis.from_url(redis.url))
        counting: dict[str, Any] = {
            "attempts": RedisAttempts(client, Limits()),
            "delays": RedisDelays(client, Paces(), now=clock),
        }
        servers = [stack.enter_context(running_server(current=current, **settings, **counting)) for _ in range(2)]

        def dial(name: str, user: str, pin: str) -> bool | None:
            """Whether a PIN opens the call; None: it was not looked at."""
            running, token = servers[next(tried) % 2], bearer(name)
            call = v1.CheckCallRequest(caller=user, extension="0033")
            asked = running.decisions.CheckCall(call, metadata=token, timeout=DEADLINE).challenge
            answer = v1.AnswerChallengeRequest(challenge=asked, password=pin)
            try:
                said = running.decisions.AnswerChallenge(answer, metadata=token, timeout=DEADLINE)
            except grpc.RpcError as error:
                refused.add(error.code())
                return None
            return said.decision == v1.Decision.DECISION_ALLOW

        assert dial("pbx", users[0], "4321")
        victims, looked = cycle(users), 0
        for minute in range(0, 60, 5):
            for name in names[1:]:
                while dial(name, next(victims), f"{looked:04}") is False:
                    looked += 1
            assert dial("pbx", users[0], "4321"), "a caller who dialled it before"
            assert dial("pbx", users[-1 - minute], "4321"), "and one who did not"
            clock.now += 300

    assert 60 <= looked <= 100
    assert refused == {grpc.StatusCode.RESOURCE_EXHAUSTED}
