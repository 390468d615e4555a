"""``rightcall check`` and ``rightcall explain``: a question to a server, or to definitions without one."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from click.exceptions import Exit

from rightcall.cli.command import command, option
from rightcall.cli.derivation import derivation
from rightcall.cli.options.asking import revision_option, server_options
from rightcall.cli.options.common import json_option
from rightcall.cli.output import decision_text, draw, permission_text, print_json, say
from rightcall.client.channel import DEFAULT_TIMEOUT
from rightcall.client.values import Call, Reason
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

    from rightcall.cli.options.asking import Asked
    from rightcall.client.values import Answer

    Decorated = Callable[..., Any]


def _question(function: Decorated) -> Decorated:
    """The options of a question, passed to the command as target and call."""

    @wraps(function)
    def asking(
        *, asked: Asked, caller: str, extension: str, outcall: str, tenant: str, forwarded_by: str, **params: bool
    ) -> object:
        call = Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant, forwarded_by=forwarded_by)
        return function(asked, call, **params)

    options = (
        option(
            "--caller",
            default="",
            help="The user who calls: UUID or alias, of definitions also name or extension; a stranger without it.",
        ),
        option("--extension", required=True, help="What was dialled."),
        option(
            "--outcall",
            default="",
            help="Id of the outgoing call, of definitions also its name; none without it.",
        ),
        option("--tenant", default="", help="UUID of the tenant. Without it: the caller's own, else the outcall's."),
        option(
            "--forwarded-by",
            default="",
            help="The user whose forward or transfer sends the call on; that user's permissions decide.",
        ),
        option(
            "--allow-unknown",
            is_flag=True,
            help="Exit as decided, although nobody knows the caller or the outcall; without it that ends with 2.",
        ),
        server_options(DEFAULT_TIMEOUT),
        json_option,
    )
    decorated: Decorated = asking
    for add in reversed(options):
        decorated = add(decorated)
    return decorated


@command("rightcall check --caller da4e0000-0000-4000-8000-000000000004 --extension 0033123456789 --outcall 2")
@_question
def check(asked: Asked, call: Call, *, allow_unknown: bool, as_json: bool) -> None:
    """May a caller dial an extension?

    Exit code 0: allowed; 1: denied, or a password is asked for; 2: the caller or the outcall is not known.
    """
    with asked as client:
        answer = client.check(
            extension=call.extension,
            caller=call.caller,
            outcall=call.outcall,
            tenant=call.tenant,
            forwarded_by=call.forwarded_by,
        )
    if as_json:
        print_json(answer)
    else:
        say(_line(answer))
    _exit(call, answer, allow_unknown=allow_unknown)


@command(
    "rightcall explain --definitions company.yaml --extension 0900123456 --outcall 1",
    "rightcall explain --definitions redis://localhost:6379/0 --revision 1795420040123 --extension 0900123456",
)
@_question
@revision_option
def explain(asked: Asked, call: Call, *, allow_unknown: bool, as_json: bool) -> None:
    """Why may a caller dial an extension, or not?

    Shows every stage, the permissions in it, the patterns that match, and what decided. Exit codes are those of check.
    """
    with asked as client:
        explanation = client.explain(
            extension=call.extension,
            caller=call.caller,
            outcall=call.outcall,
            tenant=call.tenant,
            forwarded_by=call.forwarded_by,
        )
    if as_json:
        print_json(explanation)
    else:
        draw(derivation(call, explanation))
    _exit(call, explanation.answer, allow_unknown=allow_unknown)


def _line(answer: Answer) -> Text:
    line = decision_text(answer.decision)
    if answer.permission is None:
        line.append(f"  {_REASONS.get(answer.reason, 'no permission matches')}", style="default")
    else:
        line.append(f"  by {permission_text(answer.permission)} in stage {answer.stage.name}", style="default")
    line.append(f"  [revision {answer.revision or 'none'}]", style="dim")
    return line


_UNKNOWN = "check it, or give --allow-unknown"
_REASONS = {
    Reason.EMERGENCY: "an emergency number",
    Reason.UNKNOWN_CALLER: "the caller is not known",
    Reason.UNKNOWN_OUTCALL: "the outcall is not known",
}


def _exit(call: Call, answer: Answer, *, allow_unknown: bool) -> None:
    """Ends the command.

    Raises:
        Failure: caller or outcall is unknown, so that their rules had no part in a decision by permissions.
    """
    # A server of an earlier release does not report known callers; emergency numbers and denials do not need that.
    said = answer.reason not in (Reason.UNSPECIFIED, Reason.EMERGENCY, Reason.UNKNOWN_CALLER, Reason.UNKNOWN_OUTCALL)
    if said and not allow_unknown:
        asker = call.forwarded_by or call.caller
        if asker and not answer.caller_known:
            raise Failure(f"no tenant's user is {asker}; {_UNKNOWN}", ExitCode.USAGE)
        if call.outcall and not answer.outcall_known:
            raise Failure(f"the tenant has no outcall with the id {call.outcall}; {_UNKNOWN}", ExitCode.USAGE)
    raise Exit(ExitCode.DONE if answer.allowed else ExitCode.NOT_ALLOWED)
