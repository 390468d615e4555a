"""``rightcall init``: the first definitions of a company, from a table of its users."""

from __future__ import annotations

import uuid
from pathlib import Path

import rich_click as click

from loader.definitions.shapes import canonical_uuid
from loader.definitions.starting import COLUMNS, TableError, starting_definitions
from loader.numbering import UnknownCountry
from pdp.runtime.files import read_regular
from rightcall.cli.command import command, option
from rightcall.cli.commands.export import write_definitions
from rightcall.cli.output import complain
from rightcall.programs.exits import ExitCode, Failure


@command("rightcall init --from users.csv --name acme --country FR --outside-line 0 --output company.yaml")
@option(
    "--from",
    "table",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"The users: CSV with a heading; columns are {', '.join(COLUMNS)}. Groups are separated by semicolons.",
)
@option("--name", required=True, metavar="TEXT", help="The company's name.")
@option("--country", required=True, metavar="CODE", help="Where it dials, two letters, as in FR.")
@option("--outside-line", default="", metavar="DIGITS", help="What people dial in front of numbers outside.")
@option("--tenant", default="", metavar="UUID", show_default="a new one", help="The tenant's UUID.")
@option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_default="standard output",
    help="Write to this file, which must not exist.",
)
def init(*, table: Path, name: str, country: str, outside_line: str, tenant: str, output: Path | None) -> None:
    """Writes commented definitions for a company: users and groups, emergency numbers, permissions and expectations.

    Numbers of the kinds premium, satellite and international are denied outside, for a start; the ranges are those of
    libphonenumber for the country. Users without a UUID in the table get one that is made from the extension.
    """
    if output is not None and output.exists():
        raise click.UsageError(f"'{output}' exists already; name another file, or remove it.")
    given = canonical_uuid(tenant) if tenant else str(uuid.uuid4())
    if given is None:
        raise click.UsageError(f"'{tenant}' is no UUID.")
    if outside_line and not (outside_line.isascii() and outside_line.isdigit()):
        raise click.UsageError("the outside line is digits, such as 0 or 9.")
    try:
        text = starting_definitions(read_regular(table).decode("utf-8-sig"), name, given, country, outside_line)
    except UnknownCountry as error:
        raise click.UsageError(f"'{country}' is no country; write its two letters in capitals, as in FR.") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{table} is not UTF-8; save it as such", ExitCode.USAGE) from error
    except TableError as error:
        raise Failure(
            f"{table}: {error}", ExitCode.USAGE, tuple(f"{table}: {each}" for each in error.faults)
        ) from error
    write_definitions(text, output)
    if output is not None:
        complain(f"{output} is written; go on with: rightcall validate {output}")
