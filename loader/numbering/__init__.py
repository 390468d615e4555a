"""Numbering of countries: tables and emergency numbers, made from libphonenumber's metadata when rules are compiled.

The metadata are loaded on first use: loading takes 50 ms, and most tenants have no ``dialling``.
"""

from loader.numbering.errors import UnknownCountry

__all__ = ["UnknownCountry", "emergency_numbers", "numbering_table"]


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
