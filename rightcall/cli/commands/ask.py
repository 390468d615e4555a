"""``rightcall check`` and ``rightcall explain``: a question to a server, or to definitions without one."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from click.exceptions import Exit

from rightcall.cli.command import command, option
from rightcall.cli.derivation import derivation
from rightcall.cli.options.asking import server_options
from rightcall.cli.options.common import json_option
from rightcall.cli.output import decision_text, draw, permission_text, print_json, say
from rightcall.client.channel import DEFAULT_TIMEOUT
from rightcall.client.values import Call
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

    from rightcall.cli.options.asking import Asked
    from rightcall.client.values import Answer

    Decorated = Callable[..., Any]


def _question(function: Decorated) -> Decorated:
    """The options that a question has, passed to the command as whom to ask and what."""

    @wraps(function)
    def asking(*, asked: Asked, caller: str, extension: str, outcall: str, tenant: str, as_json: bool) -> object:
        return function(
            asked, Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant), as_json=as_json
        )

    options = (
        option(
            "--caller", default="", help="UUID of the user who calls. Without it only the outcall's permissions apply."
        ),
        option("--extension", required=True, help="What was dialled."),
        option("--outcall", default="", help="Id of the outgoing call. Without it the call leaves through none."),
        option("--tenant", default="", help="UUID of the tenant. Without it: the caller's own, else the outcall's."),
        server_options(DEFAULT_TIMEOUT),
        json_option,
    )
    decorated: Decorated = asking
    for add in reversed(options):
        decorated = add(decorated)
    return decorated


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
