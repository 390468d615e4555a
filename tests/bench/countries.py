"""What the analysis of rules costs in each country: a typical tenant that says how it dials.

``python -m bench.countries [LINE] [COUNTRY …]`` with tests on the path, as ``python -m bench.countries 0 BR IN``: the
outside line, ``-`` for none, and countries, all without. Prints states, processor seconds and expectations that are not
proven; the exit code is 1 where there is such an expectation. All countries take three minutes.
"""

from __future__ import annotations

import sys
import time

import phonenumbers

from loader.numbering import numbering_table
from pdp.rules.analysis.expectations import Truth, prove
from pdp.rules.analysis.proving import asked_of
from pdp.rules.analysis.regions import Regions
from pdp.rules.analysis.rulings import Policy, Rulings
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.rules.model import (
    CallPermission,
    Chosen,
    Decision,
    Dialling,
    Expectation,
    Group,
    Mode,
    Outcall,
    Tenant,
    User,
    Who,
)

ALICE, BOB = (f"2c34c282-433e-4bb8-8d56-fec14ff7e1e{last}" for last in "9a")
_STOPPED = frozenset({Decision.DENY, Decision.CHALLENGE})


def tenant(country: str, line: str) -> Tenant:
    """A tenant with the rules and expectations that most have: abroad, premium, mobile, short and emergency numbers."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    own = line + ((metadata and metadata.national_prefix) or "")
    everyone = Who(Chosen.EVERYONE)
    return Tenant(
        "54eb71f8-1f4b-4ae4-8730-638062fbe521",
        "typical",
        (User(ALICE), User(BOB)),
        (Group("1", users=(ALICE,)), Group("2", users=(BOB,))),
        (Outcall("1"),),
        (
            CallPermission(1, extensions=(f"_{line}00.", "_+."), outcalls=("1",)),
            CallPermission(2, extensions=(f"_{own}900.", f"_{own}89X."), outcalls=("1",)),
            CallPermission(3, mode=Mode.ALLOW, extensions=(f"_{own}[6-9].", f"_{line}00[1-4]."), groups=("1",)),
            CallPermission(4, password="4711", extensions=(f"_{line}118XXX", "_1XX", "2XXX"), groups=("2",)),
            CallPermission(5, extensions=("_!",), users=(BOB,)),
        ),
        emergency=("112", "911"),
        expectations=(
            Expectation("emergency", everyone, ("112", "911"), frozenset({Decision.ALLOW})),
            Expectation("no-premium", everyone, (f"_{own}900.",), _STOPPED),
            Expectation("abroad", Who(Chosen.LISTED, groups=("2",)), (f"_{line}00.", "_+."), _STOPPED),
            Expectation("mobile", Who(Chosen.LISTED, groups=("1",)), (f"_{own}6.",), frozenset({Decision.ALLOW})),
        ),
        dialling=Dialling(country, line, numbering_table(country, line)),
    )


def main(line: str, countries: list[str]) -> int:
    """Proves the expectations of a typical tenant in each country; the exit code."""
    unproven = most = 0
    slowest = 0.0
    for country in countries:
        typical = tenant(country, line)
        begun = time.process_time()
        try:
            regions = Regions.of_versions([asked_of(typical, ())])[0]
        except TooManyStatesError as error:
            print(f"{country} {line or '-':<3} {error}", flush=True)
            unproven += 1
            continue
        rulings = Rulings(typical, regions)
        proofs = [prove(rulings, expectation, Policy()) for expectation in typical.expectations]
        seconds = time.process_time() - begun
        open_ = [proof.expectation.name for proof in proofs if proof.truth is Truth.NOT_PROVEN]
        unproven += bool(open_)
        most, slowest = max(most, regions.states), max(slowest, seconds)
        print(f"{country} {line or '-':<3}{regions.states:>8,} states{seconds:8.2f} s  {', '.join(open_)}", flush=True)
    print(f"{len(countries)} countries, {unproven} with something not proven, most {most:,} states, {slowest:.2f} s")
    return 1 if unproven else 0


if __name__ == "__main__":
    _LINE = sys.argv[1].strip("-") if len(sys.argv) > 1 else ""
    sys.exit(main(_LINE, sys.argv[2:] or sorted(phonenumbers.SUPPORTED_REGIONS)))
