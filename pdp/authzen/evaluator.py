"""AuthZEN: the OpenID Foundation's Authorization API 1.0 over HTTP and JSON, answered by the same service as gRPC.

A request is an evaluation: may this subject (the caller) do this action (``call``) to this resource (the extension)?
The context has the outcall and the tenant. A decision is true or false, so a challenge is false, with a context that
says that a password would change that. docs/authzen.md describes the API.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pdp.errors import CallError, InvalidCall
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.services.decisions import DecisionService

EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
CONFIGURATION: Final = "/.well-known/authzen-configuration"

_PARTS: Final = ("subject", "action", "resource", "context")
_TYPES: Final = {"subject": "user", "resource": "extension"}
_ACTION: Final = "call"
_LARGEST_REVISION: Final = 2**63 - 1
_ENDS_AT: Final = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}
"""By ``evaluations_semantic``, the decision that ends the evaluations."""
_STATUSES: Final = {3: 400, 5: 404, 7: 403, 8: 429, 9: 409, 10: 409, 13: 500, 14: 503, 16: 401}


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
        return _decision(self._decisions.check_call(_call(mapping_of(document, "the request"))))

    def spares(self, document: object) -> bool:
        """Whether a document is an evaluation of a call to an emergency number, which no limit may keep back."""
        try:
            return self._decisions.spares(_call(mapping_of(document, "the request")))
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
            _refuse("evaluations", "a list of evaluations", evaluations)
        if not evaluations:
            return self.evaluate(request)
        if len(evaluations) > self._max_evaluations:
            raise InvalidCall(
                f"{len(evaluations)} evaluations are more than {self._max_evaluations}; send them in more requests"
            )
        return {"evaluations": list(self._in_turn(request, evaluations))}

    def _in_turn(self, request: Mapping[str, Any], evaluations: list[object]) -> Iterator[dict[str, Any]]:
        ends_at = _ends_at(request)
        defaults = {part: request[part] for part in _PARTS if part in request}
        for evaluation in evaluations:
            answer = self._one_of_many(defaults, evaluation)
            yield answer
            if answer["decision"] is ends_at:
                return

    def _one_of_many(self, defaults: Mapping[str, Any], evaluation: object) -> dict[str, Any]:
        try:
            return self.evaluate({**defaults, **mapping_of(evaluation, "an evaluation")})
        except CallError as error:
            return {"decision": False, "context": problem(error)}


def read(body: bytes) -> object:
    """The document in a request's body.

    Raises:
        InvalidCall: there is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidCall("the body is no JSON document; send one in UTF-8, as docs/authzen.md shows") from None


def questions(document: object) -> int:
    """The number of evaluations in a request's document; at least one, even in a faulty document."""
    evaluations = document.get("evaluations") if isinstance(document, dict) else None
    return max(1, len(evaluations)) if isinstance(evaluations, list) else 1


def status(error: CallError) -> int:
    """The HTTP status that corresponds to a gRPC status."""
    return _STATUSES.get(error.code, 500)


def problem(error: CallError) -> dict[str, Any]:
    """An error document, for a program and for a person."""
    return {"error": {"status": status(error), "message": error.message}}


def configuration(url: str, endpoints: Mapping[str, str]) -> dict[str, Any]:
    """The discovery document of a URL: paths by the standard's names."""
    base = url.rstrip("/")
    return {"policy_decision_point": base, **{name: base + path for name, path in endpoints.items()}}


def _call(evaluation: Mapping[str, Any]) -> v1.CheckCallRequest:
    """The call of an evaluation. Members without a meaning here are ignored, as the standard demands."""
    subject, resource = entity_of(evaluation, "subject"), entity_of(evaluation, "resource")
    action_of(evaluation)
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


def entity_of(evaluation: Mapping[str, Any], part: str) -> str:
    """The id of a subject or resource.

    Raises:
        InvalidCall: the id is missing, or the type is unknown here.
    """
    return text_of(checked_type(evaluation, part), part, "id")


def checked_type(evaluation: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """A subject or resource of the one type that there is.

    Raises:
        InvalidCall: the entity is missing, or of another type.
    """
    entity = _part(evaluation, part)
    if (kind := text_of(entity, part, "type")) != _TYPES[part]:
        raise InvalidCall(f"{part}.type is {kind[:64]!r}; the only one here is {_TYPES[part]!r}")
    return entity


def action_of(evaluation: Mapping[str, Any]) -> None:
    """Checks that the action is the one that there is.

    Raises:
        InvalidCall: the action is missing, or another one.
    """
    if (action := text_of(_part(evaluation, "action"), "action", "name")) != _ACTION:
        raise InvalidCall(f"action.name is {action[:64]!r}; the only action here is {_ACTION!r}")


def context_of(evaluation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The context; null means no context.

    Raises:
        InvalidCall: the context is no object.
    """
    context = evaluation.get("context")
    return {} if context is None else mapping_of(context, "context")


def _part(evaluation: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    if part not in evaluation:
        raise InvalidCall(f"{part} is missing; an evaluation has subject, action and resource")
    return mapping_of(evaluation[part], part)


def text_of(mapping: Mapping[str, Any], part: str, member: str, default: str | None = None) -> str:
    """A text of a part; the default for an absent one.

    Raises:
        InvalidCall: the text is absent without a default, or the value is no text.
    """
    value = mapping.get(member)
    if value is None:  # null is absent
        value = default
    if value is None:
        raise InvalidCall(f"{part}.{member} is missing; send it as text")
    if not isinstance(value, str):
        _refuse(f"{part}.{member}", "text", value)
    return value


def _revision(context: Mapping[str, Any]) -> int:
    value = context.get("at_least_revision")
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_REVISION:
        _refuse("context.at_least_revision", "a revision's number", value)
    return value


def _ends_at(request: Mapping[str, Any]) -> bool | None:
    given = request.get("options")
    options = {} if given is None else mapping_of(given, "options")
    semantic = text_of(options, "options", "evaluations_semantic", "execute_all")
    if semantic not in _ENDS_AT:
        raise InvalidCall(f"evaluations_semantic is {semantic[:64]!r}; there are {', '.join(_ENDS_AT)}")
    return _ENDS_AT[semantic]


def mapping_of(value: object, name: str) -> Mapping[str, Any]:
    """The object that a value has to be.

    Raises:
        InvalidCall: the value is of another type.
    """
    if not isinstance(value, dict):
        _refuse(name, "an object", value)
    return value


def _refuse(name: str, wanted: str, value: object) -> NoReturn:
    raise InvalidCall(f"{name} is {_KINDS.get(type(value), 'something else')}; send {wanted}")


_KINDS: Final[Mapping[type, str]] = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "text",
    type(None): "null",
}


def _decision(response: v1.CheckCallResponse) -> dict[str, Any]:
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
