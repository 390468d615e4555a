"""Tenants whose expectations fail: they are faulty, as those are whose definitions mean nothing.

So their last good rules stay in force, and all that tells of faults tells of them: the log, metrics, alerts, exit
codes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loader.definitions.closed import without_rules
from loader.faults import Fault, Severity
from loader.sources.base import FaultyTenant
from loader.sources.file import FileSource
from pdp.rules.analysis.expectations import Truth
from pdp.rules.analysis.naming import Names
from pdp.rules.analysis.proving import Prover
from pdp.rules.analysis.sentences import ProofSentences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loader.sources.base import Reading, Source
    from pdp.rules.analysis.expectations import Proof
    from pdp.rules.model import Tenant


@dataclass(slots=True)
class _Proven:
    """A tenant as it was proven last, and what came of it."""

    prover: Prover
    tenant: Tenant
    proofs: tuple[Proof, ...]
    faults: tuple[Fault, ...]


class Proofs:
    """Proves the expectations of what a source holds. A tenant that did not change is not proven again.

    Args:
        source: what the readings come from; it tells lines where it is files.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._proven: dict[str, _Proven] = {}

    def checked(self, reading: Reading) -> Reading:
        """The reading with the tenants at fault whose expectations fail."""
        proven = {tenant.uuid: self._prove(tenant) for tenant in reading.tenants if tenant.expectations}
        self._proven = proven
        faults = [fault for each in proven.values() for fault in each.faults]
        if not faults:
            return reading
        failed = {uuid for uuid, each in proven.items() if any(proof.fails for proof in each.proofs)}
        return replace(
            reading,
            tenants=tuple(tenant for tenant in reading.tenants if tenant.uuid not in failed),
            faults=tuple(sorted((*reading.faults, *faults))),
            faulty=reading.faulty | failed,
            shut=tuple(sorted((*reading.shut, *self._closed(reading, failed)), key=lambda one: one.closed.uuid)),
        )

    def _closed(self, reading: Reading, failed: set[str]) -> Iterable[FaultyTenant]:
        """What is known of the tenants whose expectations fail; there is no part of their rules to be trusted alone."""
        for tenant in reading.tenants:
            if tenant.uuid in failed:
                fails = sum(proof.fails for proof in self._proven[tenant.uuid].proofs)
                yield FaultyTenant(without_rules(tenant, fails))

    def count(self, truth: Truth) -> int:
        """How many expectations of the last reading this came of."""
        return sum(proof.truth is truth for each in self._proven.values() for proof in each.proofs)

    def _prove(self, tenant: Tenant) -> _Proven:
        last = self._proven.get(tenant.uuid)
        if last is not None and last.tenant == tenant:
            return last
        prover = last.prover if last is not None else Prover()
        proofs = prover.prove(tenant)
        return _Proven(prover, tenant, proofs, tuple(self._faults(tenant, proofs)))

    def _faults(self, tenant: Tenant, proofs: tuple[Proof, ...]) -> list[Fault]:
        sentences = ProofSentences(tenant, Names(tenant))
        unmet = [proof for proof in proofs if proof.truth is not Truth.HOLDS]
        wanted = [("expectations", proof.expectation.name) for proof in unmet]
        places = self._source.places(tenant.uuid, wanted) if isinstance(self._source, FileSource) else {}
        found = []
        for proof, key in zip(unmet, wanted, strict=True):
            file, line = places.get(key, (self._source.name, None))
            example, remedy = proof.counterexample, "see rightcall prove"
            problem = "expectation " + ": ".join(sentences.headline(proof))
            if example is not None:
                problem += f"; {sentences.example(example).removesuffix('.')}"
                remedy = sentences.remedy(proof, example).removesuffix(".")
            severity = Severity.ERROR if proof.fails else Severity.WARNING
            name = tenant.name or tenant.uuid
            found.append(Fault(file, line, name, "", f"expectations[{key[1]}]", problem, remedy, severity))
        return found
