"""The asynchronous client. The blocking one, ``rightcall.Client``, is made from this text (``make client``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import grpc.aio

from rightcall import v1
from rightcall.client import messages as wire
from rightcall.client.calling import async_exchange
from rightcall.client.channel import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT,
    HEALTH_METHOD,
    HEALTH_SERVING,
    MAX_BATCH,
    credentials,
    options,
)
from rightcall.client.directory import to_rpc_error
from rightcall.client.directory_aio import AsyncDirectoryQuestions
from rightcall.client.errors import NoAnswer, ServerError
from rightcall.client.lockouts_aio import AsyncLockoutRequests
from rightcall.client.values import Call

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
    from types import TracebackType

    from rightcall.client.calling import Metadata
    from rightcall.client.errors import RightcallError
    from rightcall.client.values import Answer, ChallengeAnswer, Explanation, Status

    RequestT = TypeVar("RequestT")
    ResponseT = TypeVar("ResponseT")

__all__ = ["Client"]


class Client(AsyncDirectoryQuestions, AsyncLockoutRequests):
    """Asks a Rightcall server, over one connection that any number of tasks of one event loop may share.

    ::

        from rightcall.aio import Client

        async with Client("pdp.example.org:50051") as client:
            answer = await client.check(caller="2c34c282-433e-4bb8-8d56-fec14ff7e1e9", extension="0033123456789")
        print("go ahead" if answer.allowed else answer.decision.name)

    Make it where the event loop runs.

    The client connects at the first question. A question that found no server is retried a few times, within the
    deadline; a server that comes back is found within seconds.

    Args:
        target: ``HOST:PORT`` or ``unix:PATH``; all addresses of HOST are used in turn.
        timeout: seconds that a question may take, retries included.
        tls: whether to connect with TLS.
        ca_file: PEM file of the authorities to trust; implies ``tls``. None: the well-known ones.
        certificate_file: PEM file of the client's own certificate chain, for servers that ask for one.
        key_file: PEM file of the certificate's private key.
        token: sent with each question, over TLS alone; or a function that returns the token of each question, for
            tokens that expire.
        emergency: numbers that ``check`` allows where no server answers, in the stage EMERGENCY.
        retry: whether a question that found no server is retried. False: ``Unreachable`` comes at once, for a caller
            with a way of its own to go on, such as another server.

    Raises:
        OSError: a file cannot be read.
        ValueError: a certificate without its key, or a token without TLS.
    """

    def __init__(  # noqa: PLR0913 - keyword-only ones, each with a default
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
        retry: bool = True,
    ) -> None:
        secure = credentials(
            tls=tls, ca_file=ca_file, certificate_file=certificate_file, key_file=key_file, token=token
        )
        self.target = target
        self._timeout = timeout
        self._is_emergency = wire.emergency_test(emergency)
        chosen = options(retry=retry)
        self._channel = (
            grpc.aio.secure_channel(target, secure, chosen) if secure else grpc.aio.insecure_channel(target, chosen)
        )
        self._decisions = v1.DecisionServiceStub(self._channel)
        self._directory = v1.DirectoryServiceStub(self._channel)
        self._lockouts = v1.LockoutServiceStub(self._channel)
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
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of gRPC
    ) -> Answer:
        """May ``caller`` dial ``extension`` through ``outcall``?

        Args:
            extension: the dialled extension, 1 to 128 printable characters.
            caller: the user who calls, a UUID or an alias; empty: only the outcall's permissions apply.
            outcall: the id of the outgoing call; empty: the call leaves through none.
            tenant: the tenant's UUID; empty: the caller's own tenant, else the outcall's.
            at_least_revision: number of the oldest revision that may decide; 0: any.
            forwarded_by: the user whose forward or transfer sends the call on, as ``caller``; empty: not forwarded.
            timeout: seconds for the request; None: the client's timeout.

        Raises:
            QuestionError: the question is at fault.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
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

    async def check_many(self, calls: Iterable[Call], *, timeout: float | None = None) -> list[Answer | RightcallError]:  # noqa: ASYNC109 - a deadline of gRPC
        """Many questions at once, answered in their order.

        Up to 1,000 questions travel together and are decided by one state of the rules; more are sent in several parts.

        Args:
            calls: the questions.
            timeout: seconds for each part; None: the client's timeout.

        Returns:
            For each question the answer, or the error that ``check`` would have raised.

        Raises:
            InvalidCall: a question cannot be sent at all.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
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
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of gRPC
    ) -> AsyncIterator[tuple[str, Answer | RightcallError]]:
        """Questions as they come, over one stream that stays open until there are no more.

        Questions are taken only as fast as answers are. Answers come in the order of the
        questions. When the stream breaks, open another one and repeat the unanswered questions.

        Args:
            questions: an id, which comes back with the answer, and the question; may wait between questions.
            timeout: seconds that the whole stream may last; None: as long as there are questions.

        Yields:
            For each question the id, with the answer or the error that ``check`` would have raised.

        Raises:
            InvalidCall: a question cannot be sent at all; raised after the answers to earlier questions, as are errors
                that ``questions`` raises.
            NoAnswer: there are no answers now.
            ServerError: the server failed.
        """
        failed: list[Exception] = []
        stream = self._decisions.StreamCheckCalls(_sent(questions, failed), timeout=timeout)
        try:
            async for response in stream:
                yield wire.to_tagged(self.target, response)
        except grpc.aio.AioRpcError as error:
            raise to_rpc_error(self.target, error, timeout or 0) from error
        finally:
            stream.cancel()
        if failed:
            raise failed[0]

    async def answer_challenge(
        self,
        challenge: str,
        password: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of gRPC
    ) -> ChallengeAnswer:
        """Whether the password that a caller dialled opens the call that ``check`` answered with a challenge.

        A wrong password is an answer: DENY, and the number of attempts left. Each request counts as an attempt, so none
        is sent twice; after an error, ask the caller again, or give up.

        Args:
            challenge: the answer's challenge.
            password: the dialled digits.
            timeout: seconds for the request; None: the client's timeout.

        Raises:
            ChallengeOver: the challenge has expired, or opened a call before; ``check`` again.
            InvalidCall: the challenge is not this deployment's, or the digits cannot be a password.
            NoAnswer: there is no answer now; the call is not opened.
            ServerError: the server failed.
        """
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
        timeout: float | None = None,  # noqa: ASYNC109 - a deadline of gRPC
    ) -> Explanation:
        """The whole derivation of ``check`` with the same arguments. Raises the same errors."""
        request = wire.to_request(
            Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant, forwarded_by=forwarded_by)
        )
        response = await self._ask(self._decisions.ExplainCall, v1.ExplainCallRequest(call=request), timeout)
        return wire.to_explanation(response)

    async def status(self, *, tenant: str = "", timeout: float | None = None) -> Status:  # noqa: ASYNC109 - a deadline of gRPC
        """The rules that the server holds.

        Args:
            tenant: the UUID of the only tenant to report on; empty: all.
            timeout: seconds for the request; None: the client's timeout.

        Raises:
            UnknownTenant: ``tenant`` is not known.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        return wire.to_status(await self._ask(self._directory.GetStatus, v1.GetStatusRequest(tenant=tenant), timeout))

    async def healthy(self, *, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - a deadline of gRPC
        """Whether the server serves: has rules, and is not about to stop. Connects if there is no connection.

        Args:
            timeout: seconds for the request; None: the client's timeout.

        Raises:
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        return await self._ask(self._health, b"", timeout) == HEALTH_SERVING

    async def close(self) -> None:
        """Ends the connection, and all questions under way."""
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
        timeout: float | None,  # noqa: ASYNC109 - a deadline of gRPC
    ) -> ResponseT:
        response, _ = await self._told(method, request, timeout)
        return response

    async def _told(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout: float | None,  # noqa: ASYNC109 - a deadline of gRPC
    ) -> tuple[ResponseT, Metadata | None]:
        """The response, and the trailing metadata."""
        seconds = self._timeout if timeout is None else timeout
        try:
            return await async_exchange(method, request, seconds)
        except grpc.aio.AioRpcError as error:
            raise to_rpc_error(self.target, error, seconds) from error


async def _sent(
    questions: AsyncIterable[tuple[str, Call]], failed: list[Exception]
) -> AsyncIterator[v1.StreamCheckCallsRequest]:
    """The messages for ``questions``; an error ends the messages, and is kept for the reader of the answers."""
    try:
        async for identity, call in questions:
            yield wire.to_question(identity, call)
    except Exception as error:  # noqa: BLE001 - grpcio would log the error, and the reader would not get any
        failed.append(error)
