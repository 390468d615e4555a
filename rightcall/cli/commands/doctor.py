"""``rightcall doctor``: the faults of a deployment, with remedies."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Any

import rich_click as click
from click.exceptions import Exit
from rich import box
from rich.console import Console
from rich.text import Text

from pdp.errors import ListenError
from pdp.runtime.version import version
from rightcall.cli.command import command, option
from rightcall.cli.options.common import json_option, scope_options, secret_option
from rightcall.cli.options.connection import connection_options, told
from rightcall.cli.output import Grid, draw, print_json, say
from rightcall.client.channel import DEFAULT_TARGET
from rightcall.doctor.checks import CHECKS, Deployment
from rightcall.doctor.findings import Verdict, counted
from rightcall.doctor.http import HttpPart
from rightcall.doctor.redis_part import RedisPart
from rightcall.doctor.run import examine
from rightcall.doctor.server import ServerPart
from rightcall.programs.exits import ExitCode
from rightcall.redis_url import RedisUrlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.publication.keys import Scope
    from rightcall.doctor.run import Result

_STYLES = {Verdict.OK: "green", Verdict.WARNING: "bold yellow", Verdict.FAILURE: "bold red", Verdict.SKIPPED: "dim"}
_NONE = "none"
_SHARE = 0.8
"""Share of a check's time that a single step may take, so that the step can report the cause of a timeout."""


@command(
    "rightcall doctor --http 127.0.0.1:9464",
    "rightcall doctor --target pdp.example.org:50051 --ca-file ca.pem --token-file token --redis rediss://redis:6379/0",
)
@option(
    "--target",
    default=DEFAULT_TARGET,
    show_default=True,
    metavar="HOST:PORT",
    help="The server to look at; none: do without.",
)
@option("--http", metavar="HOST:PORT", help="That server's HTTP port, or its https:// URL.")
@option("--loader-http", metavar="HOST:PORT", help="A loader's HTTP port.")
@option("--redis", metavar="URL", help="Where the compiled rules are.")
@scope_options
@secret_option
@option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    help="Seconds that each check may take.",
)
@connection_options
@json_option
def doctor(  # noqa: PLR0913 - each is an option
    *,
    target: str,
    http: str | None,
    loader_http: str | None,
    redis: str | None,
    scope: Scope,
    secrets: tuple[bytes, ...],
    timeout: float,
    connection: dict[str, Any],
    as_json: bool,
) -> None:
    """Looks at a deployment from here, and says what is wrong with it and what to do. It changes nothing.

    Of --target, --http, --loader-http and --redis, give what there is: what is not given is skipped. Nothing is decided
    and no password is tried. Exit code 0: all is well, though there may be warnings; 4: something is not.
    """
    seconds = timeout * _SHARE
    try:
        deployment = Deployment(
            server=ServerPart(target, connection, seconds) if target != _NONE else None,
            http=_http(http, connection, seconds),
            loader=_http(loader_http, connection, seconds),
            redis=RedisPart(redis, scope=scope, secrets=secrets, seconds=seconds) if redis else None,
        )
    except (RedisUrlError, ListenError) as error:
        raise click.UsageError(f"{error}.") from error
    except (OSError, ValueError) as error:
        raise told(error) from error
    with closing(deployment):
        results = _examined(deployment, timeout)
    worst = Verdict.FAILURE if any(one.verdict is Verdict.FAILURE for one in results) else Verdict.OK
    if as_json:
        print_json({"version": version(), "well": worst is Verdict.OK, "checks": results})
    else:
        draw(_table(results))
        say(_summary(results))
    raise Exit(ExitCode.UNREACHABLE if worst is Verdict.FAILURE else ExitCode.DONE)


def _http(address: str | None, connection: dict[str, Any], seconds: float) -> HttpPart | None:
    if not address or address == _NONE:
        return None
    return HttpPart(address, connection["ca_file"], seconds)


def _examined(deployment: Deployment, timeout: float) -> list[Result]:
    """The results of all checks; a terminal shows the running check."""
    console = Console(stderr=True)
    console.quiet = not console.is_terminal
    results: list[Result] = []
    running = examine(deployment, timeout)
    with console.status("") as status:
        for check in CHECKS:
            status.update(check.name)
            results.append(next(running))
    return results


def _table(results: Sequence[Result]) -> Grid:
    table = Grid("check", "", "seen", box=box.SIMPLE_HEAD)
    for _, part in groupby(results, key=_part):
        # A hundred lines would hide their common cause: checks skipped for the same reason share one line.
        for reason, alike in groupby(part, key=_skipped_because):
            group = list(alike)
            if reason and len(group) > 1:
                table.add_row(f"{_part(group[0])}: {len(group)} checks", _verdict(Verdict.SKIPPED), _seen(group[0]))
                continue
            for one in group:
                table.add_row(one.check, _verdict(one.verdict), _seen(one))
        table.add_section()
    return table


def _skipped_because(result: Result) -> str:
    return result.seen if result.verdict is Verdict.SKIPPED else ""


def _part(result: Result) -> str:
    """The part that a check belongs to."""
    return result.check.partition(" ")[0]


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict.value, style=_STYLES[verdict])


def _seen(result: Result) -> list[Text]:
    seen = Text(result.seen, style="dim" if result.verdict is Verdict.SKIPPED else "")
    return [seen, Text(f"→ {result.advice}", style="bold")] if result.advice else [seen]


def _summary(results: Sequence[Result]) -> Text:
    counts = Counter(one.verdict for one in results)
    parts = [
        Text(counted(counts[Verdict.FAILURE], "failure"), style=_STYLES[Verdict.FAILURE]),
        Text(counted(counts[Verdict.WARNING], "warning"), style=_STYLES[Verdict.WARNING]),
        Text(f"{counts[Verdict.OK]} ok", style=_STYLES[Verdict.OK]),
        Text(f"{counts[Verdict.SKIPPED]} skipped", style=_STYLES[Verdict.SKIPPED]),
    ]
    return Text(", ").join(parts)
