"""AuthZEN's search: the subjects that may do an action to a resource, and the resources for a subject and an action.

Subjects are the callers of ``ListCallers`` whose decision is ALLOW. Resources are sets of extensions, as found by
``ListReach``: each result is an extension of such a set, and its property ``pattern`` is the set.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from pdp.authzen.evaluator import action_of, checked_type, context_of, entity_of, mapping_of, text_of
from pdp.errors import InvalidCall
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.services.directory import DirectoryService

SUBJECTS: Final = "/access/v1/search/subject"
RESOURCES: Final = "/access/v1/search/resource"
_MOST: Final = 1000
"""Results of one page."""


class Search:
    """Answers searches; documents in, documents out.

    Args:
        directory: the service that searches.
    """

    def __init__(self, directory: DirectoryService) -> None:
        self._directory = directory

    def subjects(self, document: object) -> dict[str, Any]:
        """The users who may dial an extension, page by page.

        Raises:
            CallError: the request has no response.
        """
        request = mapping_of(document, "the request")
        checked_type(request, "subject")
        action_of(request)
        context, limit, token = context_of(request), *_page(request)
        pages = self._directory.list_callers(
            v1.ListCallersRequest(
                extension=entity_of(request, "resource"),
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
        checked_type(request, "resource")
        action_of(request)
        context, (limit, token) = context_of(request), _page(request)
        if token:
            raise InvalidCall("page.token is none that was given out; a search of resources has one page")
        found = self._directory.list_reach(
            v1.ListReachRequest(
                caller=entity_of(request, "subject"),
                outcall=text_of(context, "context", "outcall", ""),
                tenant=text_of(context, "context", "tenant", ""),
                max_patterns=limit,
            )
        )
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


def _page(request: Mapping[str, Any]) -> tuple[int, str]:
    """The page wanted: number of results, and the start."""
    page = mapping_of(request["page"], "page") if request.get("page") is not None else {}
    limit = page.get("limit")
    if limit is None:
        limit = _MOST
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= _MOST:
        raise InvalidCall(f"page.limit is no number from 1 to {_MOST}; leave it out for {_MOST}")
    return limit, text_of(page, "page", "token", "")


def _results(results: list[dict[str, Any]], token: str, revision: str) -> dict[str, Any]:
    return {
        "results": results,
        "page": {"next_token": token, "count": len(results)},
        "context": {"revision": revision} if revision else {},
    }
