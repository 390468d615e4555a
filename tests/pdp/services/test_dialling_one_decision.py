"""One number, one decision: by the service, whichever way the number is dialled."""

from __future__ import annotations

import os
import random
import re
from functools import lru_cache

import phonenumbers
from dialling_cases import COUNTRIES, Numbers, dialling
from given import ACME, ALICE
from hypothesis import given, settings
from hypothesis import strategies as st
from server import current_of

from loader.numbering import numbering_table
from pdp.metrics.registry import Metrics
from pdp.rules.model import CallPermission, Dialling, Mode, Tenant, User
from pdp.services.decisions import DecisionService
from rightcall import v1

EXAMPLES = int(os.environ.get("RIGHTCALL_DIALLING_EXAMPLES", "40"))
"""Numbers that are tried; more in a long run."""


def deciding(country: str, line: str, *permissions: CallPermission) -> DecisionService:
    """A service with the rules of a tenant in a country."""
    how = Dialling(country, line, _table(country, line))
    current = current_of(Tenant(ACME, users=(User(ALICE),), call_permissions=permissions, dialling=how))
    return DecisionService(current, Metrics(current, ""))


@lru_cache(16)
def _table(country: str, line: str) -> bytes:
    return numbering_table(country, line)


def _is_at_home(dialled: str, country: str, number: str) -> bool:
    """Whether libphonenumber reads what is dialled in a country as this number, and not as one of elsewhere."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    if metadata is None or re.match(metadata.international_prefix or "00", dialled):
        return False
    try:
        read = phonenumbers.parse(dialled, country)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.national_significant_number(read) == number


@settings(max_examples=EXAMPLES, deadline=None)
@given(country=st.sampled_from(COUNTRIES), line=st.sampled_from(("", "0", "9")), seed=st.integers(0, 2**32))
def test_two_ways_to_dial_a_number_get_one_decision(country: str, line: str, seed: int) -> None:
    """From home, from abroad, behind the outside line, with separators, in another script, with the caller hidden."""
    numbering, numbers, chance = dialling(country, line).numbering, Numbers(seed), random.Random(seed)
    number = numbers.national(country)
    if not numbering.is_valid(number):
        return
    ways = [f"+{numbering.code}{number}", f"{line}00{numbering.code}{number}"]
    digits = f"{line}{numbering.prefix}{number}"
    if _is_at_home(f"{numbering.prefix}{number}", country, number):
        ways.append(digits)
    patterns = [f"_{digits[: chance.randint(1, len(digits))]}!", f"_+{numbering.code}{number[:2]}!", "_00."]
    chosen = chance.sample(patterns, chance.randint(1, 3))
    service = deciding(
        country,
        line,
        CallPermission(1, "no", extensions=tuple(chosen), users=(ALICE,)),
        CallPermission(2, "yes", mode=Mode.ALLOW, extensions=(f"_{digits[:-1]}X",), users=(ALICE,)),
    )
    spelled = [*ways, *map(numbers.separated, ways), *(way + "#" for way in ways)]
    found = {way: service.check_call(v1.CheckCallRequest(caller=ALICE, extension=way)).permission.id for way in spelled}
    assert len(set(found.values())) == 1, (country, line, chosen, found)
