"""Tenants whose expectations fail are faulty, like tenants with invalid definitions.

Their last good rules stay in force, and the log, metrics, alerts and exit codes report them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loader.definitions.closed import without_rules
from loader.faults import Fault, Severity
from loader.jobs import Job, Jobs
from loader.sources.base import FaultyTenant
from loader.sources.file import FileSource
from pdp.rules.analysis.expectations import Truth
from pdp.rules.analysis.naming import Names
from pdp.rules.analysis.proving import Prover
from pdp.rules.analysis.sentences import ProofSentences
from pdp.rules.effort import CHECKPOINT

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

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


@dataclass(slots=True, kw_only=True)
class _Proving(Job):
    """A tenant whose expectations are to be proven, and the result."""

    prover: Prover
    proofs: tuple[Proof, ...] = ()


class Proofs:
    """Proves the expectations of a source's tenants, beside each other. An unchanged tenant is not proven again.

    Args:
        source: the source of the readings; a source of files also gives lines.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._proven: dict[str, _Proven] = {}
        self._jobs: Jobs[_Proving] = Jobs("prove", _prove)
        self.pending: frozenset[str] = frozenset()
        """The tenants of the last reading that are not proven yet."""

    def threads(self) -> list[threading.Thread]:
        """The threads that prove; any thread may ask."""
        return self._jobs.threads()

    def checked(self, reading: Reading, patience: float | None = None) -> Reading:
        """The reading with the tenants at fault whose expectations fail.

        Args:
            reading: of the source.
            patience: seconds to wait for proofs; the tenants of others are ``pending``. None: no limit.
        """
        wanted = {tenant.uuid: tenant for tenant in reading.tenants if tenant.expectations}
        self._proven = {uuid: each for uuid, each in self._proven.items() if uuid in wanted}
        for tenant in wanted.values():
            self._begin(tenant)
        for job in self._jobs.done(patience):
            if job.error is not None:
                raise job.error
            tenant, last = job.tenant, self._proven.get(job.tenant.uuid)
            now = wanted.get(tenant.uuid)
            if now is None or (last is not None and last.tenant == now):
                continue  # the tenant is gone, or an edit was undone meanwhile
            self._proven[tenant.uuid] = _Proven(job.prover, tenant, job.proofs, tuple(self._faults(tenant, job.proofs)))
            self._begin(now)
        proven = {uuid: each for uuid, each in self._proven.items() if wanted.get(uuid) == each.tenant}
        self.pending = frozenset(wanted.keys() - proven.keys())
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
        proven = (each for uuid, each in self._proven.items() if uuid not in self.pending)
        return sum(proof.truth is truth for each in proven for proof in each.proofs)

    def _begin(self, tenant: Tenant) -> None:
        """Begins to prove a tenant, unless that was done or is under way."""
        last = self._proven.get(tenant.uuid)
        if tenant.uuid not in self._jobs.running and (last is None or last.tenant != tenant):
            self._jobs.begin(_Proving(tenant=tenant, prover=last.prover if last is not None else Prover()))

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


def _prove(job: _Proving, checkpoint: Callable[[], None]) -> None:
    """Proves the expectations of a job's tenant, on a thread of ``Jobs``."""
    token = CHECKPOINT.set(checkpoint)
    try:
        job.proofs = job.prover.prove(job.tenant)
    finally:
        CHECKPOINT.reset(token)
