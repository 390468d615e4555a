"""The certification scenario of Authorization API 1.0, put as calls: a number for each action on a record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
import urllib3
from definitions import tenant_from
from given import ACME, ALICE, BOB
from server import running_server, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

READ, READ_OTHER, WRITE = ({"type": "extension", "id": number} for number in ("801", "802", "901"))
"""`read` on record-1 and record-2, `write` on record-1, which Bob may not."""
ALICE_, BOB_, USER = {"type": "user", "id": "alice"}, {"type": "user", "id": "bob"}, {"type": "user"}
CALL, RECORD, SHIP = {"name": "call"}, {"type": "extension"}, {"type": "spaceship", "id": "1"}
ONE: Final[dict[str, Any]] = {"subject": ALICE_, "action": CALL, "resource": READ}
TIME = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}
EVALUATION, EVALUATIONS, SEARCH = "/access/v1/evaluation", "/access/v1/evaluations", "/access/v1/search/"
OK, BAD = 200, 400


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with the scenario's fixture."""
    users = [{"uuid": ALICE, "aliases": ["alice"]}, {"uuid": BOB, "aliases": ["bob"]}]
    write = {"id": 1, "extensions": ["_90X"], "users": [BOB]}
    tenant = tenant_from({"uuid": ACME, "users": users, "call_permissions": [write]})
    with running_server(snapshot_of(tenant)) as running:
        yield f"http://{running.server.http_address}"


def post(url: str, path: str, document: Any, **headers: str) -> urllib3.BaseHTTPResponse:
    """The response to a document; to bytes as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): one for name, one in headers.items()}
    return urllib3.request("POST", url + path, body=body, headers=headers, timeout=30)


def without(member: str, part: str = "") -> dict[str, Any]:
    """The request without a member, or without a part of one."""
    if part:
        return {**ONE, member: {name: value for name, value in ONE[member].items() if name != part}}
    return {name: value for name, value in ONE.items() if name != member}


@pytest.mark.parametrize(
    ("path", "change", "decision"),
    [
        (EVALUATION, {}, True),
        (EVALUATION, {"resource": WRITE}, True),
        (EVALUATION, {"subject": BOB_}, True),
        (EVALUATION, {"subject": BOB_, "resource": WRITE}, False),
        (EVALUATION, {"context": TIME}, True),
        (EVALUATION, {"subject": {**ALICE_, "properties": {"role": "manager"}}}, True),
        (EVALUATION, {"action": {**CALL, "properties": {"method": "GET"}}}, True),
        (EVALUATION, {"resource": {**READ, "properties": {"status": "active"}}}, True),
        (EVALUATION, {"foo": "bar", "futureField": {"nested": True}}, True),
        (EVALUATIONS, {}, True),
        (EVALUATIONS, {"evaluations": []}, True),
    ],
)
def test_single_evaluations(url: str, path: str, change: dict[str, Any], decision: bool) -> None:  # noqa: FBT001 - a case's
    """Decided, as JSON, each time the same; what is not known in a request changes nothing."""
    for _ in range(2):
        response = post(url, path, {**ONE, **change})
        assert response.status == OK
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.json()["decision"] is decision


@pytest.mark.parametrize(
    "document",
    [
        *(without(member) for member in ONE),
        *(without(*pair) for pair in (("subject", "type"), ("subject", "id"), ("action", "name"))),
        *(without("resource", part) for part in ("type", "id")),
        {**ONE, "subject": "alice"},
        {**ONE, "action": {"name": 123}},
        b'{"subject":',
        b"",
    ],
)
def test_evaluations_at_fault(url: str, document: Any) -> None:
    """Status 400, and the request's id comes back."""
    response = post(url, EVALUATION, document, X_Request_ID="bfe9eb29")
    assert (response.status, response.headers["X-Request-ID"]) == (BAD, "bfe9eb29")


def test_another_content_type_is_at_fault(url: str) -> None:
    """Status 400, not 415."""
    assert post(url, EVALUATION, ONE, Content_Type="text/plain").status == BAD


