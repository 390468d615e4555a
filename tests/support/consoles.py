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
from playwright.sync_api import sync_playwright
from programs import ROOT

from rightcall.console.files import FileRules
from rightcall.console.server import ConsoleServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPMessage
    from pathlib import Path

    from playwright.sync_api import Browser

AXE = ROOT / "tests" / "vendor" / "axe-core-4.14.1.min.js"
"""Deque's accessibility checks, as published on npm."""


@contextmanager
def console(path: Path) -> Iterator[str]:
    """The URL of a console over definitions, without a slash at the end."""
    with closing(FileRules(str(path))) as rules, ConsoleServer(rules, "localhost:0") as server:
        yield server.url.rstrip("/")


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
