"""The results of the loader's cycles in the log; unchanged results are not repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from loader.faults import Severity

if TYPE_CHECKING:
    from loader.faults import Fault
    from loader.report import SyncReport

_log = structlog.get_logger()

MOST_FAULTS = 50
"""Faults of one cycle that are logged; ``rightcall validate`` shows them all."""


class ReportLog:
    """Reports one cycle after the other. For use by one thread."""

    def __init__(self) -> None:
        self._faults: tuple[Fault, ...] = ()
        self._problems: tuple[str, ...] = ()
        self._held_back: tuple[str, ...] = ()
        self._pinned: tuple[str, ...] = ()
        self._pending: tuple[str, ...] = ()

    def __call__(self, report: SyncReport) -> None:
        """Logs the report of a cycle."""
        for published in report.published:
            _log.info(
                "rules_published",
                tenant=published.tenant,
                name=published.name,
                revision=str(published.revision),
                permissions=published.permissions,
                bytes=published.size,
                seconds=round(published.seconds, 3),
            )
        for tenant in report.removed:
            _log.info("tenant_removed", tenant=tenant)
        if not report.source_failed and report.faults != self._faults:
            self._tell_faults(report)
        if report.problems != self._problems:
            self._tell_problems(report)
        for removal in report.held_back:
            if removal not in self._held_back:
                _log.error("removal_held_back", problem=removal)
        for tenant in report.pinned:
            if tenant not in self._pinned:
                _log.warning("tenant_pinned", tenant=tenant, advice=f"end it with: rightcall unpin {tenant}")
        if report.pending and report.pending != self._pending:
            _log.info("tenants_compile_for_long", tenants=list(report.pending), advice="the others go on meanwhile")
        self._held_back, self._pinned, self._pending = report.held_back, report.pinned, report.pending

    def _tell_faults(self, report: SyncReport) -> None:
        for fault in report.faults[:MOST_FAULTS]:
            tell = _log.error if fault.severity is Severity.ERROR else _log.warning
            tell("definition_fault", fault=str(fault))
        if len(report.faults) > MOST_FAULTS:
            further = len(report.faults) - MOST_FAULTS
            _log.error("definition_faults_not_shown", count=further, advice="see them with: rightcall validate PATH")
        kept = set(report.faulty) - {*report.closed, *report.isolated}
        outcomes = (("kept_as_they_were", kept), ("closed", report.closed), ("isolated", report.isolated))
        for outcome, tenants in outcomes:
            if tenants:
                _log.error(f"tenants_{outcome}", tenants=sorted(tenants), advice="repair the faults above")
        if not report.faulty and not report.errors:
            _log.info("definitions_good")
        self._faults = report.faults

    def _tell_problems(self, report: SyncReport) -> None:
        for problem in report.problems:
            _log.error("sync_failed", problem=problem)
        if not report.problems:
            _log.info("sync_works_again")
        self._problems = report.problems
