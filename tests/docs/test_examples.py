"""The requests that pages show and the clients of ``examples/``: run as they stand there, against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from agi_adapter import closed_port
from example_clients import COMPILERS, client
from programs import Program
from tools import tool

from rightcall.client.channel import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Command = Callable[..., tuple[int, str]]

ROOT = Path(__file__).parents[2]
GRPC, HTTP = "localhost:50051", "127.0.0.1:9464"
"""The addresses that pages write."""
CAROL = "ca401000-0000-4000-8000-000000000003"
_EXAMPLE = re.compile(r"```sh\n((?:curl|grpcurl) .*?)```\n```json\n(.*?)```", re.DOTALL)
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_CUT = re.compile(r"(\w+)…")
_PAGES = ("api.md", "authzen.md")


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


def test_the_python_of_the_clients_page_runs(addresses: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Block by block, each with the names of those before; what needs files of its own is compiled alone."""
    namespace: dict[str, Any] = {}
    for code in _PYTHON.findall((ROOT / "docs" / "python.md").read_text(encoding="utf-8")):
        made = compile(code.replace("pdp.example.org:50051", addresses[GRPC]), "docs/python.md", "exec")
        if "ca_file" not in code:
            exec(made, namespace)  # noqa: S102 - of our own page

    printed = capsys.readouterr().out
    assert printed.splitlines()[:2] == ["put the call through"] * 2
    assert "0900123456 ALLOW" in printed
    assert "error: the extension is empty" in printed
    assert namespace["allowed"] is True


@pytest.fixture(params=["python", *COMPILERS])
def command(request: pytest.FixtureRequest, addresses: dict[str, str]) -> Command:
    """The client of an example, and the server's address."""
    compiler = COMPILERS.get(request.param)
    if compiler is not None and shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    program, folder = client(request.param)

    def run(*arguments: str, server: str = addresses[GRPC], typed: str = "") -> tuple[int, str]:
        chosen = [*program, "--server", server, *arguments]
        done = subprocess.run(chosen, cwd=folder, capture_output=True, text=True, check=False, input=typed, timeout=60)
        return done.returncode, done.stdout

    return run


def test_clients_do_as_the_decision_says(command: Command) -> None:
    """ALLOW, DENY, a PIN after a wrong one and after what is none, and a request at fault."""
    allowed = command("--caller", "alice", "--extension", "102")
    denied = command("--caller", "alice", "--extension", "0900123", "--outcall", "1")
    abroad = ("--caller", CAROL, "--extension", "0044123456", "--outcall", "2")
    opened = command(*abroad, typed="1111\nx\n1234\n")
    at_fault = command("--caller", "mallory", "--extension", "102")

    assert [code for code, _ in (allowed, denied, opened, at_fault)] == [0, 1, 0, 2]
    assert allowed[1].startswith("ALLOW REASON_NO_PERMISSION")
    assert denied[1] == "DENY REASON_PERMISSION premium\n"
    assert opened[1].split()[-1] == "ALLOW"
    assert "neither a UUID nor an alias" in at_fault[1]


def test_clients_let_calls_for_help_through_without_a_server(command: Command) -> None:
    """And no other call."""
    away = closed_port()

    assert command("--extension", "112", server=away)[0] == 0
    assert command("--extension", "113", server=away)[0] == 2


def test_the_service_config_to_copy_retries_what_ours_does() -> None:
    """The same file for each language; beyond the methods and the pauses, a check of health."""
    texts_ = {(ROOT / "examples" / name / "service-config.json").read_text(encoding="utf-8") for name in COMPILERS}
    (copied,) = map(json.loads, texts_)
    ours = json.loads(str(dict(OPTIONS)["grpc.service_config"]))
    (policy,) = (method["retryPolicy"] for method in copied["methodConfig"])

    assert [method["name"] for method in copied["methodConfig"]] == [method["name"] for method in ours["methodConfig"]]
    assert {**ours["methodConfig"][0]["retryPolicy"], "retryableStatusCodes": ["UNAVAILABLE"]} == policy
    assert copied["retryThrottling"] == ours["retryThrottling"]
    assert copied["healthCheckConfig"] == {"serviceName": ""}
