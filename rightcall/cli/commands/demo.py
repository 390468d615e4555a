"""``rightcall demo``: an example company's rules, served on real ports, and a few decided calls."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich import box
from rich.text import Text

from pdp.app import Server, ServerSettings
from pdp.errors import ListenError
from rightcall.cli.command import command, option
from rightcall.cli.output import Grid, decision_text, draw, say
from rightcall.client.blocking import Client
from rightcall.client.channel import DEFAULT_TARGET
from rightcall.client.values import Answer, Call
from rightcall.console.files import FileRules
from rightcall.console.server import ConsoleServer
from rightcall.programs import logs
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.local import Local
from rightcall.programs.reports import ReportLog
from rightcall.programs.stopping import Stopping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rightcall.client.errors import RightcallError

_PLACES: Final = (Path(__file__).parents[2] / "company.yaml", Path(__file__).parents[3] / "examples" / "company.yaml")
"""Where the example lies in an installed package, and in a checkout."""
EXAMPLE: Final = next((place for place in _PLACES if place.exists()), _PLACES[0])

_ALICE = "a11ce000-0000-4000-8000-000000000001"
_BOB = "b0b00000-0000-4000-8000-000000000002"
_CAROL = "ca401000-0000-4000-8000-000000000003"
_DAVE = "da4e0000-0000-4000-8000-000000000004"
_LOBBY = "10bb1000-0000-4000-8000-000000000005"
_NAMES = {_ALICE: "Alice", _BOB: "Bob", _CAROL: "Carol", _DAVE: "Dave", _LOBBY: "lobby", "": "(nobody)"}
_OUTCALLS = {"": "(none)", "1": "national", "2": "world"}

CALLS: Final = (
    Call(caller=_ALICE, extension="101"),
    Call(caller=_ALICE, extension="0033123456789", outcall="2"),
    Call(caller=_ALICE, extension="0012025550123", outcall="2"),
    Call(caller=_DAVE, extension="0012025550123", outcall="2"),
    Call(caller=_BOB, extension="0900123456", outcall="1"),
    Call(caller=_CAROL, extension="0612345678", outcall="1"),
    Call(caller=_CAROL, extension="112", outcall="1"),
    Call(caller=_LOBBY, extension="0123456789", outcall="1"),
    Call(caller=_LOBBY, extension="101"),
    Call(caller=_LOBBY, extension="112", outcall="1"),
    Call(caller="", extension="+4930123456", outcall="2"),
)


@command()
@option("--once", is_flag=True, envvar=["RIGHTCALL_ONCE", "ONCE"], help="End after the table.")
def demo(*, once: bool) -> None:
    """Serves the rules of an example company, shows how they decide a few calls, and says what to try next.

    It takes the default ports, or free ones where those are taken, and ends with Ctrl-C; without a terminal on standard
    input, after the table.
    """
    if not EXAMPLE.exists():
        raise Failure(f"{EXAMPLE} is not there; install the package again", ExitCode.USAGE)
    local = Local(str(EXAMPLE))
    tell = ReportLog()
    logs.configure("human", "warning")
    tell(local.load())
    stopping = Stopping()
    with _serving(local) as server:
        with Client(server.address) as client:
            answers = client.check_many(CALLS, timeout=5)
        draw(_table(answers))
        say(*_next_steps(server))
        if once or not _watched():
            return
        with closing(FileRules(str(EXAMPLE))) as rules, _console(rules) as console:
            say(Text.assemble("See the rules, ask and try an edit in a browser: ", (console.url, "bold")))
            say("Serving until Ctrl-C …", "")
            logs.configure("human", "info")  # from here on, edits and their faults are of interest
            local.loader.start(tell)
            try:
                stopping.wait()
            finally:
                local.close()


def _watched() -> bool:
    """Whether standard input is a terminal; a closed one is None."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _console(rules: FileRules) -> ConsoleServer:
    """The console on the default port, or on a free one where that is taken."""
    try:
        return ConsoleServer(rules)
    except ListenError:
        return ConsoleServer(rules, "localhost:0")


@contextmanager
def _serving(local: Local) -> Iterator[Server]:
    """A server on the default ports, or on free ones where those are taken."""
    secrets = (local.secret,)
    server = Server(ServerSettings(), local.current, local.metrics, secrets=secrets)
    try:
        server.start()
    except ListenError:
        free = ServerSettings(listen="127.0.0.1:0", http="127.0.0.1:0")
        server = Server(free, local.current, local.metrics, secrets=secrets)
        server.start()
    try:
        yield server
    finally:
        server.stop()


def _table(answers: Sequence[Answer | RightcallError]) -> Grid:
    table = Grid(box=box.SIMPLE_HEAD, title="Fern & Sons: who may call what", title_justify="left", title_style="bold")
    for heading in ("caller", "dials", "through", "decision", "stage", "permission"):
        table.add_column(heading)
    for call, answer in zip(CALLS, answers, strict=True):
        if not isinstance(answer, Answer):
            raise answer
        table.add_row(
            _NAMES[call.caller],
            call.extension,
            _OUTCALLS[call.outcall],
            decision_text(answer.decision),
            answer.stage.name,
            f"{answer.permission.id} {answer.permission.name}" if answer.permission else "",
        )
    return table


def _next_steps(server: Server) -> list[str | Text]:
    program = "rightcall" if shutil.which("rightcall") else sys.argv[0]
    target = "" if server.address == DEFAULT_TARGET else f" --target {server.address}"
    path = os.path.relpath(EXAMPLE)
    return [
        "",
        f"These answers came over gRPC from {server.address}. The rules are in {path}: edit them and ask again.",
        Text("Try next:", "bold"),
        f"  {program} check{target} --caller {_ALICE} --extension 0033123456789 --outcall 2",
        f"  {program} explain{target} --caller {_CAROL} --extension 0900123456 --outcall 1",
        f"  {program} validate {path}",
        f"  curl -s http://{server.http_address}/metrics | grep ^rightcall_",
        "",
    ]
