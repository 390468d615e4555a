"""Calls to emergency numbers: recognised before any other check, for every caller and under all rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import CallError, NotAllowed
from pdp.rules.dialling import Emergency, is_among
from pdp.rules.model import Reason
from pdp.rules.snapshot.verdict import EMERGENCY, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.rules.model import Call
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots, LoadedSnapshot


class EmergencyCalls:
    """Recognises calls to emergency numbers.

    Args:
        current: the tenants, each with its numbers.
        numbers: the server's, for every call.
    """

    def __init__(self, current: CurrentSnapshots, numbers: Iterable[str] = ()) -> None:
        self._current = current
        self._numbers = tuple(numbers)
        self._anywhere = Emergency(self._numbers)
        self._as_dialled: dict[tuple[str, tuple[str, ...]], Emergency] = {}
        """The server's numbers, by outside line and the codes that hide a caller."""
        self._anyones: tuple[object, frozenset[str]] = (None, frozenset())
        """The ways to dial the numbers of all tenants and the server, and the edition of the rules they are from."""

    def plain_from(self, snapshot: Snapshot) -> int:
        """Digits from which an extension of digits alone is no emergency number of a tenant; 0: no numbers at all."""
        return max(snapshot.emergency.plain_from, self._of_server(snapshot).plain_from)

    def has(self, snapshot: Snapshot, extension: str) -> bool:
        """Whether an extension is an emergency number for a tenant."""
        return extension in snapshot.emergency or extension in self._of_server(snapshot)

    def texts(self, snapshot: Snapshot | None) -> frozenset[str]:
        """The ways to dial the numbers that a tenant has, without separators; None: a call of no tenant."""
        if snapshot is None:
            return self._anywhere.texts
        return snapshot.emergency.texts | self._of_server(snapshot).texts

    def may_be(self, extension: str) -> bool:
        """Whether an extension is an emergency number of the server or any tenant; at the same cost for any number."""
        edition, texts = self._anyones
        if edition is not self._current.edition:
            edition, texts = self._current.edition, self._anywhere.texts
            texts = texts.union(*(self.texts(one) for one in _having(edition.values(), self._numbers)))
            self._anyones = edition, texts
        return is_among(texts, extension)

    def find(self, call: Call) -> tuple[Snapshot | None, Outcome] | None:
        """The tenant of a call to an emergency number, and the outcome; None for other calls.

        Raises:
            NotAllowed: the call's tenant is not the client's.
        """
        if not self.may_be(call.extension):
            return None
        try:
            snapshot = self._current.resolve(call.asker, call.outcall, call.tenant)
        except NotAllowed:
            raise
        except CallError:
            snapshot = None
        outcome = self.outcome(call, snapshot)
        return (snapshot, outcome) if outcome is not None else None

    def outcome(self, call: Call, snapshot: Snapshot | None) -> Outcome | None:
        """The outcome of a call to an emergency number; None for other calls.

        Args:
            call: the call, as requested.
            snapshot: of the call's tenant; None: the call has no tenant, or no snapshot is here.
        """
        if not call.extension or not self._is_emergency(call, snapshot):
            return None
        known = snapshot is not None and bool(snapshot.user_of(call.asker))
        outcall = snapshot is not None and bool(call.outcall) and snapshot.knows_outcall(call.outcall)
        return Outcome(EMERGENCY, Reason.EMERGENCY, known, outcall)

    def _is_emergency(self, call: Call, snapshot: Snapshot | None) -> bool:
        if snapshot is not None:
            return self.has(snapshot, call.extension)
        if call.extension in self._anywhere:
            return True
        # Of a tenant that is not known here, only the server's numbers count.
        return not call.tenant and self._of_any_tenant(call.extension)

    def _of_any_tenant(self, extension: str) -> bool:
        return any(self.has(one, extension) for one in _having(self._current.held(), self._numbers))

    def _of_server(self, snapshot: Snapshot) -> Emergency:
        """The server's numbers, in the form that a tenant dials."""
        if not self._numbers or snapshot.dialling is None:
            return self._anywhere
        key = snapshot.dialling.outside_line, tuple(snapshot.dialling.hides_caller)
        found = self._as_dialled.get(key)
        if found is None:
            found = self._as_dialled[key] = snapshot.emergency_among(self._numbers)
        return found


def _having(loaded: Iterable[LoadedSnapshot], of_server: Iterable[str]) -> Iterator[Snapshot]:
    """The tenants that have numbers, or ways to dial those of the server."""
    for held in loaded:
        snapshot = held.snapshot
        if snapshot.emergency.numbers or (of_server and snapshot.dialling is not None):
            yield snapshot
