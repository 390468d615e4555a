"""AuthZEN on the HTTP port: the paths, and the form of responses and errors."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from pdp.authzen.documents import problem, read
from pdp.authzen.evaluator import CHALLENGE, CONFIGURATION, EVALUATION, EVALUATIONS, configuration, questions
from pdp.authzen.search import ACTIONS, RESOURCES, SUBJECTS
from pdp.decision_log.ids import begin
from pdp.errors import CallError, InvalidCall, RetryLater
from pdp.runtime.http import CLIENT_CERTIFICATE, origin_of
from pdp.security.identity import CALLERS, DECISION, ORIGIN, REACH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from starlette.requests import Request

    from pdp.authzen.evaluator import Evaluator
    from pdp.authzen.search import Search

    Admit = Callable[
        [Sequence[str], Callable[[], int], bytes | None, str, Callable[[], bool]], AbstractContextManager[object]
    ]

_log = structlog.get_logger()

_JSON: Final = "application/json"
_DECISION_ID: Final = "Decision-Id"
_ENDPOINTS: Final = {
    "access_evaluation_endpoint": EVALUATION,
    "access_evaluations_endpoint": EVALUATIONS,
    "search_subject_endpoint": SUBJECTS,
    "search_resource_endpoint": RESOURCES,
    "search_action_endpoint": ACTIONS,
    "rightcall_challenge_endpoint": CHALLENGE,
}

_DEFECT: Final = {"error": {"status": 500, "code": "INTERNAL", "message": "internal error"}}


def authzen_routes(
    evaluator: Evaluator,
    search: Search,
    *,
    admit: Admit | None = None,
    public_url: str = "",
    decision_ids: bool = False,
) -> list[Route]:
    """The parts of the AuthZEN API.

    Args:
        evaluator: answers evaluations.
        search: answers searches.
        admit: takes a request's ``Authorization`` headers, a function for the number of requests inside, the client's
            certificate, the right needed, and a function that says whether limits do not apply; returns a context
            manager around the response, which raises ``CallError`` to reject. None: every client is admitted.
        public_url: under which clients reach the HTTP port; empty: the URL of each request.
        decision_ids: whether a response's header ``Decision-Id`` names the entry in the decision log.
    """

    def answering(answer: Callable[[object], dict[str, Any]], right: str = DECISION) -> Callable[[Request], Any]:
        def respond(request: Request, body: bytes) -> Response:
            authorization = request.headers.getlist("authorization")
            certificate = request.scope["state"].get(CLIENT_CERTIFICATE)
            kind = request.headers.get("content-type", "")
            document = cache(partial(read, body))
            try:
                cost, spared = partial(_cost, document), partial(_spared, document, evaluator, right)
                with admit(authorization, cost, certificate, right, spared) if admit else nullcontext():
                    if kind.partition(";")[0].strip().lower() != _JSON:
                        raise InvalidCall(f"send {_JSON}, and say so in Content-Type")
                    ORIGIN.set(origin_of(request))
                    named = {_DECISION_ID: begin().id} if decision_ids else None
                    return _json(answer(document()), headers=named)
            except CallError as error:
                return _refused(error)

        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                # On a thread: an evaluation may have to wait for rules, and counting attempts for Redis.
                response = await run_in_threadpool(respond, request, body)
            except Exception:  # noqa: BLE001 - any error gives the client a status and the log the traceback
                _log.exception("authzen_failed", path=request.url.path)
                response = _json(_DEFECT, HTTPStatus.INTERNAL_SERVER_ERROR)
            return response

        return endpoint

    def configured(request: Request) -> Response:
        return _json(configuration(public_url or str(request.base_url), _ENDPOINTS))

    return [
        Route(EVALUATION, answering(evaluator.evaluate), methods=["POST"]),
        Route(EVALUATIONS, answering(evaluator.evaluate_many), methods=["POST"]),
        Route(SUBJECTS, answering(search.subjects, CALLERS), methods=["POST"]),
        Route(RESOURCES, answering(search.resources, REACH), methods=["POST"]),
        Route(ACTIONS, answering(search.actions), methods=["POST"]),
        Route(CHALLENGE, answering(evaluator.answer), methods=["POST"]),
        Route(CONFIGURATION, configured),
    ]


def _cost(document: Callable[[], object]) -> int:
    return questions(document())


def _spared(document: Callable[[], object], evaluator: Evaluator, right: str) -> bool:
    """Whether no limit may keep a request back; a search never is such a one."""
    return right == DECISION and evaluator.spares(document())


def _json(document: dict[str, Any], code: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(document), code, headers, _JSON)


def _refused(error: CallError) -> Response:
    code = error.code.http_status
    headers = {}
    if code == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RetryLater):
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return _json(problem(error), code, headers)
