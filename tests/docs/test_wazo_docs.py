"""The program in docs/wazo.md, run as it stands there, against a real server."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from given import ALICE, denying
from redis_server import free_port
from server import running_server
from waiting import until

from loader.sources.wazo.rest.mapping import CUT

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs" / "wazo.md"


def test_every_access_that_is_needed_is_documented() -> None:
    """A user with the documented policy can read all lists."""
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"confd.{resource}.read" in text for resource in CUT)
    assert "auth.tenants.read" in text


@contextmanager
def service(target: str) -> Iterator[int]:
    """The program of the page; its port."""
    found = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "RIGHTCALL_TARGET": target}
    process = subprocess.Popen([sys.executable, "-c", found[1]], env=environment, stdout=subprocess.DEVNULL)
    try:
        until(lambda: _is_open(port), "the service listens")
        yield port
    finally:
        process.kill()
        process.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def decision(port: int, variables: dict[str, str]) -> str:
    """What the service sets, asked as Asterisk asks."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rw") as stream:
        stream.write("agi_network: yes\nagi_channel: PJSIP/x-00000001\n\n")
        stream.flush()
        for line in stream:
            match line.split():
                case ["GET", "VARIABLE", name]:
                    value = variables.get(name)
                    stream.write("200 result=0\n" if value is None else f"200 result=1 ({value})\n")
                    stream.flush()
                case ["SET", "VARIABLE", "RIGHTCALL_DECISION", value]:
                    stream.write("200 result=1\n")
                    return value.strip('"')
    pytest.fail("the service hung up")


def test_the_documented_service_answers_asterisk() -> None:
    """Allowed, refused, and nothing when no server answers."""
    with running_server(denying("118")) as running, service(running.server.address) as port:
        assert decision(port, {"WAZO_USERUUID": ALICE, "WAZO_DSTNUM": "118"}) == "DENY"
        assert decision(port, {"WAZO_USERUUID": ALICE, "WAZO_DSTNUM": "119"}) == "ALLOW"
        assert decision(port, {"WAZO_DSTNUM": "118"}) == "ALLOW"
        assert decision(port, {}) == ""
    with service("127.0.0.1:1") as port:
        assert decision(port, {"WAZO_USERUUID": ALICE, "WAZO_DSTNUM": "118"}) == ""
