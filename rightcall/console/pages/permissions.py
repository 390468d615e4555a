"""Rules: the permissions with the holders and mistakes of each, and the proofs of the expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.rules.analysis.lint.finding import Mistake
    from pdp.rules.model import CallPermission
    from rightcall.console.pages.page import Asked
    from rightcall.console.rules import TenantIndex


class Row(NamedTuple):
    """A permission with its holders and mistakes."""

    permission: CallPermission
    users: list[str]
    groups: list[str]
    outcalls: list[str]
    mistakes: list[Mistake]


def show(asked: Asked) -> Response:
    """The permissions whose name, id or pattern has the words."""
    index = asked.index
    if index is None:
        return asked.nothing("rules")
    words = asked.text("q")
    found = [each for each in index.tenant.call_permissions if words.casefold() in _text(each)]
    paged = asked.paged(found)
    remarks = index.mistakes
    return asked.page(
        "rules.html",
        "rules",
        words=words,
        paged=paged,
        rows=[_row(index, each, remarks) for each in paged.rows],
        mistakes=remarks,
        expectations=index.expectations,
    )


def _text(permission: CallPermission) -> str:
    return " ".join((str(permission.id), permission.name, permission.description, *permission.extensions)).casefold()


def _row(index: TenantIndex, permission: CallPermission, remarks: list[Mistake]) -> Row:
    users = [index.users[uuid] for uuid in permission.users]
    return Row(
        permission,
        [user.name or user.extension or user.uuid for user in users],
        [index.groups[id_].name or id_ for id_ in permission.groups],
        [index.outcalls[id_].name or id_ for id_ in permission.outcalls],
        [each for each in remarks if permission.id in each.permissions],
    )
