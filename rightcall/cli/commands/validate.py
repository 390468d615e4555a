"""``rightcall validate``: every fault of definitions, with its origin and what to do about it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from loader.errors import SourceError
from loader.faults import Severity
from rightcall.cli.command import command
from rightcall.cli.options.common import json_option
from rightcall.cli.output import print_json, say
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.sources import opened_source

if TYPE_CHECKING:
    from loader.faults import Fault
    from loader.sources import Reading

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}


@command("rightcall validate company.yaml")
@click.argument("path", metavar="PATH")
@json_option
@click.pass_context
def validate(ctx: click.Context, *, path: str, as_json: bool) -> None:
    """Looks for faults in the definitions at PATH, a file or a directory, and changes nothing.

    Exit code 0: no errors (there may be warnings); 3: errors, each of which keeps its tenant from being published.
    """
    try:
        with closing(opened_source(path, None)) as source:
            reading = source.read()
    except SourceError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    errors = sum(fault.severity is Severity.ERROR for fault in reading.faults)
    if as_json:
        print_json(_document(reading, errors))
    else:
        for fault in reading.faults:
            say(_line(fault))
        say(_summary(reading, errors))
    ctx.exit(ExitCode.FAULTY if errors else ExitCode.DONE)


def _document(reading: Reading, errors: int) -> dict[str, object]:
    return {
        "errors": errors,
        "warnings": len(reading.faults) - errors,
        "good_tenants": [tenant.uuid for tenant in reading.tenants],
        "faulty_tenants": sorted(reading.faulty),
        "faults": [fault.as_dict() for fault in reading.faults],
    }


def _line(fault: Fault) -> Text:
    return Text.assemble((f"{fault.severity.value}: ", _STYLES[fault.severity]), str(fault))


def _summary(reading: Reading, errors: int) -> Text:
    warnings = len(reading.faults) - errors
    permissions = sum(len(tenant.call_permissions) for tenant in reading.tenants)
    good = f"{_count(len(reading.tenants), 'good tenant')} with {_count(permissions, 'permission')}"
    style = "bold red" if errors else "bold yellow" if warnings else "bold green"
    return Text.assemble((f"{_count(errors, 'error')}, {_count(warnings, 'warning')}", style), f"; {good}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
