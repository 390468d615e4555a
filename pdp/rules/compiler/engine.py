"""The sections of one tenant, for a compiler: kept in the core where that is built, else in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from pdp.rules.compiler.sections import PythonSections
from pdp.rules.core import core
from pdp.rules.patterns.alphabet import symbol_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.rules.compiler.automata import Limits
    from pdp.rules.compiler.changes import Changes, Edit, Marked
    from pdp.rules.compiler.costs import Costs
    from pdp.rules.compiler.slots import Profile
    from pdp.rules.model import Outcall, User


class Sections(Protocol):
    """The sections that a compiler keeps up to date; equal edits in equal order make equal sections.

    An edit is taken over by ``take``, then ``write_users``, then ``write_outcalls``.
    """

    @property
    def width(self) -> int:
        """The number of symbols."""
        ...

    def size(self) -> int:
        """Bytes of the tables that grow with every change."""
        ...

    def wide_size(self) -> int:
        """Bytes of the wide records."""
        ...

    def rest(self, place: int) -> int:
        """The number of tokens from a position to the end of its pattern."""
        ...

    def slot(self, index: int) -> tuple[int, Sequence[int]]:
        """The id of a slot's permission, and the first positions of its patterns."""
        ...

    def profile(self, slots: Profile, *, hard: bool = False) -> int:
        """The root of a profile.

        Args:
            slots: by stage.
            hard: no rows are tried, since those of a part of the profile did not fit.
        """
        ...

    def take(self, edit: Edit, marked: Marked | None) -> None:
        """Takes over an edit's changes of groups and permissions, and writes the groups.

        Args:
            edit: the edit.
            marked: makes the further items of a pattern; None: there are none.
        """
        ...

    def touched(self) -> tuple[set[str], set[str]]:
        """The users and the outcalls that the edit touches, by id."""
        ...

    def write_users(
        self, changes: Changes[str, User], users: Sequence[User], costs: Costs, progress: Callable[[int, int], None]
    ) -> None:
        """Removes the users that are gone, and writes others.

        Args:
            changes: the edit's.
            users: those that are to be written.
            costs: what profiles may cost.
            progress: called now and then with the number of users that are done, and of all to be done.
        """
        ...

    def write_outcalls(self, changes: Changes[str, Outcall], outcalls: Sequence[Outcall], costs: Costs) -> None:
        """Removes the outcalls that are gone, and writes others."""
        ...

    def seal(self, meta: bytes, dialling: bytes) -> bytes:
        """The blob with the sections META and DIALLING, and all others; signed where there is a key."""
        ...


class MakeSections(Protocol):
    """Makes the sections of a tenant."""

    def __call__(self, tenant: str, *, gaps: bool, limits: Limits, secret: bytes | None) -> Sections:
        """Makes them.

        Args:
            tenant: the tenant's UUID.
            gaps: whether patterns have gaps (see ``alphabet``), or words hold marks.
            limits: the limits of one profile.
            secret: the deployment's key.
        """
        ...


python_sections: MakeSections = PythonSections


def make_sections(tenant: str, *, gaps: bool, limits: Limits, secret: bytes | None) -> Sections:
    """The fastest sections of this installation."""
    module = core().module
    if module is None:
        return PythonSections(tenant, gaps=gaps, limits=limits, secret=secret)
    symbols = symbol_table(gaps=gaps)
    made = module.Sections(symbols, gaps=gaps, rows=limits.rows, leaf=limits.leaf, tenant=tenant, secret=secret)
    return cast("Sections", made)
