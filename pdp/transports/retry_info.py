"""The time to retry, for gRPC clients: a ``google.rpc.RetryInfo``, and a plain number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration

if TYPE_CHECKING:
    from pdp.errors import RetryLater

_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def retry_metadata(error: RetryLater) -> tuple[tuple[str, str | bytes], ...]:
    """Trailing metadata that says after which time a call is worth another attempt."""
    milliseconds = math.ceil(error.retry_after * 1000)
    return (
        ("retry-after-ms", str(milliseconds)),
        ("grpc-status-details-bin", _status(error.code, error.message, milliseconds)),
    )


def _status(code: int, message: str, milliseconds: int) -> bytes:
    """A ``google.rpc.Status``. Three fields are not worth a dependency for the generated classes."""
    delay = Duration()
    delay.FromMilliseconds(milliseconds)
    info = AnyMessage(type_url=_RETRY_INFO, value=_field(1, delay.SerializeToString()))
    return bytes((0x08, code)) + _field(2, message.encode()) + _field(3, info.SerializeToString())


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of a message."""
    return bytes((number << 3 | 2,)) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))
