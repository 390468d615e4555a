"""People: the users, and the reach of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from rightcall import v1
from rightcall.client.errors import RightcallError
from rightcall.client.values import Decision
from rightcall.console.digits import tree_of
from rightcall.console.pages.now import locked_out

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.rules.model import CallPermission
    from rightcall.client.directory import Reach
    from rightcall.client.lockouts import Lockout
    from rightcall.console.operated import Operated
    from rightcall.console.pages.page import Asked
    from rightcall.console.rules import TenantIndex

_MOST_PATTERNS = 400


class Right(NamedTuple):
    """A permission that applies to a person.

    Attributes:
        permission: the permission.
        through: the association: the user's own, or the name of a group.
        applies: whether the permission, and the group, are enabled.
    """

    permission: CallPermission
    through: str
    applies: bool


def search(asked: Asked) -> Response:
    """The users whose names hold the words, a page of them."""
    index = asked.index
    if index is None:
        return asked.nothing("people")
    words = asked.text("q")
    paged = asked.paged(index.found(words))
    rows = [(user, [group.name or group.id for group in index.groups_of(user.uuid)]) for user in paged.rows]
    return asked.page("people.html", "people", words=words, rows=rows, paged=paged)


def show(asked: Asked, operated: Operated | None) -> Response:
    """One user: groups, permissions, and the extensions that the user may dial through an outcall."""
    index, uuid = asked.index, asked.path["uuid"]
    user = index.users.get(uuid) if index else None
    if index is None or user is None:
        raise HTTPException(404, "There is no such user.")
    outcall, problem = asked.text("outcall"), ""
    reaches: tuple[Reach, ...] = ()
    if outcall and outcall not in index.outcalls:
        raise HTTPException(404, "There is no such outcall.")
    try:
        reaches = asked.site.rules.engine.reach(
            caller=uuid, outcall=outcall, tenant=index.tenant.uuid, by_permission=True, max_patterns=_MOST_PATTERNS
        ).reaches
    except RightcallError as error:
        problem = str(error)
    return asked.page(
        "person.html",
        "people",
        user=user,
        groups=index.groups_of(uuid),
        rights=_rights(index, uuid),
        outcall=outcall,
        reaches=sorted(reaches, key=_order),
        branches=tree_of(reaches),
        problem=problem,
        lockout=next((each for each in _lockouts(operated, index) if each.caller == uuid), None),
        unlocked=asked.text("unlocked"),
    )


def unlock(asked: Asked, operated: Operated) -> Response:
    """Ends a lockout."""
    form = asked.checked_form(asked.viewer.may_unlock)
    tenant, caller = form.get("tenant", ""), form.get("caller", "")
    named = {name: form.get(name, "") for name in ("tenant", "caller", "outcall", "permission")}
    lifted = operated.lockouts.unlock(v1.UnlockRequest(**named)).lifted
    path = f"/people/{caller}" if caller else "/now"
    return RedirectResponse(asked.site.link(path, tenant=tenant, unlocked="lifted" if lifted else "none"), 303)


def _lockouts(operated: Operated | None, index: TenantIndex) -> tuple[Lockout, ...]:
    return locked_out(operated, index.tenant.uuid).lockouts if operated is not None else ()


def _order(reach: Reach) -> tuple[int, int]:
    """Denied extensions first, then challenged, then allowed ones; those without a permission last."""
    order = (Decision.DENY, Decision.CHALLENGE, Decision.ALLOW, None)
    return order.index(reach.decision), reach.permission is None


def _rights(index: TenantIndex, user: str) -> list[Right]:
    rights = []
    for permission in index.tenant.call_permissions:
        if user in permission.users:
            rights.append(Right(permission, "their own", permission.enabled))
        rights += [
            Right(permission, group.name or group.id, permission.enabled and group.enabled)
            for group in index.groups_of(user)
            if group.id in permission.groups
        ]
    return rights
