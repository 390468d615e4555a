"""The call that a channel asks about, as its variables describe it."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class ChannelCall(NamedTuple):
    """What the channel's variables say.

    Attributes:
        outcall: id of the outcall; empty: the call leaves through none.
        caller: UUID of the user who calls; empty: none, or it is not known.
        user: the user's number in Wazo; empty: no user.
        tenant: the tenant's UUID.
        extension: what was dialled.
    """

    outcall: str
    caller: str
    user: str
    tenant: str
    extension: str

    @property
    def unchecked(self) -> bool:
        """Whether no rule can apply: it is no user's, and leaves through no outcall."""
        return not (self.caller or self.user or self.outcall)

    @property
    def garbled(self) -> bool:
        """Whether a value holds control characters, which no telephone sends."""
        return any(unicodedata.category(char) == "Cc" for value in self for char in value)


class CallVariables:
    """Which channel variables describe a call.

    Args:
        prefix: start of their names.

    Attributes:
        expressions: what ``call`` wants the values of.
    """

    def __init__(self, prefix: str) -> None:
        names = ("OUTCALLID", "USERUUID", "USERID", "TENANT_UUID", "DSTNUM")
        self.expressions = tuple(f"${{{prefix}{name}}}" for name in names)

    def call(self, values: Sequence[str]) -> ChannelCall:
        """The call, by the values of ``expressions``."""
        return ChannelCall(*values)
