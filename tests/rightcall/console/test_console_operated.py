"""The console of a running server: decisions as they come, lockouts, revisions, and who may change something."""

from __future__ import annotations

import re
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from consoles import Seen, fetched
from definitions import tenant_from
from followers import publisher_to
from given import ACME, ALICE, BOB, BOLT, KEY, GivenSource, denying
from security import bearer, check, client_of, clients_file
from server import DEADLINE, current_of, running_server, snapshot_of
from structlog.testing import capture_logs
from waiting import until

from loader.cycle import Synchronizer
from loader.publishing.publish import Origin, RedisPublisher
from loader.publishing.revisions import Revisions
from pdp.decision_log.log import DecisionLog, DecisionLogSettings
from pdp.decision_log.sinks import NullSink
from pdp.rules.model import PasswordOverride
from pdp.rules.publication.keys import DEFAULT_SCOPE
from pdp.security.settings import Auth, SecuritySettings
from pdp.transports.choice import Transport, core_is_built
from rightcall import v1
from rightcall.console.mount import mounted
from rightcall.programs.history import HistoryError, PublishedHistory, SeenHistory
from rightcall.programs.serving import Served
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from redis_server import RedisServer
    from server import Running
    from starlette.routing import Mount, Route

    from pdp.app import ServerParts
    from pdp.metrics.registry import Metrics

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"
PIN = "4321"
RULES = tenant_from(
    {
        "uuid": ACME,
        "name": "acme",
        "users": [{"uuid": ALICE, "name": "Alice"}],
        "outcalls": [{"id": "3"}],
        "call_permissions": [
            {"id": 12, "name": "world", "password": PIN, "extensions": ["_00."], "users": [ALICE], "outcalls": ["3"]},
            {"id": 13, "name": "premium", "extensions": ["_0900."], "users": [ALICE]},
        ],
    }
)


def fleeting(_metrics: Metrics) -> DecisionLog:
    """A log for pages alone, as a server without a decision log has it."""
    return DecisionLog(NullSink(), DecisionLogSettings(queue=64, gather=0.05), None)


def security(directory: Path) -> SecuritySettings:
    """A reader, one who may change something, one of another tenant, and a switchboard."""
    file = clients_file(
        directory,
        client_of("reader", "r", services=["console"]),
        client_of("operator", "o", services=["console", "lockouts", "rollback"]),
        client_of("bound", "b", services=["console", "lockouts", "rollback"], tenants=[BOLT]),
        client_of("switchboard", "s", services=["decision"]),
    )
    return SecuritySettings(auth=Auth.TOKENS, clients=file)


TRANSPORTS = [Transport.GRPCIO, *([Transport.CORE] if core_is_built() else [])]


