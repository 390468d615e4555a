"""Reading the rules that a command works on, with their faults for people."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from loader.errors import SourceError
from loader.faults import Severity
from rightcall.cli.output import complain
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.sources import opened_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loader.sources import Reading
    from pdp.rules.model import Tenant
    from rightcall.programs.sources import RulesOptions


def read_rules(url: str, options: RulesOptions) -> Reading:
    """The rules at a path or URL; prints the faults.

    Raises:
        Failure: the source cannot be read, or has errors.
    """
    name, reading, errors = read_with_faults(url, options)
    if errors:
        raise Failure(f"{name} has faults, shown above; repair them, then try again", ExitCode.FAULTY)
    return reading


def read_with_faults(url: str, options: RulesOptions) -> tuple[str, Reading, int]:
    """The source's name, the rules at a path or URL, and the number of errors, which are printed.

    Raises:
        Failure: the source cannot be read.
    """
    try:
        with closing(opened_rules(url, options)) as source:
            reading = source.read()
    except SourceError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    errors = [fault for fault in reading.faults if fault.severity is Severity.ERROR]
    for fault in errors:
        complain(str(fault))
    return source.name, reading, len(errors)


def chosen_tenants(reading: Reading, tenant: str) -> Sequence[Tenant]:
    """All tenants, or the one with this UUID or name.

    Raises:
        Failure: there is none, or there are several.
    """
    if not tenant:
        return reading.tenants
    found = [each for each in reading.tenants if tenant.lower() == each.uuid or tenant == each.name]
    if len(found) == 1:
        return found
    known = ", ".join(f"{each.name or each.uuid}" for each in reading.tenants[:10])
    problem = f"several tenants are named '{tenant}'; give the UUID" if found else f"there is no tenant '{tenant}'"
    raise Failure(f"{problem}; there are: {known}", ExitCode.USAGE)
