"""The used part of libphonenumber's metadata (package ``phonenumberslite``), and the metadata's sets of numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS
from phonenumbers.phonemetadata import REGION_CODE_FOR_NON_GEO_ENTITY, PhoneMetadata

from loader.numbering.errors import UnknownCountry
from loader.numbering.expressions import parse
from loader.numbering.languages import EMPTY

if TYPE_CHECKING:
    from phonenumbers.phonemetadata import PhoneNumberDesc

    from loader.numbering.languages import Languages, Node

LONGEST = 17
"""Digits of the longest national number that libphonenumber knows."""
_GROUP = re.compile(r"\\\d")
_DIGIT = re.compile(r"\d")
_KINDS = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
    "fixed_line",
    "mobile",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The national format of numbers of one shape.

    Attributes:
        numbers: the numbers of this shape.
        bare: whether these are dialled without a national prefix.
    """

    numbers: Node
    bare: bool


@cache
def country_metadata(country: str) -> PhoneMetadata:
    """A country's metadata.

    Raises:
        UnknownCountry: there is none.
    """
    metadata = PhoneMetadata.metadata_for_region(country) if country in SUPPORTED_REGIONS else None
    if metadata is None:
        raise UnknownCountry(country)
    return metadata


@cache
def country_code(country: str) -> int:
    """A country's code.

    Raises:
        UnknownCountry: libphonenumber does not know the country.
    """
    code = country_metadata(country).country_code
    if code is None:
        raise UnknownCountry(country)
    return code


def main_metadata(code: int) -> PhoneMetadata:
    """The metadata of a country code's main region."""
    return _regions(code)[0]


def country_codes() -> tuple[int, ...]:
    """Every country code, those of no country included."""
    return tuple(sorted(COUNTRY_CODE_TO_REGION_CODE))


def valid_numbers(languages: Languages, code: int) -> Node:
    """The national numbers that libphonenumber calls valid, of any region with this country code.

    A region with leading digits of its own owns all numbers with that beginning, as in libphonenumber.
    """
    regions = _regions(code)
    if len(regions) == 1:
        return _valid(languages, regions[0])
    everything = left = languages.of_lengths(range(LONGEST + 1))
    whole = EMPTY
    for region in regions:
        valid = _valid(languages, region)
        own = languages.matching(parse(region.leading_digits), everything) if region.leading_digits else valid
        whole = languages.union(whole, languages.intersection(languages.intersection(left, own), valid))
        left = languages.without(left, own)
    return whole


def shapes(languages: Languages, code: int) -> list[Shape]:
    """The national formats of the main region; the first that fits is used."""
    metadata = main_metadata(code)
    everything = languages.of_lengths(range(LONGEST + 1))
    found = []
    for shape in metadata.number_format:
        numbers = languages.matching(parse(shape.pattern), languages.end)
        if shape.leading_digits_pattern:
            leading = languages.matching(parse(shape.leading_digits_pattern[-1]), everything)
            numbers = languages.intersection(numbers, leading)
        rule = _GROUP.sub("", shape.national_prefix_formatting_rule or "")
        bare = bool(shape.national_prefix_optional_when_formatting) or not _DIGIT.search(rule)
        found.append(Shape(numbers, bare))
    return found


def _regions(code: int) -> list[PhoneMetadata]:
    """The metadata of every region with a country code, the main one first."""
    found = []
    for region in COUNTRY_CODE_TO_REGION_CODE[code]:
        if region == REGION_CODE_FOR_NON_GEO_ENTITY:
            metadata = PhoneMetadata.metadata_for_nongeo_region(code)
        else:
            metadata = PhoneMetadata.metadata_for_region(region)
        if metadata is not None:
            found.append(metadata)
    return found


def _valid(languages: Languages, region: PhoneMetadata) -> Node:
    """The valid numbers of one region."""
    kinds = EMPTY
    for kind in _KINDS:
        kinds = languages.union(kinds, described(languages, getattr(region, kind)))
    return languages.intersection(kinds, described(languages, region.general_desc))


def described(languages: Languages, description: PhoneNumberDesc | None) -> Node:
    """The numbers that match a description of the metadata."""
    if description is None or description.national_number_pattern is None:
        return EMPTY
    numbers = languages.matching(parse(description.national_number_pattern), languages.end)
    if description.possible_length:
        numbers = languages.intersection(numbers, languages.of_lengths(description.possible_length))
    return numbers
