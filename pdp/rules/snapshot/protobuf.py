"""As much of protobuf's wire format as deciding needs: a message of a permission, and messages around that message.

https://protobuf.dev/programming-guides/encoding/ has the format. ``pdp.rules`` knows no message of the API; the calling
layer passes the bytes before and behind. Plain requests are read by ``matcher_native``.
"""

from __future__ import annotations

NOT_PLAIN = -1
"""Instead of a verdict's number: the request is for protobuf's own reader."""
CALLER_KNOWN, OUTCALL_KNOWN = 1 << 32, 1 << 33
"""Added to the number of the verdict on a plain request: the request has a caller, or an outcall, of the tenant."""
_SEVEN_BITS = 0x7F
_MORE = 0x80
_ID, _NAME = b"\x0a", b"\x12"
"""Fields 1 and 2, each with a length."""


def delimited(tag: bytes, content: bytes) -> bytes:
    """A field that is a message or a text: tag, length in bytes, and content."""
    left, length = len(content), bytearray()
    while left > _SEVEN_BITS:
        length.append(left & _SEVEN_BITS | _MORE)
        left >>= 7
    length.append(left)
    return tag + length + content


def permission_message(permission: int, name: str, before: bytes, behind: bytes, around: bytes) -> bytes:
    """A permission as a message with the id, in digits, as field 1 and the name as field 2.

    Args:
        permission: the id of the permission.
        name: the name of the permission; without a name there is no field 2.
        before: the bytes before the message, which end with the message's tag.
        behind: the bytes behind the message.
        around: the tags, of one byte each, of the messages that enclose all of this, the outermost first.
    """
    content = delimited(_ID, str(permission).encode())
    if name:
        content += delimited(_NAME, name.encode())
    made = before[:-1] + delimited(before[-1:], content) + behind
    for tag in reversed(around):
        made = delimited(bytes((tag,)), made)
    return made
