"""Tenants whose expectations fail are faulty, like tenants with invalid definitions.

Their last good rules stay in force, and the log, metrics, alerts and exit codes report them.
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
    """A tenant as proven last, with the result."""

    prover: Prover
    tenant: Tenant
    proofs: tuple[Proof, ...]
    faults: tuple[Fault, ...]


class Proofs:
    """Proves the expectations of a source's tenants. An unchanged tenant is not proven again.

    Args:
        source: the source of the readings; a source of files also gives lines.
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
        """The closed tenants whose expectations fail; no part of their rules is trusted alone."""
        for tenant in reading.tenants:
            if tenant.uuid in failed:
                fails = sum(proof.fails for proof in self._proven[tenant.uuid].proofs)
                yield FaultyTenant(without_rules(tenant, fails))

    def count(self, truth: Truth) -> int:
        """The number of expectations of the last reading with this result."""
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
