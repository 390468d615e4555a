"""The FastAGI adapter, in this process, beside a server with rules to ask."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from definitions import tenant_from
from given import ACME, ALICE, BOB, KEY
from server import DEADLINE, running_server, snapshot_of

from rightcall.agi.server import AgiServer
from rightcall.agi.settings import AgiSettings
from rightcall.aio import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

STALE = {"WAZO_AUTHORIZATION": "ALLOW", "WAZO_PASSWORD": "1111", "RIGHTCALL_REASON": "rule"}
"""What an earlier check on the channel left behind."""
FROM_ALICE = {"WAZO_USERID": "5", "WAZO_USERUUID": ALICE}


@contextmanager
def rules(**settings: Any) -> Iterator[Running]:
    """Alice may not dial 0900, needs 4321 for 00 and 12#4 for 7; through the outcall 3 nobody may dial 118."""
    tenant = tenant_from(
        {
            "uuid": ACME,
            "users": [{"uuid": ALICE, "id": 5}, {"uuid": BOB, "id": 6}],
            "outcalls": [{"id": "3"}],
            "call_permissions": [
                {"id": 1, "extensions": ["_0900."], "users": [ALICE]},
                {"id": 2, "extensions": ["_00."], "users": [ALICE], "password": "4321"},
                {"id": 3, "extensions": ["118"], "outcalls": ["3"]},
                {"id": 4, "extensions": ["_7."], "users": [ALICE], "password": "12#4"},
            ],
        }
    )
    with running_server(snapshot_of(tenant, secret=KEY), secrets=(KEY,), **settings) as running:
        yield running


@contextmanager
def adapter(target: str, **chosen: Any) -> Iterator[AgiServer]:
    """An adapter that asks ``target``; with time enough, unless a test says otherwise."""
    told = {"listen": "127.0.0.1:0", "deadline": DEADLINE, "asterisk_deadline": DEADLINE, "drain_seconds": 5.0}
    with AgiServer(AgiSettings(**{**told, **chosen}), lambda: Client(target), target) as server:
        yield server


def counted(agi: AgiServer, name: str, **labels: str) -> float:
    """What the adapter has counted."""
    return agi.metrics.registry.get_sample_value(name, labels) or 0.0


def closed_port() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
