"""Delays as a client meets them: over each transport, over HTTP, and with the client library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from authzen_client import ask, question
from definitions import tenant_from
from given import ACME, ALICE, BOB, KEY
from server import DEADLINE, current_of, running_server, snapshot_of
from structlog.testing import capture_logs

from pdp.transports.choice import Transport
from rightcall import Client, PinsDelayed, v1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

RULES = tenant_from(
    {
        "uuid": ACME,
        "users": [{"uuid": ALICE}, {"uuid": BOB}],
        "call_permissions": [{"id": 12, "password": "4321", "extensions": ["_00."], "users": [ALICE, BOB]}],
    }
)
CHALLENGE = "/rightcall/v1/challenge"


@pytest.fixture(params=[Transport.GRPCIO, Transport.CORE])
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
