"""The texts that rules are matched against: the forms of an extension, for code that looks at patterns one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.dialling import form_of
from pdp.rules.effort import CHECKPOINT

if TYPE_CHECKING:
    from pdp.rules.snapshot.snapshot import Snapshot


class Form(NamedTuple):
    """One way to write an extension.

    Attributes:
        text: the text that patterns are matched against.
        spelled: how many of the first characters a pattern must spell out in order to match; 0: none.
    """

    text: str
    spelled: int = 0


class Reading(NamedTuple):
    """One number that an extension may be, or none.

    Attributes:
        extension: the extension as dialled.
        forms: the forms that patterns of the tenant can tell apart; the extension alone in a tenant without a dialling
            plan.
    """

    extension: str
    forms: tuple[Form, ...]

    def unmarked(self) -> list[str]:
        """The forms that any pattern may match."""
        return [form.text for form in self.forms if not form.spelled]

    def matching(self, snapshot: Snapshot, pattern: int) -> str:
        """The first form that a pattern, given by its number, matches; empty where there is none."""
        CHECKPOINT.get()()
        plain = snapshot.pattern(pattern).replace("_", "")
        for text, spelled in self.forms:
            if plain.startswith(text[:spelled]) and snapshot.pattern_matches(pattern, text):
                return text
        return ""


def readings_of(snapshot: Snapshot, extension: str) -> list[Reading]:
    """The readings of an extension.

    Raises:
        Undiallable: the extension cannot be dialled in the tenant.
    """
    if snapshot.dialling is None:
        return [Reading(extension, (Form(extension),))]
    readings = snapshot.dialling.readings(extension)
    return [Reading(extension, tuple(Form(*form_of(word)) for word in words)) for words in readings]
