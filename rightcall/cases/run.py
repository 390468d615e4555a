"""Runs test cases and expectations against definitions, and measures the coverage of the rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pdp.rules.analysis.expectations import Truth
from pdp.rules.analysis.lookup import Lookup, UnclearError
from pdp.rules.analysis.naming import Names
from pdp.rules.analysis.proving import Prover
from pdp.rules.analysis.regions import Regions
from pdp.rules.analysis.sentences import ProofSentences
from pdp.rules.analysis.walk import TooManyStatesError
from rightcall.client.errors import RightcallError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.rules.model import Tenant
    from rightcall.cases.table import Case
    from rightcall.client.values import Answer
    from rightcall.programs.local import LocalClient


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a case or an expectation.

    Attributes:
        name: the name in reports.
        place: the file and line of a case; the tenant of an expectation.
        problems: the failures, a line each; none: passed.
    """

    name: str
    place: str
    problems: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the case or expectation passed."""
        return not self.problems


@dataclass(slots=True)
class Coverage:
    """The permissions and patterns that decided a case.

    Attributes:
        permissions: whether each enabled permission decided, by UUID of the tenant and id.
        patterns: whether each pattern decided, by UUID of the tenant, id of the permission, and pattern.
    """

    permissions: dict[tuple[str, int], bool] = field(default_factory=dict)
    patterns: dict[tuple[str, int, str], bool] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """The percentage of patterns that decided a case; 100 without patterns."""
        return 100.0 * sum(self.patterns.values()) / len(self.patterns) if self.patterns else 100.0


class CaseRun:
    """Runs cases against the rules of some tenants.

    Args:
        client: decides the calls.
        tenants: the tenants that the client holds.
    """

    def __init__(self, client: LocalClient, tenants: Sequence[Tenant]) -> None:
        self._client = client
        self._tenants = {tenant.uuid: tenant for tenant in tenants}
        self._lookup = Lookup(tenants)
        self._regions: dict[str, Regions | None] = {}
        self._texts = {
            (tenant.uuid, each.id): each.extensions for tenant in tenants for each in tenant.call_permissions
        }
        self.coverage = Coverage()
        for tenant in tenants:
            for each in tenant.call_permissions:
                if each.enabled and each.extensions:
                    self.coverage.permissions[tenant.uuid, each.id] = False
                    self.coverage.patterns |= {(tenant.uuid, each.id, text): False for text in each.extensions}

    def cases(self, cases: Iterable[Case]) -> list[Result]:
        """Yields the result of each case."""
        return [self._case(case) for case in cases]

    def expectations(self) -> list[Result]:
        """Yields the result of each enforced expectation."""
        found = []
        for tenant in self._tenants.values():
            sentences = ProofSentences(tenant, Names(tenant))
            for proof in Prover().prove(tenant):
                if proof.expectation.enforce:
                    told = (": ".join(sentences.headline(proof)), *sentences.details(proof))
                    problems = () if proof.truth is Truth.HOLDS else told
                    name = f"expectation {proof.expectation.name}"
                    found.append(Result(name, tenant.name or tenant.uuid, problems))
        return found

    def _case(self, case: Case) -> Result:
        place = f"{case.file}:{case.line}"
        try:
            caller = self._lookup.caller(case.caller)
            tenant = self._lookup.chosen_tenant(case.tenant, caller)
            outcall = self._lookup.outcall(case.outcall, tenant) if tenant else case.outcall
            answer = self._client.check(
                extension=case.extension, caller=caller, outcall=outcall, tenant=tenant.uuid if tenant else ""
            )
        except (UnclearError, RightcallError) as error:
            return Result(case.name, place, (str(error),))
        decided = answer.permission.id if answer.permission else "none"
        if tenant and answer.permission:
            self._cover(tenant, int(decided), case.extension)
        problems = []
        if answer.decision.name != case.expect:
            problems.append(f"is {answer.decision.name}, {_by(answer)}, and must be {case.expect}")
        elif case.permission and case.permission != decided:
            problems.append(f"is decided {_by(answer)}, and must be by permission {case.permission}")
        return Result(case.name, place, tuple(problems))

    def _cover(self, tenant: Tenant, permission: int, extension: str) -> None:
        self.coverage.permissions[tenant.uuid, permission] = True
        if tenant.uuid not in self._regions:
            texts = [text for each in tenant.call_permissions for text in each.extensions]
            try:
                self._regions[tenant.uuid] = Regions(texts, dialling=tenant.dialling)
            except TooManyStatesError:
                self._regions[tenant.uuid] = None
        regions = self._regions[tenant.uuid]
        if regions is None:
            return
        region = regions.region_of(extension)
        for text in self._texts[tenant.uuid, permission]:
            if regions.numbers(text) & region:
                self.coverage.patterns[tenant.uuid, permission, text] = True


def _by(answer: Answer) -> str:
    if answer.permission is None:
        return "as no permission matches"
    name = f' "{answer.permission.name}"' if answer.permission.name else ""
    return f"by permission {answer.permission.id}{name} in stage {answer.stage.name}"
