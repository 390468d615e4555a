"""A client of AuthZEN, for tests, and rules to ask about."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from definitions import tenant_from
from given import ACME, ALICE, BOB
from server import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server import Running

    from pdp.rules.model import Tenant

JSON = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    document: Any


def acme() -> Tenant:
    """Alice may not dial 0900, and needs a password for 00; the outcall 3 denies 118."""
    return tenant_from(
        {
            "uuid": ACME,
            "users": [{"uuid": ALICE}, {"uuid": BOB}],
            "outcalls": [{"id": "3"}],
            "call_permissions": [
                {"id": 1, "name": "premium", "extensions": ["_0900."], "users": [ALICE]},
                {"id": 2, "name": "world", "extensions": ["_00."], "users": [ALICE], "password": "4321"},
                {"id": 3, "name": "directory", "extensions": ["118"], "outcalls": ["3"]},
            ],
        }
    )


def ask(
    running: Running,
    body: object,
    path: str = "/access/v1/evaluation",
    headers: Mapping[str, str] = JSON,
    method: str = "POST",
) -> Answer:
    """One request; a body that is no bytes is sent as JSON."""
    connection = http.client.HTTPConnection(running.server.http_address, timeout=DEADLINE)
    try:
        connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body), dict(headers))
        response = connection.getresponse()
        text = response.read()
        kind = response.headers.get("Content-Type", "")
        return Answer(response.status, response.headers, json.loads(text) if kind == "application/json" else text)
    finally:
        connection.close()


def ask_many(running: Running, body: object) -> Answer:
    """One request with evaluations."""
    return ask(running, body, "/access/v1/evaluations")


def question(extension: str, caller: str = ALICE, **context: object) -> dict[str, Any]:
    """An evaluation."""
    return {
        "subject": {"type": "user", "id": caller},
        "action": {"name": "call"},
        "resource": {"type": "extension", "id": extension},
        **({"context": context} if context else {}),
    }
