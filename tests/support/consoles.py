"""A console over definitions of the test's own, and a browser in front of it."""

from __future__ import annotations

import re
import shutil
from contextlib import closing, contextmanager
from html import unescape
from http.client import HTTPConnection
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import pytest
import yaml
from definitions import tenants_from
from given import KEY
from playwright.sync_api import sync_playwright
from programs import ROOT
from security import bearer, check, client_of, clients_file
from server import DEADLINE, current_of, running_server, snapshot_of

from pdp.decision_log.log import DecisionLog, DecisionLogSettings
from pdp.decision_log.sinks import NullSink
from pdp.security.settings import Auth, SecuritySettings
from rightcall import v1
from rightcall.console.files import FileRules
from rightcall.console.mount import mounted
from rightcall.console.server import ConsoleServer
from rightcall.programs.history import SeenHistory
from rightcall.programs.serving import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from http.client import HTTPMessage
    from pathlib import Path

    from playwright.sync_api import Browser
    from server import Running
    from starlette.routing import Mount, Route

    from pdp.app import ServerParts
    from pdp.metrics.registry import Metrics

AXE = ROOT / "tests" / "vendor" / "axe-core-4.14.1.min.js"
"""Deque's accessibility checks, as published on npm."""


@contextmanager
def console(path: Path) -> Iterator[str]:
    """The URL of a console over definitions, without a slash at the end."""
    with closing(FileRules(str(path))) as rules, ConsoleServer(rules, "localhost:0") as server:
        yield server.url.rstrip("/")


@contextmanager
def served_console(path: Path, directory: Path) -> Iterator[tuple[str, Running]]:
    """A server of definitions with a console for the token "secret", whose second revision opens premium numbers.

    Args:
        path: of the definitions.
        directory: for the clients file.
    """
    text = path.read_text(encoding="utf-8")
    versions = [tenants_from(yaml.safe_load(each))[0] for each in (text, text.replace('"_0900.", ', "", 1))]
    current = current_of(snapshot_of(versions[0], secret=KEY))

    def pages(parts: ServerParts) -> Sequence[Route | Mount]:
        return mounted(parts, Served(SeenHistory(parts.whole)))

    def log(_metrics: Metrics) -> DecisionLog:
        return DecisionLog(NullSink(), DecisionLogSettings(gather=0.05), None)

    rights = ["console", "decision", "lockouts", "rollback"]
    file = clients_file(directory, client_of("operator", "secret", services=rights))
    security = SecuritySettings(auth=Auth.TOKENS, clients=file)
    with running_server(current=current, secrets=(KEY,), pages=pages, decision_log=log, security=security) as running:
        current.replace(snapshot_of(versions[1], number=2, secret=KEY))
        yield f"http://{running.server.http_address}/console", running


def ring(running: Running, caller: str, extension: str, outcall: str, pins: Sequence[str] = ()) -> None:
    """A call over gRPC, and PINs dialled where one is asked for."""
    asked = check(running, "secret", caller=caller, extension=extension, outcall=outcall)
    for pin in pins:
        answer = v1.AnswerChallengeRequest(challenge=asked.challenge, password=pin)
        running.decisions.AnswerChallenge(answer, metadata=bearer("secret"), timeout=DEADLINE)


class Seen(NamedTuple):
    """What came back for a page."""

    status: int
    headers: HTTPMessage
    html: str

    @property
    def text(self) -> str:
        """What a person reads."""
        return seen(self.html)


def fetched(url: str, form: dict[str, str] | None = None, /, **headers: str) -> Seen:
    """A page, or what a submitted form leads to; underscores in names of headers are dashes."""
    body = urlencode(form).encode() if form is not None else None
    host, path = url.removeprefix("http://").split("/", 1)
    with closing(HTTPConnection(host, timeout=30)) as connection:
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if form is None else "POST", f"/{path}", body, kind | given)
        response = connection.getresponse()
        return Seen(response.status, response.headers, response.read().decode())


def seen(page: str) -> str:
    """What a person reads on a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.partition("<main")[2])).split())


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    binary = shutil.which("chromium")
    if binary is None:
        pytest.fail("chromium is not installed; run `make test`, or: apt-get install chromium")
    with sync_playwright() as playwright:
        # Without its sandbox, since root may not have one; the pages are the tests' own.
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
