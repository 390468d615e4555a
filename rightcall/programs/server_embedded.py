"""``rightcall serve --definitions``: loader and server in one process."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from loader.cycle import Synchronizer
from pdp.rules.model import PasswordOverride
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.history import SeenHistory
from rightcall.programs.local import Local
from rightcall.programs.reports import ReportLog
from rightcall.programs.serving import Served, serve_until_stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loader.faults import Fault
    from loader.report import SyncReport
    from pdp.settings import ServerSettings
    from rightcall.programs.serving import OpenLog, Serving


def serve_definitions(  # noqa: PLR0913 - each is an option
    settings: ServerSettings,
    path: str,
    serving: Serving,
    *,
    password_override: str,
    secret: bytes | None,
    recheck: float | None,
    synchronizer: Callable[..., Synchronizer] | None,
    decision_log: OpenLog,
    state_dir: Path | None = None,
    isolate_faults: bool = False,
) -> None:
    """Serves the rules of a file or directory until a signal asks for a stop; follows changes until the last response.

    Args:
        settings: the server's.
        path: of the definitions.
        serving: how calls are served.
        password_override: where a user's own password replaces a permission's.
        secret: the deployment's key; None: one that lives as long as this process.
        recheck: seconds between two checks of the definitions; None: the default.
        synchronizer: makes the synchronizer that runs the loader's cycles; None: the default.
        decision_log: opens the decision log.
        state_dir: directory for the last good rules; None: not kept.
        isolate_faults: as of ``Synchronizer``.

    Raises:
        Failure: there are no rules, or the server cannot listen.
    """
    local = Local(
        path,
        password_override=PasswordOverride(password_override),
        secret=secret,
        recheck=recheck,
        state_dir=state_dir,
        isolate_faults=isolate_faults,
        synchronizer=synchronizer or Synchronizer,
    )
    log_report = ReportLog()
    faults: list[Fault] = []

    def tell(report: SyncReport) -> None:
        faults[:] = report.faults
        log_report(report)

    with closing(local):
        report = local.load()
        tell(report)
        if report.errors and all(held.snapshot.closed for held in local.current.held()):
            source = local.current.source
            message = f"nothing to serve: every tenant of {source} is faulty; repair the faults shown above"
            raise Failure(message, ExitCode.FAULTY)
        log = decision_log(local.metrics)
        server = serving.server(
            settings,
            local.current,
            local.metrics,
            served=lambda: Served(SeenHistory(local.current), lambda: tuple(faults)),
            secrets=(local.secret,),
            decision_log=log,
        )
        serve_until_stopped(server, local.current.source, lambda: local.loader.start(tell))