@pytest.fixture(scope="module", params=TRANSPORTS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of two tenants, over each transport."""

    def pages(parts: ServerParts) -> Sequence[Route | Mount]:
        return mounted(parts, Served(SeenHistory(parts.whole)))

    rules = current_of(snapshot_of(RULES, secret=KEY), snapshot_of(denying("0911", tenant=BOLT, user=BOB), secret=KEY))
    with running_server(
        current=rules,
        secrets=(KEY,),
        decision_log=fleeting,
        transport=request.param,
        pages=pages,
        security=security(tmp_path_factory.mktemp("clients")),
    ) as it:
        yield it


def page_of(running: Running, path: str, token: str, form: dict[str, str] | None = None) -> Seen:
    """A page of the server's console, as a client sees it."""
    url = f"http://{running.server.http_address}/console/{path}"
    return fetched(url, form, Authorization=f"Bearer {token}")


def form_of(page: Seen, action: str, **fields: str) -> dict[str, str]:
    """What a form on a page sends."""
    html = page.html.partition(f'action="/console/{action}"')[2].partition("</form>")[0]
    return {**dict(re.findall(r'name="(\w+)" value="([^"]*)"', html)), **fields}


def test_decisions_are_shown_as_they_come_to_those_whose_tenant_it_is(running: Running) -> None:
    """Refusals apart; texts of callers stay texts; a client of another tenant sees neither calls nor totals."""
    for extension in ("0900123", "118", HOSTILE):
        check(running, "s", extension=extension, caller=ALICE, tenant=ACME)
    address = f"now?tenant={ACME}"
    until(lambda: HOSTILE in page_of(running, address, "r").text, "all are shown")
    page = page_of(running, address, "r")
    assert "<script>alert" not in page.html
    assert "DENY Alice 0900123 premium switchboard" in page.text
    assert "by premium" in page.text
    refused = page_of(running, f"{address}&only=refused", "r").text
    assert ("0900123" in refused, "118" in refused) == (True, False)
    other = page_of(running, "now", "b")
    assert not any(text in other.html for text in ("0900123", "Alice", ACME, "since the start</li>"))


def test_a_page_that_follows_hears_of_the_next_decision(running: Running) -> None:
    """By server-sent events, which end when the client may look no more; they are not for strangers."""
    connection = HTTPConnection(running.server.http_address, timeout=20)
    connection.request("GET", f"/console/now/stream?tenant={ACME}", headers={"Authorization": "Bearer r"})
    events = connection.getresponse()
    assert events.headers["Content-Type"].startswith("text/event-stream")
    assert events.readline() == b"event: now\n"
    check(running, "s", extension="0900777", caller=ALICE, tenant=ACME)
    while b"0900777" not in (line := events.readline()):
        assert line, "the events ended"
    events.close()
    connection.close()
    assert page_of(running, "now/stream", "s").status == 401


def test_a_lockout_is_seen_by_readers_and_lifted_by_operators_alone(running: Running) -> None:
    """With a form of the operator's own page; and the log says who did it."""
    challenge = check(running, "s", extension="0033", caller=ALICE, tenant=ACME).challenge
    for pin in ("1", "2", "3"):
        answer = v1.AnswerChallengeRequest(challenge=challenge, password=pin)
        running.decisions.AnswerChallenge(answer, metadata=bearer("s"), timeout=DEADLINE)
    person = f"people/{ALICE}?tenant={ACME}"
    seen = page_of(running, person, "r")
    assert "Locked out" in seen.text
    assert "Unlock" not in seen.text
    assert "Alice" in page_of(running, f"now?tenant={ACME}", "r").text.partition("Locked out")[2]

    form = form_of(page_of(running, person, "o"), "unlock")
    assert form["caller"] == ALICE
    for token, sent in (("r", form), ("o", form | {"form_token": ""}), ("b", form), ("o", {"tenant": ACME})):
        assert page_of(running, "unlock", token, sent).status == 403
    assert "Locked out" in page_of(running, person, "r").text
    with capture_logs() as logs:
        lifted = page_of(running, "unlock", "o", form)
    assert lifted.status == 303
    assert "Locked out" not in page_of(running, person, "r").text
    assert [(one["client"], one["caller"]) for one in logs if one["event"] == "lockout_lifted"] == [("operator", ALICE)]


def published(redis: RedisServer) -> list[str]:
    """Publishes two revisions of a tenant, the second with an author and a message; newest first."""
    publisher = (
        publisher_to(redis),
        RedisPublisher(open_redis(redis.url), "redis", secret=KEY, origin=Origin("rightcall load", "Eve", HOSTILE)),
    )
    for each, tenant in zip(publisher, (denying("118", "_0900."), denying("118")), strict=True):
        Synchronizer(GivenSource(tenant), each, secret=KEY, password_override=PasswordOverride.ALL).sync()
    return [str(kept.revision) for kept in Revisions(open_redis(redis.url), "redis", secret=KEY).kept(ACME)]


def test_revisions_say_who_and_why_and_an_operator_rolls_back(redis: RedisServer, tmp_path: Path) -> None:
    """What an edit changed, what going back would change, then the pin and its end; a reader changes nothing."""
    new, old = published(redis)

    def pages(parts: ServerParts) -> Sequence[Route | Mount]:
        return mounted(parts, Served(PublishedHistory(open_redis(redis.url), "redis", DEFAULT_SCOPE, KEY)))

    rules = current_of(snapshot_of(denying("118"), secret=KEY), snapshot_of(denying("1", tenant=BOLT), secret=KEY))
    with running_server(current=rules, secrets=(KEY,), pages=pages, security=security(tmp_path)) as running:
        address = f"changes?tenant={ACME}"
        newest = page_of(running, address, "r")
        assert "Eve" in newest.text
        assert HOSTILE in newest.text
        assert "<script>alert" not in newest.html
        assert re.search("What it changed wider .*0900", newest.text)
        earlier = page_of(running, f"{address}&revision={old}", "r")
        assert re.search("going back to it would change narrower .*0900", earlier.text)
        assert "Roll back" not in earlier.text
        assert page_of(running, f"{address}&revision=7", "r").status == 404

        form = form_of(page_of(running, f"{address}&revision={old}", "o"), "changes/roll-back")
        assert form["revision"] == old
        for token, sent in (("r", form), ("b", form), ("o", form | {"form_token": "0" * 64})):
            assert page_of(running, "changes/roll-back", token, sent).status == 403
        with capture_logs() as logs:
            assert page_of(running, "changes/roll-back", "o", form).status == 303
        assert {"tenant": ACME, "revision": old, "client": "operator"}.items() <= logs[-1].items()
        assert logs[-1]["event"] == "tenant_rolled_back"
        assert "current and pinned" in page_of(running, f"{address}&revision={old}", "r").text

        form = form_of(page_of(running, f"{address}&revision={old}", "o"), "changes/unpin")
        assert page_of(running, "changes/unpin", "o", form).status == 303
        assert "pinned" not in page_of(running, f"{address}&revision={old}", "r").text
        missing = page_of(running, "changes/roll-back", "o", form | {"revision": "7"})
        assert f"no revision 7 in redis; kept are: {new}" in missing.text


def test_a_server_of_definitions_shows_the_revisions_that_it_has_read() -> None:
    """Since its start, without a way back but to edit; a tenant's own alone, and not without bounds."""
    current = current_of(snapshot_of(denying("118"), number=1))
    history = SeenHistory(current)
    for number in range(2, 40):
        current.replace(snapshot_of(denying(str(number)), number=number))
    current.replace(snapshot_of(denying("119", tenant=BOLT)))
    entries = history.entries(ACME)
    assert [entry.revision.partition("-")[0] for entry in entries] == [str(number) for number in range(39, 19, -1)]
    assert [entry.current for entry in entries] == [True] + 19 * [False]
    assert history.content(ACME, entries[1].revision).call_permissions[0].extensions == ("38",)
    with pytest.raises(HistoryError, match="not remembered"):
        history.content(BOLT, entries[1].revision)
