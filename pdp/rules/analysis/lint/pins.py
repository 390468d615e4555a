"""PINs that are easy to guess, shared, or cannot be typed. No PIN is ever part of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.lint.finding import Mistake
from pdp.rules.model import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.rules.analysis.lint.subject import Subject

_SHORTEST = 4


def pins(subject: Subject) -> Iterator[Mistake]:
    """Everything about PINs, of permissions and of users."""
    for permission in subject.rulings.permissions.values():
        if permission.mode is Mode.DENY and permission.password is not None:
            yield from _weak(subject.name(permission.id), permission.password, permissions=(permission.id,))
    holders: dict[str, list[str]] = {}
    for user in subject.tenant.users:
        pin = user.call_permission_password
        if pin is None:
            continue
        holders.setdefault(pin, []).append(user.uuid)
        yield from _weak(subject.names.user(user.uuid), pin, users=(user.uuid,))
        if pin == user.extension:
            text = f"the PIN of {subject.names.user(user.uuid)} is the user's own extension"
            yield Mistake("pin-is-the-extension", text, "choose another one", users=(user.uuid,))
    for users in holders.values():
        if len(users) > 1:
            text = f"{subject.names.people(tuple(users))} have the same PIN of their own"
            yield Mistake("shared-pin", text, "give each user another one", users=tuple(users))


def _weak(owner: str, pin: str, *, permissions: tuple[int, ...] = (), users: tuple[str, ...] = ()) -> Iterator[Mistake]:
    if len(pin) < _SHORTEST:
        text = f"the PIN of {owner} has less than {_SHORTEST} digits"
        yield Mistake("short-pin", text, "choose a longer one", permissions, users)
    if "#" in pin:
        text = f"the PIN of {owner} holds a #, which ends the typing of a PIN on a telephone"
        yield Mistake("untypable-pin", text, "choose one of digits", permissions, users)
