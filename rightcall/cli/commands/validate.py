"""``rightcall validate``: every fault of definitions, of form and of meaning, with place and remedy."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from loader.errors import SourceError
from loader.faults import Severity
from loader.too_costly import with_costs
from rightcall.cli.command import command, option
from rightcall.cli.options.common import json_option
from rightcall.cli.options.rules import SOURCES, rules_options
from rightcall.cli.output import print_json, say
from rightcall.cli.remarks import github_annotations, line_of, sarif
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.remarks import remarks
from rightcall.programs.sources import opened_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loader.faults import Fault
    from loader.sources import Reading
    from rightcall.programs.remarks import Remark
    from rightcall.programs.sources import RulesOptions

FORMATS = ("human", "json", "sarif", "github")
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow"}


@command("rightcall validate company.yaml", "rightcall validate --lint error --format github definitions")
@click.argument("path", metavar=SOURCES)
@option(
    "--lint",
    "strictness",
    type=click.Choice(("off", "warn", "error")),
    default="warn",
    help="Look for mistakes of meaning too; error: those of the ranks critical and high make it fail.",
)
@option("--emergency", default="", metavar="NUMBERS", help="As of the server: its emergency numbers.")
@option("--format", "form", type=click.Choice(FORMATS), default="human", help="sarif and github: for pipelines.")
@json_option
@rules_options
@click.pass_context
def validate(
    ctx: click.Context,
    *,
    path: str,
    strictness: str,
    emergency: str,
    form: str,
    reading: Callable[[], RulesOptions],
    as_json: bool,
) -> None:
    """Looks for faults in definitions, of a file, a directory or a Wazo Platform, and changes nothing.

    Faults of form keep a tenant from being published. Mistakes of meaning are ranked by the harm that they do: a call
    for help that does not go through, a deny that another rule opens, a permission that decides nothing.

    Exit code 0: no errors (there may be warnings); 3: errors.
    """
    numbers = [number for number in (each.strip() for each in emergency.split(",")) if number]
    try:
        with closing(opened_rules(path, reading())) as source:
            content = with_costs(source, source.read())
            found = remarks(source, content.tenants, numbers) if strictness != "off" else []
    except SourceError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    errors = sum(fault.severity is Severity.ERROR for fault in content.faults)
    _print("json" if as_json else form, content, errors, found)
    serious = strictness == "error" and any(remark.serious for remark in found)
    ctx.exit(ExitCode.FAULTY if errors or serious else ExitCode.DONE)


def _print(form: str, reading: Reading, errors: int, found: Sequence[Remark]) -> None:
    shown = [remark for remark in found if remark.shown]
    if form == "json":
        print_json(_document(reading, errors, found))
    elif form == "sarif":
        print_json(sarif(reading.faults, found))
    elif form == "github":
        for annotation in github_annotations(reading.faults, shown):
            say(annotation)
    else:
        for fault in reading.faults:
            say(_line(fault))
        for remark in shown:
            say(line_of(remark))
        say(_summary(reading, errors, shown, sum(bool(remark.reason) for remark in found)))


def _document(reading: Reading, errors: int, found: Sequence[Remark]) -> dict[str, object]:
    return {
        "errors": errors,
        "warnings": len(reading.faults) - errors,
        "good_tenants": [tenant.uuid for tenant in reading.tenants],
        "faulty_tenants": sorted(reading.faulty),
        "faults": [fault.as_dict() for fault in reading.faults],
        "lint": [remark.as_dict() for remark in found],
    }


def _line(fault: Fault) -> Text:
    return Text.assemble((f"{fault.severity.value}: ", _STYLES[fault.severity]), str(fault))


def _summary(reading: Reading, errors: int, found: Sequence[Remark], ignored: int) -> Text:
    warnings = len(reading.faults) - errors
    permissions = sum(len(tenant.call_permissions) for tenant in reading.tenants)
    good = f"{_count(len(reading.tenants), 'good tenant')} with {_count(permissions, 'permission')}"
    serious = sum(remark.serious for remark in found)
    style = "bold red" if errors or serious else "bold yellow" if warnings or found else "bold green"
    counts = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
    meaning = f"; {_count(len(found), 'mistake')} of meaning ({serious} serious)" if found else ""
    return Text.assemble((counts, style), f"; {good}{meaning}{f'; {ignored} ignored' if ignored else ''}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
