"""The options of emergency numbers, which are always allowed."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click

from loader.numbering import UnknownCountry, emergency_numbers, numbering_table
from pdp.rules.dialling import HIDES_CALLER, Emergency
from pdp.rules.dialling.numbering import NumberingTable
from rightcall.cli.command import option

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = Callable[..., Any]


def emergency_options(function: Decorated) -> Decorated:
    """Passed to the command together as ``emergency``."""

    @wraps(function)
    def allowing(*, emergency: str, emergency_country: str | None, outside_line: str, **params: object) -> object:
        numbers = tuple(number.strip() for number in emergency.split(",") if number.strip())
        for name, texts in (("--emergency", numbers), ("--outside-line", (outside_line,) if outside_line else ())):
            if not all(text.isascii() and text.isdigit() for text in texts):
                raise click.UsageError(f"{name} takes digits; write for instance 112,911, or 0 for an outside line.")
        return function(emergency=_emergency(numbers, emergency_country, outside_line), **params)

    decorated: Decorated = allowing
    for add in (
        option("--outside-line", default="", metavar="DIGITS", help="May be dialled before an emergency number."),
        option(
            "--emergency-country",
            metavar="CODE",
            help="ISO code of a country, such as FR: the emergency numbers that libphonenumber lists for it, besides.",
        ),
        option(
            "--emergency",
            default="",
            metavar="NUMBERS",
            help="Emergency numbers, such as 112,911: always allowed, without asking the server.",
        ),
    ):
        decorated = add(decorated)
    return decorated


def _emergency(numbers: tuple[str, ...], country: str | None, outside_line: str) -> Emergency:
    if not country:
        return Emergency(numbers, outside_line)
    try:
        table = NumberingTable(memoryview(numbering_table(country, outside_line)))
        return Emergency((*numbers, *emergency_numbers(country)), outside_line, (*HIDES_CALLER, *table.hides_caller))
    except UnknownCountry as error:
        raise click.UsageError(f"--emergency-country: {error}.") from error
    except ModuleNotFoundError as error:
        needs = f"--emergency-country needs {error.name}, which is not installed"
        raise click.UsageError(f"{needs}; run: pip install 'rightcall[all]', or name the numbers.") from error
