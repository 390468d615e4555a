"""Definitions in this very process: what ``serve --definitions`` serves, and what ``check --definitions`` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.text import Text

from pdp.current import CurrentSnapshots
from pdp.errors import CallError
from pdp.metrics import Metrics
from pdp.rules.model import PasswordOverride
from pdp.service import DecisionService
from pdp.version import version
from rightcall import v1, wire
from rightcall.answers import Call
from rightcall.cli.exits import ExitCode, Failure
from rightcall.cli.options import opened_source
from rightcall.cli.output import complain
from rightcall.embedded import EmbeddedLoader

if TYPE_CHECKING:
    from loader.sync import SyncReport
    from rightcall.answers import Answer, Explanation


class Local:
    """Current snapshots with the loader that fills them from a definitions path.

    Attributes:
        current: the snapshots; empty until loaded.
        metrics: what counts.
        loader: what loads.
    """

    def __init__(
        self,
        path: str,
        *,
        password_override: PasswordOverride = PasswordOverride.ALL,
        secret: bytes | None = None,
        recheck: float | None = None,
    ) -> None:
        source = opened_source(path, recheck)
        self.current = CurrentSnapshots(f"definitions {source.name}")
        self.metrics = Metrics(self.current, version())
        self.loader = EmbeddedLoader(
            source, self.current, self.metrics, password_override=password_override, secret=secret
        )

    def load(self) -> SyncReport:
        """Loads for the first time.

        Raises:
            Failure: nothing at all could be read.
        """
        report = self.loader.load()
        if report.source_failed:
            raise Failure(report.error, ExitCode.USAGE)
        return report


class LocalClient:
    """Asks definitions as ``rightcall.Client`` asks a server; every fault in them is reported instead of an answer."""

    def __init__(self, path: str) -> None:
        local = Local(path)
        errors = local.load().errors
        for fault in errors:
            complain(Text(str(fault)))
        if errors:
            raise Failure(f"{path} has faults, shown above; repair them, then ask again", ExitCode.FAULTY)
        self._target = local.current.source
        self._service = DecisionService(local.current, local.metrics)

    def check(self, *, extension: str, caller: str = "", outcall: str = "", tenant: str = "") -> Answer:
        """As ``rightcall.Client.check``."""
        request = wire.to_request(Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant))
        try:
            return wire.to_answer(self._service.check_call(request))
        except CallError as error:
            raise wire.to_error(self._target, error.code, error.message, 0) from error

    def explain(self, *, extension: str, caller: str = "", outcall: str = "", tenant: str = "") -> Explanation:
        """As ``rightcall.Client.explain``."""
        request = wire.to_request(Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant))
        try:
            return wire.to_explanation(self._service.explain_call(v1.ExplainCallRequest(call=request)))
        except CallError as error:
            raise wire.to_error(self._target, error.code, error.message, 0) from error

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""
