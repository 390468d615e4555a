"""The subject of every check of lint: a tenant, the rulings of its rules, and the stages of each permission."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pdp.rules.analysis.effects import Effects
from pdp.rules.analysis.lint.finding import Call
from pdp.rules.analysis.naming import Names
from pdp.rules.analysis.rulings import NOBODY
from pdp.rules.model import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.rules.analysis.rulings import Ids, Rights, Rulings
    from pdp.rules.model import CallPermission


class Subject:
    """A tenant under lint.

    Args:
        rulings: the rulings of the tenant's rules.

    Attributes:
        rulings: the same.
        tenant: the tenant.
        names: the names of the tenant's entities.
        effects: the effects of each permission.
    """

    def __init__(self, rulings: Rulings) -> None:
        self.rulings = rulings
        self.tenant = rulings.tenant
        self.names = Names(rulings.tenant)
        self.effects = Effects(rulings)

    def name(self, id_: int) -> str:
        """``permission 20 "campaign"``."""
        return self.names.permission(id_)

    @cached_property
    def holders(self) -> dict[Rights, str]:
        """Each combination of rights that a caller has, with one of these callers; callers that are no user last."""
        found: dict[Rights, str] = {}
        for user, rights in self.rulings.rights.items():
            found.setdefault(rights, user)
        found.setdefault(NOBODY, "")
        return found

    @cached_property
    def having(self) -> dict[int, list[Rights]]:
        """The combinations of rights that contain a permission, by permission."""
        found: dict[int, list[Rights]] = {}
        for rights in self.holders:
            for id_ in {*rights.own, *rights.groups}:
                found.setdefault(id_, []).append(rights)
        return found

    @cached_property
    def stages(self) -> list[tuple[Ids, Rights, str | None]]:
        """Each set of permissions that stand in a stage together, with the rights or the outcall of the set."""
        found: dict[Ids, tuple[Rights, str | None]] = {}
        for rights in self.holders:
            for ids in rights:
                found.setdefault(ids, (rights, None))
        for outcall, ids in self.rulings.outcalls.items():
            found.setdefault(ids, (NOBODY, outcall))
        return [(ids, *where) for ids, where in found.items() if ids]

    def denies(self, ids: Iterable[int]) -> Iterator[CallPermission]:
        """The permissions among these that deny, with a PIN or without."""
        return (self.rulings.permissions[id_] for id_ in ids if self.rulings.permissions[id_].mode is Mode.DENY)

    def allows(self, ids: Iterable[int]) -> Iterator[CallPermission]:
        """The permissions among these that allow."""
        return (self.rulings.permissions[id_] for id_ in ids if self.rulings.permissions[id_].mode is Mode.ALLOW)

    def call(self, rights: Rights, outcall: str | None, numbers: int) -> Call:
        """An example out of a set of extensions that are all decided alike for such a caller."""
        return self.call_of(rights, outcall, self.rulings.regions.telling(numbers))

    def call_of(self, rights: Rights, outcall: str | None, extension: str) -> Call:
        """The call of such a caller to an extension."""
        decided = self.rulings.decide(rights, outcall, self.rulings.regions.region_of(extension))
        return Call(self.holders[rights], outcall, extension, decided.decision)

    def shown(self, call: Call) -> str:
        """The example as the end of a sentence."""
        way = " through no outcall" if call.outcall is None else f" through {self.names.outcall(call.outcall)}"
        return f"{self.names.user(call.caller)} dials {call.extension}{way} → {call.decision.name}"

    def allowed(self, rights: Rights, outcall: str | None, numbers: int) -> int:
        """The extensions of a set that are allowed to such a caller."""
        final = self.rulings.final(self.rulings.of_caller(rights).then(self.rulings.of_outcall(outcall)))
        return final.allow & self.rulings.regions.extensions(numbers)
