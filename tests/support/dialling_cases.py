"""What tests of dialling share: the cases of ``tests/cases``, readers of extensions, and numbers to dial."""

from __future__ import annotations

import functools
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import phonenumbers
from definitions import tenant_from
from dialling_deciding import Suite, Undescribed, Undialled
from dialling_reference import Country, RefusedExtension, fold

from loader.numbering import emergency_numbers, numbering_table
from pdp.rules.dialling import Dialling as OpenedDialling
from pdp.rules.dialling import DiallingPlan, Emergency, Undiallable, form_of
from pdp.rules.model import Dialling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dialling_deciding import Reader

    from pdp.rules.model import Tenant

CASES = Path(__file__).parents[1] / "cases"
FILES = sorted((CASES / "dialling").glob("dialling-*.json"))
COUNTRIES = sorted(phonenumbers.SUPPORTED_REGIONS)
LINES = ("", "0", "9")

_ZEROS = "\uff10\u0660\u06f0\u0966"
"""0 in full width, Arabic, Persian and Devanagari."""

Readings = list[list[tuple[str, int]]]


class ReferenceReader:
    """Reads extensions with the reference."""

    def __init__(self, country: str, line: str) -> None:
        self.country = _country(country, line)

    def readings(self, extension: str) -> Readings:
        """The readings, each with its forms; raises Undialled."""
        try:
            return [[(form.text, form.spelled) for form in reading] for reading in self.country.readings(extension)]
        except RefusedExtension as error:
            raise Undialled(extension) from error

    def is_emergency(self, extension: str, numbers: Iterable[str]) -> bool:
        """Whether the extension is one of the numbers as a whole."""
        folded = fold(extension)
        for shown in {folded, self.country.shown(folded)}:
            texts = [shown]
            if self.country.line and shown.startswith(self.country.line):
                texts.append(shown[len(self.country.line) :])
            if any(text in numbers or text.removesuffix("#") in numbers for text in texts):
                return True
        return False


class TableReader:
    """Reads extensions with tables, all forms of them."""

    def __init__(self, country: str, line: str) -> None:
        self.dialling = dialling(country, line)

    def readings(self, extension: str) -> Readings:
        """The readings, each with its forms; raises Undialled."""
        try:
            return [[form_of(word) for word in words] for words in self.dialling.readings(extension)]
        except Undiallable as error:
            raise Undialled(extension) from error

    def is_emergency(self, extension: str, numbers: Iterable[str]) -> bool:
        """Whether the extension is one of the numbers as a whole."""
        return extension in Emergency(numbers, self.dialling.outside_line, self.dialling.hides_caller)


class UndescribedReader(Undescribed):
    """Reads extensions where a tenant does not say how it dials, but has emergency numbers."""

    def is_emergency(self, extension: str, numbers: Iterable[str]) -> bool:
        """Whether the extension is one of the numbers as a whole."""
        return extension in Emergency(numbers)


_country = functools.lru_cache(4096)(Country)


@functools.lru_cache(4096)
def dialling(country: str, line: str) -> OpenedDialling:
    """What opens the table of a country and a line, with every form that there is."""
    return OpenedDialling(memoryview(DiallingPlan(numbering_table(country, line), None).section))


def suite(path: Path, reader: Callable[[str, str], Reader]) -> tuple[Suite, list[dict[str, Any]]]:
    """A file of cases, with what reads the extensions of its tenants."""
    document = json.loads(path.read_text())
    tenants = document["definitions"]["tenants"]
    found = Suite(document["options"], tenants)
    for tenant in tenants:
        uuid, how, emergency = tenant["uuid"], tenant.get("dialling"), tenant.get("emergency", {})
        if how is None:
            found.readers[uuid] = UndescribedReader()
        else:
            found.readers[uuid] = reader(how.get("country", ""), how.get("outside_line", ""))
        country = emergency.get("country")
        found.emergency[uuid] = {*emergency.get("numbers", ()), *(emergency_numbers(country) if country else ())}
    return found, document["cases"]


def dialled_tenant(raw: dict[str, Any]) -> Tenant:
    """A tenant of the definitions format, unchecked, with how it dials."""
    tenant, how = tenant_from(raw), raw.get("dialling")
    if how is None:
        return tenant
    country, line = how.get("country", ""), how.get("outside_line", "")
    return replace(tenant, dialling=Dialling(country, line, numbering_table(country, line)))


class Numbers:
    """Makes up what people dial: numbers that look real, with digits too many, too few or changed.

    Args:
        seed: equal seeds make equal numbers.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def national(self, country: str) -> str:
        """A national number of a country, which need not be valid."""
        digits = list(self.random.choice(_examples(country)))
        for _ in range(self.random.randint(0, 4)):
            digits[-self.random.randint(1, len(digits))] = self.random.choice("0123456789")
        text = "".join(digits)
        kind = self.random.random()
        if kind < 0.1:
            return text + self.random.choice(("1", "12", "55555"))
        return text[: self.random.randint(1, len(text))] if kind < 0.2 else text

    def digits(self) -> str:
        """Any digits."""
        return "".join(self.random.choices("0123456789", k=self.random.randint(1, 14)))

    def dialled(self, country: Country, *, sound: bool = False) -> str:
        """What may be dialled in a country; and, unless it must be sound, what may not."""
        choose, chance = self.random.choice, self.random.random
        foreign = choose(COUNTRIES)
        number = choose((self.national(country.country), self.national(foreign), self.digits()))
        code = choose((str(country.cc), str(phonenumbers.country_code_for_region(foreign))))
        start = choose(("", country.np, "+" + code, *(choose(country.prefixes) + code for _ in range(2))))
        text = start + choose(("", "", country.np)) + number
        if chance() < 0.1:
            text = (country.np or "0") + choose(("15", "12", "21", "14", "1401", "90", "9")) + number
        first = not sound or not text.startswith("+")
        if country.line and first and chance() < 0.5:
            text = country.line + text
        return self.decorated(text, country.hidden if first else [""], sound=sound)

    def decorated(self, text: str, codes: Sequence[str] = ("*31#", "#31#"), *, sound: bool = False) -> str:
        """A text, at times with a code in front, a tail, other scripts' digits and separators."""
        choose, chance = self.random.choice, self.random.random
        if chance() < 0.1:
            text = choose(codes) + text
        if chance() < 0.1:
            text += choose(("#", "*1", "A", "*#", "" if sound else "x"))
        return self.separated(text) if chance() < 0.2 else text

    def separated(self, text: str) -> str:
        """A text with separators, and with digits of other scripts."""
        zero = ord(self.random.choice(_ZEROS))
        places = {self.random.randint(1, len(text)) for _ in range(3)}
        out = []
        for place, character in enumerate(text):
            if place in places:
                out.append(self.random.choice(" -./()\u00a0"))
            foreign = character.isdecimal() and character.isascii() and self.random.random() < 0.3
            out.append(chr(zero + int(character)) if foreign else character)
        return "".join(out)


@functools.cache
def _examples(country: str) -> list[str]:
    """Valid national numbers of a country, one of each type."""
    found = (phonenumbers.example_number_for_type(country, kind) for kind in range(11))
    return [phonenumbers.national_significant_number(number) for number in found if number is not None]
