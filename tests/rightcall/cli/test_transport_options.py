"""The options of the transport: those of release 0.1 go on to start a server, with a hint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import rich_click as click
from click.testing import CliRunner
from structlog.testing import capture_logs

from pdp.settings import ServerSettings
from rightcall.cli.options.transport import transport_options

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from rightcall.programs.serving import Serving


def asked(*arguments: str, io_threads: int = 0, **variables: str) -> tuple[str, int, list[MutableMapping[str, object]]]:
    """What a server with these options would have: transport and threads, and the hints that are given."""
    found = []

    def note(settings: ServerSettings, serving: Serving) -> None:
        found.append((serving.transport.value, settings.io_threads))

    @click.command()
    @click.pass_context
    def serve(ctx: click.Context, /, **params: object) -> None:
        assert ctx.params == params
        inner(settings=ServerSettings(io_threads=io_threads), **params)

    inner = transport_options(note)
    serve.params += inner.__click_params__  # type: ignore[attr-defined] # where click keeps the options of a function
    with capture_logs() as logs:
        result = CliRunner(env=variables).invoke(serve, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return *found[0], logs


@pytest.fixture(params=[True, False], ids=["core", "no core"])
def built(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the core was built."""
    monkeypatch.setattr("rightcall.cli.options.transport.core_is_built", lambda: request.param)
    return bool(request.param)


def test_a_server_that_says_nothing_takes_the_best(built: bool) -> None:  # noqa: FBT001 - a fixture
    """Without a hint."""
    assert built in (True, False)
    assert asked() == ("auto", 0, [])


def test_native_of_old_is_what_auto_takes(built: bool) -> None:  # noqa: FBT001 - likewise
    """Its unit file goes on to start a server; the log says what to take out."""
    transport, threads, logs = asked("--transport", "native")

    assert built in (True, False)
    assert (transport, threads) == ("auto", 0)
    assert [(entry["event"], entry["option"], entry["log_level"]) for entry in logs] == [
        ("option_outdated", "--transport native", "warning")
    ]


@pytest.mark.parametrize(
    ("workers", "io_threads", "threads", "advice"),
    [
        ("4", 0, 4, "--io-threads 4"),
        ("4", 2, 2, "--io-threads 2"),
        ("1", 0, 0, "leave it out"),
        ("auto", 0, 0, "leave it out"),
        ("auto", 3, 3, "--io-threads 3"),
    ],
)
def test_workers_of_old_are_threads_of_the_core(
    workers: str,
    io_threads: int,
    threads: int,
    advice: str,
    built: bool,  # noqa: FBT001 - a fixture
) -> None:
    """As many, unless the number of threads was given; grpcio serves from one process, and says so."""
    for given in ({"RIGHTCALL_WORKERS": workers}, {}):
        _, found, logs = asked(*([] if given else ["--workers", workers]), io_threads=io_threads, **given)

        assert found == (threads if built else io_threads)
        assert [(entry["event"], entry["option"]) for entry in logs] == [("option_outdated", "--workers")]
        assert (advice if built else "one process") in str(logs[0]["advice"])


def test_grpcio_serves_from_one_process_where_the_core_is_built() -> None:
    """Asked for by name, it has no threads to give."""
    _, threads, logs = asked("--transport", "grpcio", "--workers", "2")

    assert threads == 0
    assert "one process" in str(logs[0]["advice"])
