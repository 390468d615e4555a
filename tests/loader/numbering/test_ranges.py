"""Numbers that cost more than others are found by patterns that match no others."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from loader.numbering import UnknownCountry, cost_ranges
from loader.numbering.metadata import country_metadata

COUNTRIES = ("FR", "DE", "GB", "US", "ES", "CH", "IE", "IN", "SE")
OTHERS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE)


def matches(patterns: tuple[str, ...], dialled: str) -> bool:
    """Whether one of some patterns matches."""
    words = ("_", ""), (".", ".+"), ("X", "[0-9]"), ("!", ".*")
    expressions = list(patterns)
    for one, other in words:
        expressions = [expression.replace(one, other) for expression in expressions]
    return any(re.fullmatch(expression, dialled) for expression in expressions)


@pytest.mark.parametrize("country", COUNTRIES)
def test_premium_numbers_match_and_others_do_not(country: str) -> None:
    """As people dial them, with the national prefix, behind the outside line."""
    prefix = country_metadata(country).national_prefix or ""
    for kind in (PhoneNumberType.PREMIUM_RATE, *OTHERS):
        example = phonenumbers.example_number_for_type(country, kind)
        if example is not None:
            dialled = "9" + prefix + phonenumbers.national_significant_number(example)
            expected = kind == PhoneNumberType.PREMIUM_RATE
            assert matches(cost_ranges(country, "9")["premium"], dialled) is expected, (dialled, kind)


def test_ranges_are_few_patterns() -> None:
    """A person reads them."""
    assert cost_ranges("FR", "0") == {
        "premium": ("_008[3569].", "_0081[2-9].", "_0082[2-47-9].", "_0088[0-35-9]."),
        "satellite": ("_000870.", "_000881.", "_000882.", "_000883."),
        "international": ("_000.", "_+."),
    }


def test_an_unknown_country_is_an_error() -> None:
    """As everywhere."""
    with pytest.raises(UnknownCountry):
        cost_ranges("XX", "")
