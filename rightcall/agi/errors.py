"""The errors of a dialogue with Asterisk.

AgiError
├── ChannelGone       the caller hung up, or Asterisk closed the connection: there is no call left to decide
├── AsteriskSilent    Asterisk owes a reply and sends none
└── ProtocolError     Asterisk sent an unexpected line
    └── BrokenValue   a channel variable holds what no telephone dials: a line break, or bytes that are no text
"""

from __future__ import annotations


class AgiError(Exception):
    """Root of what ends a dialogue."""


class ChannelGone(AgiError):
    """The caller hung up, or Asterisk closed the connection."""


class AsteriskSilent(AgiError):
    """Asterisk owes a reply and sends none."""


class ProtocolError(AgiError):
    """Asterisk sent an unexpected line. The message never holds the extension."""


class BrokenValue(ProtocolError):
    """A channel variable holds a line break, or bytes that are no text: an attempt to write replies of one's own."""
