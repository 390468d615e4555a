"""Numbering of countries: tables and emergency numbers, made from libphonenumber's metadata when rules are compiled.

The metadata are loaded on first use: loading takes 50 ms, and most tenants have no ``dialling``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.numbering.errors import UnknownCountry

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UnknownCountry", "cost_ranges", "emergency_numbers", "numbering_table"]


def numbering_table(country: str, outside_line: str) -> bytes:
    """The table with which a server reads extensions dialled in a country and behind an outside line.

    Equal arguments and equal metadata give equal bytes. Their layout: ``pdp.rules.dialling.layout``.

    Args:
        country: an ISO 3166 code, in capitals; nothing where extensions are only folded.
        outside_line: digits, or nothing.

    Raises:
        UnknownCountry: libphonenumber does not know the country.
    """
    from loader.numbering.table import table  # noqa: PLC0415 - loads the metadata

    return table(country, outside_line)


def emergency_numbers(country: str) -> tuple[str, ...]:
    """A country's emergency numbers, sorted. Some national ones are missing (FR 114, IT 114).

    Args:
        country: an ISO 3166 code, in capitals.

    Raises:
        UnknownCountry: libphonenumber does not know the country.
    """
    from loader.numbering.emergency import listed  # noqa: PLC0415 - loads the metadata

    return listed(country)


def cost_ranges(country: str, outside_line: str) -> Mapping[str, tuple[str, ...]]:
    """Patterns of numbers that cost more than others, as they are dialled in a country, by kind.

    Kinds are ``premium``, ``satellite`` and ``international``; one without numbers is missing.

    Args:
        country: an ISO 3166 code, in capitals.
        outside_line: digits, or nothing.

    Raises:
        UnknownCountry: libphonenumber does not know the country.
    """
    from loader.numbering.ranges import ranges  # noqa: PLC0415 - loads the metadata

    return ranges(country, outside_line)
