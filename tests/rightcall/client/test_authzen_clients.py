"""AuthZEN and who may ask: clients, their limits, and their names in the decision log."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from authzen_client import JSON, acme, ask, question
from given import ACME, BOB
from server import running_server

from pdp.decision_log.log import DecisionLog, DecisionLogSettings
from pdp.decision_log.sinks import FileSink
from pdp.security.settings import Auth, SecuritySettings

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.metrics.registry import Metrics


def test_clients_are_told_apart_as_they_are_over_grpc(tmp_path: Path) -> None:
    """No token, an unknown one, one for another tenant, and the right one; the log has the client's name."""
    clients = tmp_path / "clients.yaml"
    digests = [hashlib.sha256(token).hexdigest() for token in (b"of-acme", b"of-another")]
    clients.write_text(
        f"""
clients:
  - {{name: switchboard, token_sha256: [{digests[0]}], tenants: [{ACME}], services: [decision]}}
  - {{name: stranger, token_sha256: [{digests[1]}], tenants: [{BOB}], services: [decision]}}
"""
    )
    security = SecuritySettings(auth=Auth.TOKENS, clients=str(clients))
    path = tmp_path / "decisions.jsonl"

    def log(metrics: Metrics) -> DecisionLog:
        return DecisionLog(FileSink(path, max_bytes=0, keep=0), DecisionLogSettings(), metrics)

    with running_server(acme(), security=security, decision_log=log) as running:
        answers = [
            ask(running, question("0900123", tenant=ACME), headers={**JSON, **authorization})
            for authorization in (
                {},
                {"Authorization": "Bearer nobodys"},
                {"Authorization": "Bearer of-another"},
                {"Authorization": "Bearer of-acme"},
            )
        ]
        alive = ask(running, b"", "/healthz", method="GET")
    (entry,) = map(json.loads, path.read_text().splitlines())

    assert [answer.status for answer in answers] == [401, 401, 403, 200]
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"
    assert alive.status == 200
    assert entry["client"] == "switchboard"


def test_each_evaluation_counts_towards_what_a_client_may_ask(tmp_path: Path) -> None:
    """A large request is no way around a limit; who may not ask at all is told so first."""
    clients = tmp_path / "clients.yaml"
    digest = hashlib.sha256(b"of-acme").hexdigest()
    clients.write_text(f"clients: [{{name: a, token_sha256: [{digest}], tenants: all, services: [decision]}}]")
    security = SecuritySettings(auth=Auth.TOKENS, clients=str(clients), client_rate=0.001, client_burst=6)
    known = {**JSON, "Authorization": "Bearer of-acme"}
    many = {"evaluations": [question("200")] * 6}
    with running_server(acme(), security=security) as running:
        answers = [
            ask(running, many, "/access/v1/evaluations", JSON),
            ask(running, many, "/access/v1/evaluations", known),
            ask(running, question("200"), headers=known),
        ]

    assert [answer.status for answer in answers] == [401, 200, 429]
