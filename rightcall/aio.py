"""The asynchronous client: what ``rightcall.Client`` does, to be awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import grpc.aio

from rightcall import v1
from rightcall.client import messages as wire
from rightcall.client.channel import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT,
    HEALTH_METHOD,
    HEALTH_SERVING,
    MAX_BATCH,
    OPTIONS,
    credentials,
)
from rightcall.client.directory import AsyncDirectoryQuestions
from rightcall.client.errors import NoAnswer, ServerError
from rightcall.client.values import Call

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
    from types import TracebackType

    from rightcall.client.errors import RightcallError
    from rightcall.client.values import Answer, ChallengeAnswer, Explanation, Status

    RequestT = TypeVar("RequestT")
    ResponseT = TypeVar("ResponseT")

__all__ = ["Client"]


class Client(AsyncDirectoryQuestions):
    """Asks a Rightcall server, over one connection that any number of tasks of one event loop may share.

    ::

        from rightcall.aio import Client

        async with Client("pdp.example.org:50051") as client:
            answer = await client.check(caller="2c34c282-433e-4bb8-8d56-fec14ff7e1e9", extension="0033123456789")

    Make it where the event loop runs. All else is as in ``rightcall.Client``.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        tls: bool = False,
        ca_file: str | os.PathLike[str] | None = None,
        certificate_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
        token: str | Callable[[], str] | None = None,
        emergency: Iterable[str] = (),
    ) -> None:
        secure = credentials(
            tls=tls, ca_file=ca_file, certificate_file=certificate_file, key_file=key_file, token=token
        )
        self.target = target
        self._timeout = timeout
        self._is_emergency = wire.emergency_test(emergency)
        self._channel = (
            grpc.aio.secure_channel(target, secure, OPTIONS) if secure else grpc.aio.insecure_channel(target, OPTIONS)
        )
        self._decisions = v1.DecisionServiceStub(self._channel)
        self._directory = v1.DirectoryServiceStub(self._channel)
        self._health: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(HEALTH_METHOD)

    async def check(
        self,
        *,
        extension: str,
        caller: str = "",
        outcall: str = "",
        tenant: str = "",
        at_least_revision: int = 0,
        forwarded_by: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
    ) -> Answer:
        """May ``caller`` dial ``extension`` through ``outcall``? See ``rightcall.Client.check``."""
        request = wire.to_request(
            Call(
                extension=extension,
                caller=caller,
                outcall=outcall,
                tenant=tenant,
                at_least_revision=at_least_revision,
                forwarded_by=forwarded_by,
            )
        )
        try:
            response, trailing = await self._told(self._decisions.CheckCall, request, timeout)
        except (NoAnswer, ServerError):
            if self._is_emergency(extension):
                return wire.EMERGENCY
            raise
        return wire.to_answer(response, wire.decision_id(trailing))

    async def check_many(self, calls: Iterable[Call], *, timeout: float | None = None) -> list[Answer | RightcallError]:  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
        """Many questions at once, answered in their order. See ``rightcall.Client.check_many``."""
        requests = [wire.to_request(call) for call in calls]
        answers: list[Answer | RightcallError] = []
        for start in range(0, len(requests), MAX_BATCH):
            part = requests[start : start + MAX_BATCH]
            response = await self._ask(self._decisions.CheckCalls, v1.CheckCallsRequest(calls=part), timeout)
            answers += wire.to_answers(self.target, response, len(part))
        return answers

    async def check_stream(
        self,
        questions: AsyncIterable[tuple[str, Call]],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
    ) -> AsyncIterator[tuple[str, Answer | RightcallError]]:
        """Questions as they come, over one stream. See ``rightcall.Client.check_stream``."""
        failed: list[Exception] = []
        stream = self._decisions.StreamCheckCalls(_sent(questions, failed), timeout=timeout)
        try:
            async for response in stream:
                yield wire.to_tagged(self.target, response)
        except grpc.aio.AioRpcError as error:
            status, message = error.code().value[0], error.details() or ""
            raise wire.to_error(self.target, status, message, timeout or 0) from error
        finally:
            stream.cancel()
        if failed:
            raise failed[0]

    async def answer_challenge(
        self,
        challenge: str,
        password: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
    ) -> ChallengeAnswer:
        """Whether a password opens a call. See ``rightcall.Client.answer_challenge``."""
        request = wire.to_challenge_request(challenge, password)
        return wire.to_challenge_answer(await self._ask(self._decisions.AnswerChallenge, request, timeout))

    async def explain(
        self,
        *,
        extension: str,
        caller: str = "",
        outcall: str = "",
        tenant: str = "",
        forwarded_by: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
    ) -> Explanation:
        """Why ``check`` with the same arguments answers as it does. See ``rightcall.Client.explain``."""
        request = wire.to_request(
            Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant, forwarded_by=forwarded_by)
        )
        response = await self._ask(self._decisions.ExplainCall, v1.ExplainCallRequest(call=request), timeout)
        return wire.to_explanation(response)

    async def status(self, *, tenant: str = "", timeout: float | None = None) -> Status:  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
        """What the server holds. See ``rightcall.Client.status``."""
        return wire.to_status(await self._ask(self._directory.GetStatus, v1.GetStatusRequest(tenant=tenant), timeout))

    async def healthy(self, *, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
        """Whether the server serves. See ``rightcall.Client.healthy``."""
        return await self._ask(self._health, b"", timeout) == HEALTH_SERVING

    async def close(self) -> None:
        """Ends the connection, and with it the questions that are under way."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the connection."""
        await self.close()

    async def _ask(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout: float | None,  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
    ) -> ResponseT:
        return (await self._told(method, request, timeout))[0]

    async def _told(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout: float | None,  # noqa: ASYNC109 - a deadline of gRPC, as in the other client
    ) -> tuple[ResponseT, Iterable[tuple[str, str | bytes]] | None]:
        """The response, and the metadata that follow it."""
        seconds = self._timeout if timeout is None else timeout
        call = method(request, timeout=seconds)
        try:
            return await call, await call.trailing_metadata()
        except grpc.aio.AioRpcError as error:
            status, message = error.code().value[0], error.details() or ""
            raise wire.to_error(self.target, status, message, seconds) from error


async def _sent(
    questions: AsyncIterable[tuple[str, Call]], failed: list[Exception]
) -> AsyncIterator[v1.StreamCheckCallsRequest]:
    """The messages that ask ``questions``; what goes wrong ends them, and is kept for whoever reads the answers."""
    try:
        async for identity, call in questions:
            yield wire.to_question(identity, call)
    except Exception as error:  # noqa: BLE001 - grpcio would log it, and tell the caller nothing
        failed.append(error)
