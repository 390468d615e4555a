"""AuthZEN: the OpenID Foundation's Authorization API 1.0 over HTTP and JSON, answered by the same service as gRPC.

A request is an evaluation: may this subject (the caller) do this action (``call``) to this resource (the extension)?
The context has the outcall and the tenant. A decision is true or false, so a challenge is false, with a context that
says that a password would change that. docs/authzen.md describes the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.authzen.documents import ACTION, action_of, context_of, entity_of, mapping_of, problem, refuse, text_of
from pdp.errors import CallError, InvalidCall
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.services.decisions import DecisionService

EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
CHALLENGE: Final = "/rightcall/v1/challenge"
CONFIGURATION: Final = "/.well-known/authzen-configuration"

_PARTS: Final = ("subject", "action", "resource", "context")
_LARGEST_REVISION: Final = 2**63 - 1
_ENDS_AT: Final = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}
"""By ``evaluations_semantic``, the decision that ends the evaluations."""
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "subject": ("type", "id"),
    "action": ("name",),
    "resource": ("type", "id"),
}


class Evaluator:
    """Answers evaluations; documents in, documents out.

    Args:
        decisions: the service that decides.
        max_evaluations: that one request may hold.
    """

    def __init__(self, decisions: DecisionService, max_evaluations: int) -> None:
        self._decisions = decisions
        self._max_evaluations = max_evaluations

    def evaluate(self, document: object) -> dict[str, Any]:
        """One evaluation, one decision.

        Raises:
            CallError: the evaluation has no response.
        """
        return decision_of(self._decisions.check_call(call_of(mapping_of(document, "the request"))))

    def spares(self, document: object) -> bool:
        """Whether a document holds an evaluation of a call to an emergency number, which no limit may keep back."""
        evaluations = document.get("evaluations") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(evaluations, list):
            return self._spares_one(document)
        defaults = _defaults(document)
        return len(evaluations) <= self._max_evaluations and any(
            self._spares_one(_merged(defaults, one)) for one in evaluations if isinstance(one, dict)
        )

    def _spares_one(self, evaluation: object) -> bool:
        try:
            return self._decisions.spares(call_of(mapping_of(evaluation, "the request")))
        except CallError:  # a response, if there is one, names the fault
            return False

    def evaluate_many(self, document: object) -> dict[str, Any]:
        """Many evaluations, each with the parts of its own, and the request's parts as defaults.

        The error of a single evaluation is in that evaluation's response, with the decision false.

        Raises:
            CallError: the request as a whole is at fault, or is a single evaluation without a response.
        """
        request = mapping_of(document, "the request")
        evaluations = request.get("evaluations")
        if evaluations is None:
            return self.evaluate(request)
        if not isinstance(evaluations, list):
            refuse("evaluations", "a list of evaluations", evaluations)
        if not evaluations:
            return self.evaluate(request)
        if len(evaluations) > self._max_evaluations:
            raise InvalidCall(
                f"{len(evaluations)} evaluations are more than {self._max_evaluations}; send them in more requests"
            )
        return {"evaluations": list(self._in_turn(request, evaluations))}

    def answer(self, document: object) -> dict[str, Any]:
        """Whether a PIN opens the call of a challenge.

        Raises:
            CallError: there is no answer; the message holds nothing of the PIN.
        """
        request = mapping_of(document, "the request")
        try:
            asked = v1.AnswerChallengeRequest(
                challenge=text_of(request, "the request", "challenge"),
                password=text_of(request, "the request", "password"),
            )
        except ValueError:
            raise InvalidCall("challenge or password is no valid Unicode; send what was dialled") from None
        response = self._decisions.answer_challenge(asked)
        context = {
            "decision": v1.Decision.Name(response.decision).removeprefix("DECISION_"),
            "attempts_left": response.attempts_left,
            "retry_after_seconds": response.retry_after_seconds,
            "revision": response.revision,
        }
        return {"decision": response.decision == v1.Decision.DECISION_ALLOW, "context": context}

    def _in_turn(self, request: Mapping[str, Any], evaluations: list[object]) -> Iterator[dict[str, Any]]:
        ends_at = _ends_at(request)
        defaults = _defaults(request)
        for evaluation in evaluations:
            answer = self._one_of_many(defaults, evaluation)
            yield answer
            if answer["decision"] is ends_at:
                return

    def _one_of_many(self, defaults: Mapping[str, Any], evaluation: object) -> dict[str, Any]:
        try:
            return self.evaluate(_merged(defaults, mapping_of(evaluation, "an evaluation")))
        except CallError as error:
            return {"decision": False, "context": problem(error)}


def _defaults(request: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a request that stand for those that its evaluations leave out."""
    return {part: request[part] for part in _PARTS if part in request}


