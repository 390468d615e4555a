"""Clients files and calls with credentials, for tests."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import grpc
from server import DEADLINE

from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from server import Running


def client_of(name: str, token: str = "", **entry: Any) -> dict[str, Any]:
    """An entry of a clients file; by default with every tenant and every service."""
    tokens = {"token_sha256": [hashlib.sha256(token.encode()).hexdigest()]} if token else {}
    return {"name": name, **tokens, "tenants": "all", "services": ["decision", "directory"], **entry}


def clients_file(directory: Path, *entries: dict[str, Any]) -> str:
    """A file with these clients."""
    path = directory / "clients.json"
    path.write_text(json.dumps({"clients": entries}), encoding="utf-8")
    return str(path)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Metadata with a token."""
    return (("authorization", f"Bearer {token}"),)


def check(running: Running, token: str = "", **call: Any) -> v1.CheckCallResponse:
    """Asks with a token."""
    request = v1.CheckCallRequest(**{"extension": "0900", **call})
    return running.decisions.CheckCall(request, metadata=bearer(token) if token else None, timeout=DEADLINE)


def refusal(ask: Callable[[], object]) -> grpc.StatusCode:
    """The status that a question ends with."""
    try:
        ask()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