@pytest.mark.parametrize(
    ("defaults", "evaluations", "decisions"),
    [
        ({"subject": ALICE_, "action": CALL}, [{"resource": READ}, {"resource": READ_OTHER}], [True, True]),
        ({"subject": BOB_, "action": CALL}, [{"resource": READ}, {"resource": WRITE}], [True, False]),
        ({}, [ONE, {"subject": BOB_, "action": CALL, "resource": WRITE}], [True, False]),
        (
            {"subject": ALICE_, "action": CALL, "context": TIME},
            [{"resource": READ}, {"resource": READ_OTHER, "context": {"source": "batch-override"}}],
            [True, True],
        ),
        ({"subject": BOB_, "action": CALL, "resource": READ}, [{}, {"resource": WRITE}], [True, False]),
        ({"subject": ALICE_, "action": CALL}, [{"resource": READ}, {}], [True, False]),
    ],
)
def test_batches(url: str, defaults: Any, evaluations: Any, decisions: list[bool]) -> None:
    """As many decisions as evaluations, in their order; one at fault is false."""
    response = post(url, EVALUATIONS, {**defaults, "evaluations": evaluations})
    assert response.status == OK
    assert [one["decision"] for one in response.json()["evaluations"]] == decisions
    assert "decision" not in response.json()


def found(url: str, kind: str, document: Any) -> Any:
    """The results of a search."""
    response = post(url, SEARCH + kind, document)
    assert response.status == OK, response.data
    return response.json()["results"]


def test_searches(url: str) -> None:
    """Results are of the type that is searched for; a context and an id of what is searched for change nothing."""
    subjects = found(url, "subject", {**ONE, "subject": USER})
    resources = found(url, "resource", {**ONE, "resource": RECORD})
    actions = found(url, "action", without("action"))

    assert subjects == [{"type": "user", "id": ALICE}, {"type": "user", "id": BOB}]
    assert resources
    assert {one["type"] for one in resources} == {"extension"}
    assert actions == [CALL]
    assert found(url, "subject", {**ONE, "context": TIME}) == subjects
    assert found(url, "resource", {**ONE, "context": TIME}) == resources
    assert found(url, "action", {**without("action"), "context": TIME}) == actions


def test_pages_of_a_search(url: str) -> None:
    """The token of one leads to the next; the last has none."""
    request = {**ONE, "subject": USER}
    first = post(url, SEARCH + "subject", {**request, "page": {"limit": 1}}).json()
    second = post(url, SEARCH + "subject", {**request, "page": {"token": first["page"]["next_token"]}}).json()
    assert [one["id"] for one in first["results"] + second["results"]] == [ALICE, BOB]
    assert second["page"]["next_token"] == ""


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("action", {"subject": {"type": "user", "id": "nonexistent-user"}}),
        ("resource", {"subject": {"type": "user", "id": "nonexistent-user"}}),
        ("subject", {"subject": {"type": "spaceship"}}),
        ("subject", {"resource": SHIP}),
        ("resource", {"resource": {"type": "spaceship"}}),
        ("action", {"subject": SHIP}),
        ("action", {"resource": SHIP}),
    ],
)
def test_searches_without_results(url: str, kind: str, change: dict[str, Any]) -> None:
    """What is not known is in no results, and no error."""
    assert found(url, kind, {**ONE, **change}) == []


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("subject", {"subject": USER, "resource": READ}),
        ("resource", {"action": CALL, "resource": RECORD}),
        ("action", {"subject": ALICE_}),
        ("subject", {"subject": USER, "action": CALL, "resource": RECORD}),
        ("resource", {"subject": USER, "action": CALL, "resource": RECORD}),
        ("action", {"subject": USER, "resource": READ}),
    ],
)
def test_searches_at_fault(url: str, kind: str, document: Any) -> None:
    """An input without its id, and a part that is missing, are status 400."""
    assert post(url, SEARCH + kind, document).status == BAD


def test_discovery(url: str) -> None:
    """The configuration is that of the URL, and names the endpoints."""
    response = urllib3.request("GET", f"{url}/.well-known/authzen-configuration", timeout=30)
    configuration = response.json()
    assert (response.status, configuration["policy_decision_point"]) == (OK, url)
    assert response.headers["Content-Type"].startswith("application/json")
    assert configuration["access_evaluation_endpoint"] == url + EVALUATION
