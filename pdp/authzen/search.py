"""AuthZEN's search: the subjects that may do an action to a resource, the resources, and the actions.

Subjects are the callers of ``ListCallers`` whose decision is ALLOW. Resources are sets of extensions, as found by
``ListReach``: each result is an extension of such a set, and its property ``pattern`` is the set. Actions are the one
action, where ``CheckCall`` allows it. Unknown types, actions and users have no results, as the standard demands.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from pdp.authzen.documents import ACTION, TYPES, action_of, context_of, id_of, mapping_of, problem, text_of, type_of
from pdp.authzen.evaluator import call_of, decision_of
from pdp.errors import InvalidCall, UnknownUser
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.services.decisions import DecisionService
    from pdp.services.directory import DirectoryService

SUBJECTS: Final = "/access/v1/search/subject"
RESOURCES: Final = "/access/v1/search/resource"
ACTIONS: Final = "/access/v1/search/action"
_MOST: Final = 1000
"""Results of one page."""


class Search:
    """Answers searches; documents in, documents out.

    Args:
        directory: the service that searches users and extensions.
        decisions: the service that decides; a search of actions is a decision.
    """

    def __init__(self, directory: DirectoryService, decisions: DecisionService) -> None:
        self._directory = directory
        self._decisions = decisions

    def subjects(self, document: object) -> dict[str, Any]:
        """The users who may dial an extension, page by page.

        Raises:
            CallError: the request has no response.
        """
        request = mapping_of(document, "the request")
        known, extension = _known(request, action_of(request)), id_of(request, "resource")
        context, limit, token = context_of(request), *_page(request)
        if not known:
            return _results([])
        pages = self._directory.list_callers(
            v1.ListCallersRequest(
                extension=extension,
                outcall=text_of(context, "context", "outcall", ""),
                tenant=text_of(context, "context", "tenant", ""),
                decisions=[v1.Decision.DECISION_ALLOW],
                after=token,
                limit=limit,
            )
        )
        found = list(pages)
        callers = [one.caller for one in chain.from_iterable(page.callers for page in found)]
        more = callers[-1] if callers and found[-1].more else ""
        return _results([{"type": "user", "id": caller} for caller in callers], more, found[-1].revision)

    def resources(self, document: object) -> dict[str, Any]:
        """The sets of extensions that a caller may dial, each with one extension; there is one page.

        Raises:
            CallError: the request has no response.
        """
        request = mapping_of(document, "the request")
        known, caller = _known(request, action_of(request)), id_of(request, "subject")
        context, (limit, token) = context_of(request), _page(request)
        if token:
            raise InvalidCall("page.token is none that was given out; a search of resources has one page")
        if not known:
            return _results([])
        asked = v1.ListReachRequest(
            caller=caller,
            outcall=text_of(context, "context", "outcall", ""),
            tenant=text_of(context, "context", "tenant", ""),
            max_patterns=limit,
        )
        try:
            found = self._directory.list_reach(asked)
        except UnknownUser as error:
            return {**_results([]), "context": problem(error)}
        results = [
            {"type": "extension", "id": pattern.sample, "properties": {"pattern": pattern.pattern}}
            for reach in found.reaches
            if reach.decision == v1.Decision.DECISION_ALLOW
            for pattern in reach.patterns
        ]
        answer = _results(results, "", found.revision)
        if found.truncated:
            answer["context"]["truncated"] = True
        return answer

    def actions(self, document: object) -> dict[str, Any]:
        """The actions open to a subject at a resource: the call, if it would be allowed now, or none.

        Raises:
            CallError: the request has no response.
        """
        request = mapping_of(document, "the request")
        known = _known(request, ACTION)
        for part in TYPES:
            id_of(request, part)
        context_of(request)
        _page(request)
        if not known:
            return _results([])
        try:
            response = self._decisions.check_call(call_of({**request, "action": {"name": ACTION}}))
        except UnknownUser as error:
            return {**_results([]), "context": problem(error)}
        decided = decision_of(response)
        return {**_results([{"name": ACTION}] if decided["decision"] else []), "context": decided["context"]}


def _known(request: Mapping[str, Any], action: str) -> bool:
    """Whether the types of a request and an action are those that there are; others have no results.

    Raises:
        InvalidCall: a type is missing.
    """
    return [type_of(request, part) for part in TYPES] == list(TYPES.values()) and action == ACTION


def _page(request: Mapping[str, Any]) -> tuple[int, str]:
    """The page wanted: number of results, and the start."""
    page = mapping_of(request["page"], "page") if request.get("page") is not None else {}
    limit = page.get("limit")
    if limit is None:
        limit = _MOST
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= _MOST:
        raise InvalidCall(f"page.limit is no number from 1 to {_MOST}; leave it out for {_MOST}")
    return limit, text_of(page, "page", "token", "")


def _results(results: list[dict[str, Any]], token: str = "", revision: str = "") -> dict[str, Any]:
    return {
        "results": results,
        "page": {"next_token": token, "count": len(results)},
        "context": {"revision": revision} if revision else {},
    }
