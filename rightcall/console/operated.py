"""What a running server adds to the rules: their revisions, lockouts, and the decisions as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.services.lockouts import LockoutService
    from rightcall.console.live import Live
    from rightcall.programs.history import History


class Operated(NamedTuple):
    """The parts of a running server that its operators look after.

    Attributes:
        history: the revisions of the rules.
        lockouts: lists and lifts lockouts.
        live: the last decisions.
        stopping: whether the server is about to stop.
    """

    history: History
    lockouts: LockoutService
    live: Live
    stopping: Callable[[], bool]
