"""``rightcall check`` and ``rightcall explain``: a question to a server, or to definitions without one."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit

from rightcall.answers import Call
from rightcall.channel import DEFAULT_TARGET, DEFAULT_TIMEOUT
from rightcall.cli.command import command, one_of, option
from rightcall.cli.derivation import derivation
from rightcall.cli.exits import ExitCode
from rightcall.cli.output import decision_text, draw, permission_text, print_json, say
from rightcall.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rich.text import Text

    from rightcall.answers import Answer
    from rightcall.cli.local import LocalClient

    Decorated = Callable[..., Any]
    Asked = AbstractContextManager[Client | LocalClient]


def _question(function: Decorated) -> Decorated:
    """The options that a question has, passed to the command as whom to ask and what."""

    @wraps(function)
    def asking(*, caller: str, extension: str, outcall: str, tenant: str, as_json: bool, **params: object) -> object:
        call = Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant)
        return function(_asked(click.get_current_context(), **params), call, as_json=as_json)  # type: ignore[arg-type] # click checked them

    options = (
        option(
            "--caller", default="", help="UUID of the user who calls. Without it only the outcall's permissions apply."
        ),
        option("--extension", required=True, help="What was dialled."),
        option("--outcall", default="", help="Id of the outgoing call. Without it the call leaves through none."),
        option("--tenant", default="", help="UUID of the tenant. Without it: the caller's own, else the outcall's."),
        option("--target", metavar="HOST:PORT", show_default=DEFAULT_TARGET, help="The server to ask."),
        option("--definitions", metavar="PATH", help="Ask these definitions, without any server."),
        option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            default=DEFAULT_TIMEOUT,
            help="Seconds that the server has to answer.",
        ),
        option("--tls", is_flag=True, help="Connect to the server with TLS."),
        option("--ca-file", metavar="PATH", help="PEM file of the authorities to trust; implies --tls."),
        option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    )
    decorated: Decorated = asking
    for add in reversed(options):
        decorated = add(decorated)
    return decorated


def _asked(
    ctx: click.Context, *, target: str | None, definitions: str | None, timeout: float, tls: bool, ca_file: str | None
) -> Asked:
    """Whom the options say to ask."""
    if one_of(ctx, "target", "definitions") == "definitions" and definitions:
        # Asking a server needs nothing of what this imports, and is twice as fast without.
        from rightcall.cli.local import LocalClient  # noqa: PLC0415 - only who asks a server needs the client

        return LocalClient(definitions)
    try:
        return Client(target or DEFAULT_TARGET, timeout=timeout, tls=tls, ca_file=ca_file)
    except OSError as error:
        raise click.UsageError(f"'{ca_file}' cannot be read: {error.strerror}; name a PEM file.") from error


@command("rightcall check --caller da4e0000-0000-4000-8000-000000000004 --extension 0033123456789 --outcall 2")
@_question
def check(asked: Asked, call: Call, *, as_json: bool) -> None:
    """May a caller dial an extension?

    Exit code 0: allowed; 1: denied, or a password is asked for.
    """
    with asked as client:
        answer = client.check(extension=call.extension, caller=call.caller, outcall=call.outcall, tenant=call.tenant)
    if as_json:
        print_json(answer)
    else:
        say(_line(answer))
    _exit(answer)


@command("rightcall explain --definitions company.yaml --extension 0900123456 --outcall 1")
@_question
def explain(asked: Asked, call: Call, *, as_json: bool) -> None:
    """Why may a caller dial an extension, or not?

    Shows every stage, the permissions in it, the patterns that match, and what decided. Exit codes are those of check.
    """
    with asked as client:
        explanation = client.explain(
            extension=call.extension, caller=call.caller, outcall=call.outcall, tenant=call.tenant
        )
    if as_json:
        print_json(explanation)
    else:
        draw(derivation(call, explanation))
    _exit(explanation.answer)


def _line(answer: Answer) -> Text:
    line = decision_text(answer.decision)
    if answer.permission is None:
        line.append("  no permission matches", style="default")
    else:
        line.append(f"  by {permission_text(answer.permission)} in stage {answer.stage.name}", style="default")
    line.append(f"  [revision {answer.revision or 'none'}]", style="dim")
    return line


def _exit(answer: Answer) -> None:
    raise Exit(ExitCode.DONE if answer.allowed else ExitCode.NOT_ALLOWED)
