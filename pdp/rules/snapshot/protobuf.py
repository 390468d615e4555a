"""As much of protobuf's wire format as deciding needs: a message of a permission, and messages around it.

https://protobuf.dev/programming-guides/encoding/ has the format. ``pdp.rules`` knows no message of the API; whoever
asks says what stands before and behind. Plain questions are read by ``matcher_native``.
"""

from __future__ import annotations

NOT_PLAIN = -1
"""Instead of a verdict's number: the request is for protobuf's own reader."""
CALLER_KNOWN, OUTCALL_KNOWN = 1 << 32, 1 << 33
"""Added to the number of the verdict on a plain request: it has a caller, or an outcall, and the tenant knows it."""
_SEVEN_BITS = 0x7F
_MORE = 0x80
_ID, _NAME = b"\x0a", b"\x12"
"""Fields 1 and 2, each with a length."""


def delimited(tag: bytes, content: bytes) -> bytes:
    """A field that is a message or a text: its tag, how many bytes follow, and they."""
    left, length = len(content), bytearray()
    while left > _SEVEN_BITS:
        length.append(left & _SEVEN_BITS | _MORE)
        left >>= 7
    length.append(left)
    return tag + length + content


def permission_message(permission: int, name: str, before: bytes, behind: bytes, around: bytes) -> bytes:
    """A permission as a message with its id, in digits, as field 1 and its name as field 2.

    Args:
        permission: its id.
        name: its name; without one there is no field 2.
        before: what stands before the message, its tag the last.
        behind: what stands behind it.
        around: the tags, of one byte each, of the messages that all of this is within, the outermost first.
    """
    content = delimited(_ID, str(permission).encode())
    if name:
        content += delimited(_NAME, name.encode())
    made = before[:-1] + delimited(before[-1:], content) + behind
    for tag in reversed(around):
        made = delimited(bytes((tag,)), made)
    return made
