"""Errors about countries."""

from __future__ import annotations


class UnknownCountry(ValueError):
    """A country of which libphonenumber has no metadata.

    Attributes:
        country: the requested country.
        remedy: the remedy.
    """

    remedy = "write its ISO 3166 code in capitals, as in FR"

    def __init__(self, country: str) -> None:
        self.country = country
        super().__init__(f"{country!r} is no country that libphonenumber knows; {self.remedy}")
