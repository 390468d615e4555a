"""What rules are matched against: the forms of what was dialled, for those who look at patterns one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.dialling import form_of

if TYPE_CHECKING:
    from pdp.rules.snapshot.snapshot import Snapshot


class Form(NamedTuple):
    """One way to write what was dialled.

    Attributes:
        text: what patterns are matched against.
        spelled: how many of its first characters a pattern must spell out to match it; 0: none.
    """

    text: str
    spelled: int = 0


class Reading(NamedTuple):
    """One number that an extension may be, or none.

    Attributes:
        extension: as it was dialled.
        forms: those that patterns of the tenant can tell apart; the extension itself where it does not say how it
            dials.
    """

    extension: str
    forms: tuple[Form, ...]

    def unmarked(self) -> list[str]:
        """The forms that any pattern may match."""
        return [form.text for form in self.forms if not form.spelled]

    def matching(self, snapshot: Snapshot, pattern: int) -> str:
        """The first form that a pattern, given by its number, matches; empty where it matches none."""
        plain = snapshot.pattern(pattern).replace("_", "")
        for text, spelled in self.forms:
            if plain.startswith(text[:spelled]) and snapshot.pattern_matches(pattern, text):
                return text
        return ""


def readings_of(snapshot: Snapshot, extension: str) -> list[Reading]:
    """The readings of an extension.

    Raises:
        Undiallable: it cannot be dialled where the tenant is.
    """
    if snapshot.dialling is None:
        return [Reading(extension, (Form(extension),))]
    readings = snapshot.dialling.readings(extension)
    return [Reading(extension, tuple(Form(*form_of(word)) for word in words)) for words in readings]
