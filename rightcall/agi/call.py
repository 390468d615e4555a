"""A channel's call, read from channel variables."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


_USER: Final = "user:"
"""The prefix of a user's number, in ``WAZO_FWD_REFERER`` and in the user's alias."""


class ChannelCall(NamedTuple):
    """The call in the channel's variables.

    Attributes:
        outcall: id of the outcall; empty: the call leaves through none.
        uuid: the calling user's UUID; empty: no user, or a channel without the UUID.
        user: that user's number in Wazo; empty: no user.
        tenant: the tenant's UUID.
        referer: the last forwarder of the call, such as ``user:42`` or ``group:7``; empty: not forwarded.
        extension: the dialled extension.
    """

    outcall: str
    uuid: str
    user: str
    tenant: str
    referer: str
    extension: str

    @property
    def caller(self) -> str:
        """The user who calls, by UUID or else by the alias that the number makes; empty: no user."""
        return self.uuid or (f"{_USER}{self.user}" if self.user else "")

    @property
    def forwarded_by(self) -> str:
        """The user whose forward or transfer sends the call out, by alias; empty: no user's does."""
        return self.referer if self.outcall and self.referer.startswith(_USER) else ""

    @property
    def named_tenant(self) -> str:
        """The tenant to name in a request; empty: the one that the caller's UUID belongs to."""
        return "" if self.uuid and not self.forwarded_by else self.tenant

    @property
    def unchecked(self) -> bool:
        """Whether no rule can apply: a call of no user that leaves through no outcall."""
        return not (self.caller or self.outcall)

    @property
    def garbled(self) -> bool:
        """Whether a value holds control characters, which no telephone sends."""
        return any(unicodedata.category(char) == "Cc" for value in self for char in value)


class CallVariables:
    """The channel variables that describe a call.

    Args:
        prefix: start of their names.

    Attributes:
        expressions: the expressions whose values ``call`` needs.
    """

    def __init__(self, prefix: str) -> None:
        names = ("OUTCALLID", "USERUUID", "USERID", "TENANT_UUID", "FWD_REFERER", "DSTNUM")
        self.expressions = tuple(f"${{{prefix}{name}}}" for name in names)

    def call(self, values: Sequence[str]) -> ChannelCall:
        """The call, by the values of ``expressions``."""
        return ChannelCall(*values)