def _merged(defaults: Mapping[str, Any], evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation with the request's parts as defaults.

    A part stands for the default as a whole, but for members that a part must have, which come from the default.
    """
    merged = {**defaults, **evaluation}
    for part, required in _REQUIRED.items():
        own, default = evaluation.get(part), defaults.get(part)
        if isinstance(own, dict) and isinstance(default, dict):
            merged[part] = {**{name: default[name] for name in required if name in default}, **own}
    return merged


def questions(document: object) -> int:
    """The number of evaluations in a request's document; at least one, even in a faulty document."""
    evaluations = document.get("evaluations") if isinstance(document, dict) else None
    return max(1, len(evaluations)) if isinstance(evaluations, list) else 1


def configuration(url: str, endpoints: Mapping[str, str]) -> dict[str, Any]:
    """The discovery document of a URL: paths by the standard's names."""
    base = url.rstrip("/")
    return {"policy_decision_point": base, **{name: base + path for name, path in endpoints.items()}}


def call_of(evaluation: Mapping[str, Any]) -> v1.CheckCallRequest:
    """The call of an evaluation. Members without a meaning here are ignored, as the standard demands.

    Raises:
        InvalidCall: a part is missing, of the wrong type, or unknown here.
    """
    subject, resource = entity_of(evaluation, "subject"), entity_of(evaluation, "resource")
    if (action := action_of(evaluation)) != ACTION:
        raise InvalidCall(f"action.name is {action[:64]!r}; the only action here is {ACTION!r}")
    context = context_of(evaluation)
    try:
        return v1.CheckCallRequest(
            caller=subject,
            extension=resource,
            outcall=text_of(context, "context", "outcall", ""),
            tenant=text_of(context, "context", "tenant", ""),
            at_least_revision=_revision(context),
            forwarded_by=text_of(context, "context", "forwarded_by", ""),
        )
    except ValueError:
        raise InvalidCall("a text of the evaluation is no valid Unicode; send it without lone surrogates") from None


def _revision(context: Mapping[str, Any]) -> int:
    value = context.get("at_least_revision")
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_REVISION:
        refuse("context.at_least_revision", "a revision's number", value)
    return value


def _ends_at(request: Mapping[str, Any]) -> bool | None:
    given = request.get("options")
    options = {} if given is None else mapping_of(given, "options")
    semantic = text_of(options, "options", "evaluations_semantic", "execute_all")
    if semantic not in _ENDS_AT:
        raise InvalidCall(f"evaluations_semantic is {semantic[:64]!r}; there are {', '.join(_ENDS_AT)}")
    return _ENDS_AT[semantic]


def decision_of(response: v1.CheckCallResponse) -> dict[str, Any]:
    """The document for a decision."""
    context: dict[str, Any] = {
        "decision": v1.Decision.Name(response.decision).removeprefix("DECISION_"),
        "stage": v1.Stage.Name(response.stage).removeprefix("STAGE_"),
        "reason": v1.Reason.Name(response.reason).removeprefix("REASON_"),
        "caller_known": response.caller_known,
        "outcall_known": response.outcall_known,
    }
    if response.HasField("permission"):
        context["permission"] = {"id": response.permission.id, "name": response.permission.name}
    if response.revision:
        context["revision"] = response.revision
    if response.decision == v1.Decision.DECISION_CHALLENGE:
        context["step_up"] = {"amr_values": ["pin"]}
        if response.challenge:
            context["step_up"]["challenge"] = response.challenge
    return {"decision": response.decision == v1.Decision.DECISION_ALLOW, "context": context}
