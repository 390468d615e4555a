"""The automata of one tenant, for a compiler: made in the core where that is built, else in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from pdp.rules.compiler.automata import AutomatonBuilder, Limits
from pdp.rules.compiler.profiles import build_profile
from pdp.rules.core import core
from pdp.rules.patterns.alphabet import symbol_table
from pdp.rules.precedence import STAGES, rank
from pdp.rules.snapshot.verdict import verdict_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from pdp.rules.compiler.slots import Profile
    from pdp.rules.model import Decision
    from pdp.rules.snapshot.blob import Buffer

    Tables: TypeAlias = tuple[Buffer, Buffer, Buffer, Buffer, Buffer]
    """Blocks, leaves, programs, literals and wide records, as bytes."""
    MakeAutomata: TypeAlias = Callable[[bool, Limits], "Automata"]
    """Makes automata for patterns with or without gaps (see ``alphabet``), within the limits of a profile."""


class Automata(Protocol):
    """What a compiler asks of automata; equal questions in equal order make equal tables."""

    @property
    def symbols(self) -> bytes:
        """The table from a character's code to its symbol."""
        ...

    @property
    def width(self) -> int:
        """The number of symbols."""
        ...

    def size(self) -> int:
        """Bytes of the tables."""
        ...

    def wide_size(self) -> int:
        """Bytes of the wide records."""
        ...

    def rest(self, place: int) -> int:
        """The number of tokens from a position to the end of its pattern."""
        ...

    def pattern(self, tokens: tuple[int, ...]) -> int:
        """The first position of a pattern, given by its tokens."""
        ...

    def kind(self, place: int) -> int:
        """Kind and length of the program of a pattern, given by its first position."""
        ...

    def add_slot(self, permission: int, decision: Decision, places: Sequence[int]) -> None:
        """Adds the next slot.

        Args:
            permission: the id of the slot's permission.
            decision: the decision where the permission prevails.
            places: the first positions of the permission's patterns.
        """
        ...

    def profile(self, slots: Profile, *, hard: bool = False) -> int:
        """The root of a profile.

        Args:
            slots: by stage.
            hard: no rows are tried, since those of a part of the profile did not fit.
        """
        ...

    def tables(self) -> Tables:
        """The tables, as snapshots have them."""
        ...


class PythonAutomata(AutomatonBuilder):
    """The automata in Python.

    Args:
        gaps: as of ``AutomatonBuilder``.
        limits: the limits of one profile.
    """

    def __init__(self, *, gaps: bool, limits: Limits) -> None:
        super().__init__(gaps=gaps, limits=limits)
        self._slots: list[tuple[int, Decision, tuple[int, ...]]] = []

    def kind(self, place: int) -> int:
        """Kind and length of the program of a pattern, given by its first position."""
        return self.patterns[place].kind

    def add_slot(self, permission: int, decision: Decision, places: Sequence[int]) -> None:
        """Adds the next slot, as of ``Automata``."""
        self._slots.append((permission, decision, tuple(sorted(places))))

    def wide_size(self) -> int:
        """Bytes of the wide records."""
        return len(self.wide)

    def profile(self, slots: Profile, *, hard: bool = False) -> int:
        """The root of a profile, given by the slots of each stage; ``hard``: no rows are tried."""
        ranked = sorted(
            (rank(stage, decision, permission), verdict_number(index, decision, stage), places)
            for stage, indexes in zip(STAGES, slots, strict=True)
            for index in indexes
            for permission, decision, places in (self._slots[index],)
        )
        items = tuple((verdict, place) for _, verdict, places in ranked for place in places)
        return build_profile(self, items, rows=0 if hard else self.limits.rows)

    def tables(self) -> Tables:
        """The tables, as snapshots have them."""
        leaves, programs = (memoryview(words).cast("B") for words in (self.leaves, self.programs))
        return self.blocks, leaves, programs, self.literals, self.wide


def python_automata(gaps: bool, limits: Limits) -> Automata:  # noqa: FBT001 - as of MakeAutomata
    """Automata in Python."""
    return PythonAutomata(gaps=gaps, limits=limits)


def make_automata(gaps: bool, limits: Limits) -> Automata:  # noqa: FBT001 - as of MakeAutomata
    """The fastest automata of this installation."""
    module = core().module
    if module is None:
        return python_automata(gaps, limits)
    made = module.Automata(symbol_table(gaps=gaps), gaps=gaps, rows=limits.rows, leaf=limits.leaf)
    return cast("Automata", made)
