"""The blocking client. ``rightcall.aio`` has its asynchronous twin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

import grpc

from rightcall import v1, wire
from rightcall.answers import Call
from rightcall.channel import DEFAULT_TARGET, DEFAULT_TIMEOUT, MAX_BATCH, OPTIONS, credentials

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from types import TracebackType

    from rightcall.answers import Answer, Explanation, Status
    from rightcall.errors import RightcallError

    RequestT = TypeVar("RequestT")
    ResponseT = TypeVar("ResponseT")


class Client:
    """Asks a Rightcall server, over one connection that any number of threads may share.

    ::

        from rightcall import Client

        with Client("pdp.example.org:50051") as client:
            answer = client.check(caller="2c34c282-433e-4bb8-8d56-fec14ff7e1e9", extension="0033123456789", outcall="3")
        print("go ahead" if answer.allowed else answer.decision.name)

    Nothing is connected before the first question. A question that found no server is asked again a few times, within
    its deadline; a server that comes back is found within seconds.

    Args:
        target: ``HOST:PORT`` or ``unix:PATH``; all addresses of HOST are used in turn.
        timeout: seconds that a question may take, retries included.
        tls: whether to connect with TLS.
        ca_file: PEM file of the authorities to trust; implies ``tls``. None: the well-known ones.

    Raises:
        OSError: ``ca_file`` cannot be read.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        tls: bool = False,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> None:
        secure = credentials(tls=tls, ca_file=ca_file)
        self.target = target
        self._timeout = timeout
        self._channel = (
            grpc.secure_channel(target, secure, OPTIONS) if secure else grpc.insecure_channel(target, OPTIONS)
        )
        self._decisions = v1.DecisionServiceStub(self._channel)
        self._directory = v1.DirectoryServiceStub(self._channel)

    def check(
        self, *, extension: str, caller: str = "", outcall: str = "", tenant: str = "", timeout: float | None = None
    ) -> Answer:
        """May ``caller`` dial ``extension`` through ``outcall``?

        Args:
            extension: what was dialled, 1 to 128 printable characters.
            caller: the UUID of the user who calls; empty: only the outcall's permissions apply.
            outcall: the id of the outgoing call; empty: the call leaves through none.
            tenant: the tenant's UUID; empty: the caller's own tenant, else the outcall's.
            timeout: seconds that it may take; None: as the client was made with.

        Raises:
            QuestionError: the question is at fault.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        request = wire.to_request(Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant))
        return wire.to_answer(self._ask(self._decisions.CheckCall, request, timeout))

    def check_many(self, calls: Iterable[Call], *, timeout: float | None = None) -> list[Answer | RightcallError]:
        """Many questions at once, answered in their order.

        Up to 1,000 questions travel together and are decided by one state of the rules; more are sent in several parts.

        Args:
            calls: the questions.
            timeout: seconds that each part may take; None: as the client was made with.

        Returns:
            For each question its answer, or the error that ``check`` would have raised.

        Raises:
            InvalidCall: a question cannot be sent at all.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        requests = [wire.to_request(call) for call in calls]
        answers: list[Answer | RightcallError] = []
        for start in range(0, len(requests), MAX_BATCH):
            part = requests[start : start + MAX_BATCH]
            response = self._ask(self._decisions.CheckCalls, v1.CheckCallsRequest(calls=part), timeout)
            answers += wire.to_answers(self.target, response, len(part))
        return answers

    def explain(
        self, *, extension: str, caller: str = "", outcall: str = "", tenant: str = "", timeout: float | None = None
    ) -> Explanation:
        """Why ``check`` with the same arguments answers as it does: the whole derivation. It raises the same."""
        request = wire.to_request(Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant))
        response = self._ask(self._decisions.ExplainCall, v1.ExplainCallRequest(call=request), timeout)
        return wire.to_explanation(response)

    def status(self, *, tenant: str = "", timeout: float | None = None) -> Status:
        """What the server holds.

        Args:
            tenant: the UUID of the only tenant to report on; empty: all of them.
            timeout: seconds that it may take; None: as the client was made with.

        Raises:
            UnknownTenant: ``tenant`` is not known.
            NoAnswer: there is no answer now.
            ServerError: the server failed.
        """
        return wire.to_status(self._ask(self._directory.GetStatus, v1.GetStatusRequest(tenant=tenant), timeout))

    def close(self) -> None:
        """Ends the connection, and with it the questions that are under way."""
        self._channel.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the connection."""
        self.close()

    def _ask(
        self, method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float | None
    ) -> ResponseT:
        seconds = self._timeout if timeout is None else timeout
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            # What a call raises is both an error and the call; only the latter's type has the status.
            status, message = error.code().value[0], error.details() or ""
            raise wire.to_error(self.target, status, message, seconds) from error
