"""Which password is asked for where calls are challenged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.rulings import NOBODY
from pdp.rules.model import PasswordOverride, Stage

if TYPE_CHECKING:
    from pdp.rules.analysis.rulings import Ids, Rulings

Asked = tuple[tuple[str, int], ...]
"""Passwords, each with the extensions for which it is asked, sorted."""


def asked(
    rulings: Rulings,
    caller: str,
    own: str | None,
    outcall: str | None,
    override: PasswordOverride = PasswordOverride.ALL,
) -> Asked:
    """The passwords that a caller is asked for.

    Args:
        rulings: the tenant's.
        caller: a user's UUID; one that the tenant does not know is a caller that is no user.
        own: the user's own password, if it has one.
        outcall: None: through none.
        override: where the user's own password replaces a permission's.
    """
    found: dict[str, int] = {}
    left = rulings.universe & ~rulings.emergency
    for stage, ids in rulings.stages(rulings.rights.get(caller, NOBODY), outcall):
        ruling = rulings.stage(ids)
        if ruling.challenge & left:
            replaced = own if stage is Stage.USER or override is PasswordOverride.ALL else None
            for password, numbers in _in_stage(rulings, ids, ruling.challenge & left):
                found[replaced or password] = found.get(replaced or password, 0) | numbers
        left &= ~ruling.decided
    return tuple(sorted(found.items()))


def _in_stage(rulings: Rulings, ids: Ids, left: int) -> list[tuple[str, int]]:
    """The permissions' passwords: where several match, the one of the highest id."""
    found = []
    for id_ in sorted(ids, reverse=True):
        password = rulings.permissions[id_].password
        numbers = rulings.set_of(id_) & left
        if password is not None and numbers:
            found.append((password, numbers))
            left &= ~numbers
    return found
