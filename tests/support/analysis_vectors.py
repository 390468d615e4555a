"""The vectors of the analysis of rules, read as definitions are. tests/cases/analysis/README.md has their format."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loader.definitions.document import check_document
from pdp.rules.analysis.diff import Difference
from pdp.rules.analysis.regions import Regions
from pdp.rules.analysis.rulings import Rulings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.model import Tenant

CASES = Path(__file__).parent.parent / "cases" / "analysis"
NUMBERS = tuple(range(1, 11))


class Vector:
    """One file of vectors."""

    def __init__(self, number: int) -> None:
        self.raw = json.loads((CASES / f"analysis-{number:02d}.json").read_text())
        self.answers: dict[str, Any] = self.raw["answers"]
        self.tenant, self.emergency = _tenant(self.raw["definitions"])
        self.new_tenant, self.new_emergency = _tenant(self.raw["definitions_new"])

    @cached_property
    def regions(self) -> Regions:
        """One partition for both versions and all that the answers speak of."""
        asked = [each["pattern"] for each in self.answers["callers_of_pattern"]]
        tenants = (self.tenant, self.new_tenant)
        rules = [text for tenant in tenants for each in tenant.call_permissions for text in each.extensions]
        dialled = [text for tenant in tenants for each in tenant.expectations for text in each.dial]
        return Regions([*rules, *dialled, *self.emergency, *self.new_emergency, *asked])

    @cached_property
    def rulings(self) -> Rulings:
        """What the version before decides."""
        return Rulings(self.tenant, self.regions, self.regions.any_of(self.emergency))

    @cached_property
    def difference(self) -> Difference:
        """From the version before to the one after."""
        new = Rulings(self.new_tenant, self.regions, self.regions.any_of(self.new_emergency))
        return Difference(self.rulings, new)

    def callers(self, class_: str) -> list[str]:
        """The users of a class; an empty text for callers that are no user."""
        users: list[str] = [""] if class_ == "nobody" else self.raw["classes"][class_]
        return users

    def pairs(self, pairs: Iterable[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
        """Pairs of classes and outcalls as pairs of users and outcalls."""
        return [(user, outcall) for class_, outcall in pairs for user in self.callers(class_)]


def _tenant(definitions: dict[str, Any]) -> tuple[Tenant, tuple[str, ...]]:
    (raw,) = definitions["tenants"]
    emergency = (raw.get("emergency") or {}).get("numbers", ())
    (entry,) = check_document("vector.json", json.dumps(definitions).encode()).entries
    assert entry.tenant is not None
    return entry.tenant, tuple(emergency)
