"""What a dialled extension means, straight from the specification and from ``phonenumbers``: slow, and easily read.

Written without a look at the tables and the run time that it judges: libphonenumber's own functions and regular
expressions are called for each number. Sections are those of docs/semantics.md, "How a tenant dials".
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from re import _parser as re_parser  # type: ignore[attr-defined]  # what takes expressions apart has no public name
from typing import Any, NamedTuple

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat
from phonenumbers.phonemetadata import PhoneMetadata

SEPARATORS = " \u00a0-.()/"


class RefusedExtension(ValueError):
    """An extension that cannot be dialled."""


class Form(NamedTuple):
    """One way to write a number.

    Attributes:
        text: what patterns are matched against.
        spelled: how many of its first characters a pattern must spell out; 0 where it is not marked †.
    """

    text: str
    spelled: int = 0


class Number(NamedTuple):
    """A number, however it was dialled: ``digits`` is the NSN of an own one, CC and NSN of a foreign one."""

    own: bool
    digits: str


Reading = tuple[Form, ...]


def fold(text: str) -> str:
    """Step 1, without its last sentence."""
    out = []
    for character in text:
        if unicodedata.category(character) == "Nd":
            out.append(str(unicodedata.decimal(character)))
        elif character not in SEPARATORS:
            out.append(character)
    return "".join(out)


def strings(pattern: str) -> list[str]:
    """Every string that a regular expression of the metadata stands for."""
    return list(dict.fromkeys(_expanded(re_parser.parse(pattern))))


def _expanded(tree: Any) -> list[str]:
    parts = (_choices(str(operation), argument) for operation, argument in tree)
    return ["".join(choice) for choice in itertools.product(*parts)]


def _choices(operation: str, argument: Any) -> list[str]:
    match operation:
        case "LITERAL":
            return [chr(argument)]
        case "IN":
            return [digit for digit in "0123456789" if any(_is_in(digit, *member) for member in argument)]
        case "BRANCH":
            return [text for tree in argument[1] for text in _expanded(tree)]
        case "SUBPATTERN":
            return _expanded(argument[-1])
        case "MAX_REPEAT":
            least, most, tree = argument
            counts = range(least, most + 1)
            return ["".join(c) for n in counts for c in itertools.product(_expanded(tree), repeat=n)]
    raise AssertionError(operation)


def _is_in(digit: str, kind: Any, value: Any) -> bool:
    if str(kind) == "RANGE":
        return bool(value[0] <= ord(digit) <= value[1])
    return bool(str(kind) == "CATEGORY" or ord(digit) == value)


class Country:
    """A country's ways to dial, and an outside line's.

    Args:
        country: an ISO code, or nothing.
        line: the outside line, or nothing.
    """

    def __init__(self, country: str = "", line: str = "") -> None:
        self.country, self.line = country, line
        self.hidden = ["*31#", "#31#"]
        self.prefixes: list[str] = []
        if not country:
            return
        metadata = PhoneMetadata.metadata_for_region(country)
        assert metadata is not None, country
        self.metadata = metadata
        self.cc = metadata.country_code or 0
        self.np: str = metadata.national_prefix or ""
        if self.cc == 1:
            self.hidden += ["*67", "*82"]
        if self.cc == 61:
            self.hidden += ["1831", "1832"]
        preferred = (metadata.preferred_international_prefix or "").replace("~", "")
        prefixes = [*strings(metadata.international_prefix or ""), preferred, "00"]
        self.prefixes = sorted({*prefixes} - {""}, key=lambda prefix: (-len(prefix), prefix))

    # Validity

    def valid(self, nsn: str) -> bool:
        """Whether libphonenumber calls an own number valid."""
        return _valid(self.cc, nsn)

    def number_valid(self, number: Number | None) -> bool:
        """Whether it is a number, and valid."""
        if number is None:
            return False
        return self.valid(number.digits) if number.own else _valid_abroad(number.digits)

    def bare(self, nsn: str) -> bool:
        """Whether an own number is dialled bare (4d), as far as that does not depend on what was dialled."""
        return self.valid(nsn) and (not self.np or _formatted_bare(self.cc, nsn))

    # Step 4

    def number(self, text: str, *, behind_line: bool = False) -> Number | None:
        """The number that ``+`` and digits, or digits alone, are."""
        if not self.country:
            return None
        fitting = ["+"] if text.startswith("+") else [p for p in self.prefixes if text.startswith(p)]
        if fitting:
            fitting.sort(key=len, reverse=True)
            numbers = [(p, self._international(text[len(p) :])) for p in fitting]
            chosen = next((p for p, n in numbers if self.number_valid(n)), None)
            chosen = chosen or next((p for p, n in numbers if n and not n.own), None) or fitting[0]
            behind = text[len(chosen) :]
            if not behind or behind[0] == "0":
                return None
            if number := self._international(behind):
                return number
        if text.startswith("+") or not text:
            return None
        return self._national(text, behind_line=behind_line)

    def _international(self, digits: str) -> Number | None:
        if not digits or digits[0] == "0":
            return None
        cc = str(self.cc)
        if digits.startswith(cc):
            nsn = digits[len(cc) :]
            if self.np and nsn.startswith(self.np):
                without = nsn[len(self.np) :]
                if self.np in ("0", "1") or (not self.valid(nsn) and self.valid(without)):
                    nsn = without
            if len(nsn) >= 7 or self.valid(nsn):
                return Number(own=True, digits=nsn)
        return Number(own=False, digits=digits) if len(digits) >= 7 else None

    def _national(self, text: str, *, behind_line: bool) -> Number | None:
        parsing = self.metadata.national_prefix_for_parsing
        if parsing and (match := re.match(parsing, text)) and match.end():
            rule = self.metadata.national_prefix_transform_rule
            groups = match.groups()
            if rule and groups and groups[-1] is not None:
                nsn = match.expand(rule) + text[match.end() :]
            else:
                nsn = text[match.end() :]
            if len(nsn) >= 7 or self.valid(nsn):
                return Number(own=True, digits=nsn)
        if self.bare(text) or (behind_line and not self.np and len(text) >= 7):
            return Number(own=True, digits=text)
        return None

    # Steps 2, 3, 5, 6

    def readings(self, extension: str) -> list[Reading]:
        """The readings of an extension, each with its forms.

        Raises:
            RefusedExtension: it cannot be dialled.
        """
        folded = fold(extension)
        if not re.fullmatch(r"\+?[0-9*#A-D]+", folded):
            raise RefusedExtension(extension)
        shown = self.shown(folded)
        head = re.split(r"[*#A-D]", shown)[0]
        unread = tuple(Form(text) for text in dict.fromkeys((folded, shown, head)) if text)
        if self.line and head.startswith(self.line):
            first = self.number(head[len(self.line) :], behind_line=True)
            whole = self.number(head) if not self.number_valid(first) else None
            numbers = [first, whole] if self.number_valid(whole) else [first]
        else:
            numbers = [self.number(head)]
        return [self.forms(number) if number else unread for number in numbers]

    def shown(self, folded: str) -> str:
        """A folded extension without what hides the caller (step 2)."""
        for before in ("", self.line):
            for code in self.hidden:
                if folded.startswith(before + code) and len(folded) > len(before + code):
                    return before + folded[len(before + code) :]
        return folded

    def forms(self, number: Number) -> Reading:
        """The forms of a number; where none but marked ones would be left, the national one stays."""
        prefixes = ["+", *self.prefixes]
        if number.own:
            national = [(self.np + number.digits, 0)]
            if self.bare(number.digits) or not self.np:
                national.append((number.digits, 0))
            cc = str(self.cc)
            candidates = national + [(p + cc + number.digits, len(p + cc)) for p in prefixes]
        else:
            candidates = [(p + number.digits, 0) for p in prefixes]
        forms = []
        for text, spelled in candidates:
            behind = self.number(text, behind_line=bool(self.line) and text[0] != "+")
            if self.line and text[0] != "+":
                if behind == number:
                    forms.append(Form(self.line + text, spelled and spelled + len(self.line)))
                if text.startswith(self.line):
                    continue
            if self.number(text) == number:
                forms.append(Form(text, spelled))
        if not any(not form.spelled for form in forms):
            text = self.np + number.digits
            kept = [self.line + text] if self.line else []
            kept += [] if self.line and text.startswith(self.line) else [text]
            forms = [*map(Form, kept), *forms]
        return tuple(dict.fromkeys(forms))


def _phone_number(cc: int, nsn: str) -> PhoneNumber:
    zeros = len(nsn) - len(nsn.lstrip("0"))
    if zeros == len(nsn):
        zeros -= 1
    return PhoneNumber(cc, int(nsn), italian_leading_zero=zeros > 0 or None, number_of_leading_zeros=zeros or None)


@functools.cache
def _valid(cc: int, nsn: str) -> bool:
    return bool(nsn) and len(nsn) <= 20 and phonenumbers.is_valid_number(_phone_number(cc, nsn))


def _valid_abroad(digits: str) -> bool:
    for length in (1, 2, 3):
        if int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return _valid(int(digits[:length]), digits[length:])
    return False


@functools.cache
def _formatted_bare(cc: int, nsn: str) -> bool:
    """Whether the national format of CC's main region has no national prefix, or marks it optional."""
    metadata = PhoneMetadata.metadata_for_region(phonenumbers.region_code_for_country_code(cc))
    assert metadata is not None
    number = _phone_number(cc, nsn)
    chosen = None
    for format_ in metadata.number_format:
        leading = format_.leading_digits_pattern
        if (not leading or re.match(leading[-1], nsn)) and re.fullmatch(format_.pattern or "", nsn):
            chosen = format_
            break
    if chosen is None:
        return True
    if chosen.national_prefix_optional_when_formatting:
        return True
    shown = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    return re.sub(r"\D", "", shown) == nsn
