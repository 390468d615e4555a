"""``rightcall playground``: the console over definitions, in a browser."""

from __future__ import annotations

from contextlib import closing

import rich_click as click
from rich.text import Text

from pdp.errors import ListenError
from rightcall.cli.command import command, option
from rightcall.cli.output import say
from rightcall.console.files import FileRules
from rightcall.console.server import LISTEN, ConsoleServer
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.stopping import Stopping


@command("rightcall playground examples/company.yaml", "rightcall playground --listen localhost:8000 definitions")
@click.argument("path", type=click.Path(exists=True), metavar="PATH")
@option(
    "--listen",
    default=LISTEN,
    metavar="HOST:PORT",
    help="Where browsers on this machine find the pages; port 0: one that is free.",
)
def playground(*, path: str, listen: str) -> None:
    """Shows what definitions mean, in a browser, and lets you try an edit.

    PATH is a file or a directory of definitions, which are read again whenever they change. Pages answer whether a
    caller may dial a number and why, what a person may dial, who may dial a number, which rules there are and what is
    wrong with them. Nothing is published, and no server is needed.
    """
    stopping = Stopping()
    with closing(FileRules(path)) as rules:
        try:
            server = ConsoleServer(rules, listen)
        except ListenError as error:
            raise Failure(f"{error}; choose another address with --listen", ExitCode.USAGE) from error
        with server:
            say(Text.assemble("Open ", (server.url, "bold"), " in a browser. Serving until Ctrl-C …"))
            stopping.wait()
