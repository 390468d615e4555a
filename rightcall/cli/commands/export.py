"""``rightcall export``: rules of any source as definitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from loader.definitions.document import check_document
from loader.definitions.writing import definitions_text
from pdp.rules.compiler.digest import content_digest
from pdp.rules.model import PasswordOverride
from pdp.rules.snapshot.contents import stands_in
from pdp.runtime.files import write_private
from rightcall.cli.command import command, option
from rightcall.cli.options.rules import SOURCES, rules_options
from rightcall.cli.output import complain, print_text
from rightcall.cli.rules import chosen_tenants, read_with_faults
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.rules.model import Tenant
    from rightcall.programs.sources import RulesOptions

SCHEMA_LINE = "yaml-language-server: $schema=definitions.schema.json"
"""Names the schema to editors, beside the file, where ``rightcall schema`` puts it."""


@command(
    "rightcall export confd+https://wazo.example.org/api/confd/1.1 --wazo-username reader --output company.yaml",
    "rightcall export 'redis://localhost:6379/0#1795420040123'",
)
@click.argument("source", metavar=SOURCES)
@option("--tenant", default="", metavar="UUID|NAME", help="Only this tenant.")
@option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_default="standard output",
    help="Write to this file, which nobody else may read; it holds PINs.",
)
@rules_options
@click.pass_context
def export(
    ctx: click.Context, *, source: str, tenant: str, output: Path | None, reading: Callable[[], RulesOptions]
) -> None:
    """Writes the rules of a Wazo Platform, of Redis or of files as definitions, which load as the same rules.

    Tenants with faults are left out, and named. Redis holds PINs as hashes: permissions that ask for one deny without
    one in what is written, until the PIN is added. Exit code 0: all is written; 3: some tenants have faults.
    """
    name, found, errors = read_with_faults(source, reading())
    tenants = chosen_tenants(found, tenant)
    text = definitions_text(tenants, (SCHEMA_LINE, f"Exported from {name}."))
    unknown = sum(map(_unknown_pins, tenants))
    if not unknown:
        _compare(tenants, text)
    write_definitions(text, output)
    if unknown:
        complain(f"{unknown} PINs are known by their hashes alone: search for 'hash' in what was written.")
    ctx.exit(ExitCode.FAULTY if errors else ExitCode.DONE)


def write_definitions(text: str, output: Path | None) -> None:
    """Writes definitions to a file that nobody else may read, or to standard output.

    Raises:
        Failure: the file cannot be written.
    """
    if output is None:
        print_text(text)
        return
    try:
        write_private(output, text)
    except OSError as error:
        raise Failure(f"{output} cannot be written ({error.strerror})", ExitCode.USAGE) from error


def _unknown_pins(tenant: Tenant) -> int:
    pins = [user.call_permission_password for user in tenant.users]
    pins += [permission.password for permission in tenant.call_permissions]
    return sum(pin is not None and stands_in(pin) for pin in pins)


def _compare(tenants: Sequence[Tenant], text: str) -> None:
    """Reads what is to be written.

    Raises:
        AssertionError: it is not the same.
    """
    read = check_document("export.yaml", text.encode())
    digests = [
        [content_digest(tenant, secret=b"-", password_override=PasswordOverride.ALL) for tenant in side if tenant]
        for side in (tenants, [entry.tenant for entry in read.entries])
    ]
    if digests[0] != digests[1]:
        raise AssertionError("the definitions read back as other rules")
