"""The requests that pages show: sent as they stand there, and answered as the page says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from programs import Program
from tools import tool

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GRPC, HTTP = "localhost:50051", "127.0.0.1:9464"
"""The addresses that pages write."""
_EXAMPLE = re.compile(r"```sh\n((?:curl|grpcurl) .*?)```\n```json\n(.*?)```", re.DOTALL)
_CUT = re.compile(r"(\w+)…")
_PAGES = ("authzen.md",)


class Example(NamedTuple):
    """A command and the document that it prints."""

    command: str
    printed: Any


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """A server with the rules that `make run` serves; its addresses, by those that pages write."""
    chosen = ("--definitions", "examples/company.yaml", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    with Program("serve", *chosen) as server:
        started = server.wait_for("server_started")
        yield {GRPC: started["grpc"], HTTP: started["http"]}


def examples(page: str) -> list[Example]:
    """The examples of a page, in its order."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [Example(command, json.loads(printed)) for command, printed in _EXAMPLE.findall(text)]


def texts(document: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict | list):
        for inner in document.values() if isinstance(document, dict) else document:
            yield from texts(inner)


def agrees(shown: Any, printed: Any) -> bool:
    """Whether a document is the one shown; a text that ends in an ellipsis, or a revision, stands for any."""
    if isinstance(shown, dict) and isinstance(printed, dict):
        return shown.keys() == printed.keys() and all(
            name == "revision" or agrees(value, printed[name]) for name, value in shown.items()
        )
    if isinstance(shown, list) and isinstance(printed, list):
        return len(shown) == len(printed) and all(map(agrees, shown, printed))
    if isinstance(shown, str) and shown.endswith("…"):
        cut = shown.removesuffix("…")
        return isinstance(printed, str) and (" " not in cut or printed.startswith(cut))
    return bool(shown == printed)


def cut_texts(shown: Any, printed: Any) -> dict[str, str]:
    """The whole of each text that a page cuts, by what it shows of it."""
    cut = [(one, other) for one, other in zip(texts(shown), texts(printed), strict=True) if _CUT.fullmatch(one)]
    return dict(cut)


@pytest.mark.parametrize("page", _PAGES)
def test_the_requests_of_a_page_are_answered_as_it_says(page: str, addresses: dict[str, str]) -> None:
    """One after the other: what one response has, and the page cuts short, a later request sends whole."""
    known = addresses
    shown = examples(page)
    for example in shown:
        command = example.command
        for written, meant in known.items():
            command = command.replace(written, meant)
        if command.startswith("grpcurl"):
            command = command.replace("grpcurl", str(tool("grpcurl")), 1)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
        printed = json.loads(done.stdout)
        assert agrees(example.printed, printed), done.stdout
        known = {**known, **cut_texts(example.printed, printed)}
    assert shown
