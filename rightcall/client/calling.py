"""One request, the response, and the trailing metadata: the difference between the two kinds of channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    import grpc
    import grpc.aio

    RequestT = TypeVar("RequestT")
    ResponseT = TypeVar("ResponseT")
    Metadata = Iterable[tuple[str, str | bytes]]


def exchange(
    method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, seconds: float
) -> tuple[ResponseT, Metadata | None]:
    """The response, and the trailing metadata.

    Raises:
        grpc.RpcError: there is no response.
    """
    response, done = method.with_call(request, timeout=seconds)
    return response, done.trailing_metadata()


async def async_exchange(
    method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, seconds: float
) -> tuple[ResponseT, Metadata | None]:
    """``exchange``, to be awaited."""
    done = method(request, timeout=seconds)
    return await done, await done.trailing_metadata()
