"""The errors of a conversation with Asterisk.

AgiError
├── ChannelGone       the caller hung up, or Asterisk closed the connection: there is nobody left to decide for
└── ProtocolError     Asterisk said what this adapter does not understand
"""

from __future__ import annotations


class AgiError(Exception):
    """Root of what ends a conversation."""


class ChannelGone(AgiError):
    """The caller hung up, or Asterisk closed the connection."""


class ProtocolError(AgiError):
    """Asterisk said what this adapter does not understand. The message never holds what was dialled."""
