"""The emergency numbers that libphonenumber's short-number metadata lists for a country."""

from __future__ import annotations

from functools import cache

from phonenumbers.phonemetadata import PhoneMetadata

from loader.numbering.expressions import parse, strings
from loader.numbering.metadata import country_metadata


@cache
def listed(country: str) -> tuple[str, ...]:
    """``numbering.emergency_numbers``."""
    country_metadata(country)
    short = PhoneMetadata.short_metadata_for_region(country)
    if short is None or short.emergency is None or short.emergency.national_number_pattern is None:
        return ()
    return tuple(sorted(set(strings(parse(short.emergency.national_number_pattern)))))
