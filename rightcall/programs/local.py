"""Definitions in this very process: what ``serve --definitions`` serves, and what ``check --definitions`` asks."""

from __future__ import annotations

import secrets as random_secrets
import tempfile
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from loader.cycle import Synchronizer
from loader.errors import SourceError
from loader.numbering import numbering_table
from pdp.errors import CallError
from pdp.metrics.registry import Metrics
from pdp.rules.analysis.lookup import Lookup
from pdp.rules.model import PasswordOverride
from pdp.rules.snapshot.contents import tenant_of
from pdp.runtime.files import read_regular
from pdp.runtime.version import version
from pdp.services.decisions import DecisionService
from pdp.services.directory import DirectoryService
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.disk import SnapshotStore, StateError
from rightcall import v1
from rightcall.client import directory
from rightcall.client import messages as wire
from rightcall.client.values import Call
from rightcall.programs.embedded import EmbeddedLoader
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.published import PublishedSource, names_redis
from rightcall.programs.sources import RulesOptions, opened_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from loader.report import SyncReport
    from loader.sources import Reading
    from pdp.rules.model import Tenant
    from pdp.rules.snapshot.verdict import Verdict
    from rightcall.client.directory import CallerPage, Reaches
    from rightcall.client.values import Answer, Decision, Explanation


_SECRET_SIZE = 32
_NO_OPTIONS = RulesOptions()
_KEY_FILE = "key"
"""The key's file in a state directory, whose content this machine's definitions hold in the clear anyway."""


def kept_secret(directory: Path) -> bytes:
    """The key of a state directory, created if missing: kept rules must be readable after a restart.

    Raises:
        StateError: the file cannot be read or written.
    """
    path = directory / _KEY_FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:  # of mode 0600
                file.write(random_secrets.token_bytes(_SECRET_SIZE))
            Path(file.name).replace(path)
        return read_regular(path)
    except OSError as error:
        raise StateError(
            f"state directory {directory} cannot be used ({error.strerror}); make it writable for this user"
        ) from error


def _kept(directory: Path | None, secret: bytes | None) -> tuple[bytes, SnapshotStore | None]:
    """The key, by default that of the state directory, and the store in that directory.

    Raises:
        Failure: the directory cannot be used.
    """
    if directory is None:
        return secret or random_secrets.token_bytes(_SECRET_SIZE), None
    try:
        key = secret or kept_secret(directory)
        return key, SnapshotStore(directory, (key,))
    except StateError as error:
        raise Failure(str(error), ExitCode.USAGE) from error


class Local:
    """Current snapshots with the loader that fills them from a definitions path.

    Attributes:
        current: the snapshots; empty until loaded.
        metrics: the metrics of server and loader.
        loader: the loader.
        secret: the key that passwords are hashed with; if none was given, the state directory's, or a key that lives as
            long as this process.
    """

    def __init__(
        self,
        path: str,
        *,
        password_override: PasswordOverride = PasswordOverride.ALL,
        secret: bytes | None = None,
        recheck: float | None = None,
        state_dir: Path | None = None,
        isolate_faults: bool = False,
        synchronizer: Callable[..., Synchronizer] = Synchronizer,
        options: RulesOptions = _NO_OPTIONS,
    ) -> None:
        self._source = source = opened_source(path, recheck, options.wazo, options.defaults)
        self.current = CurrentSnapshots(f"definitions {source.name}")
        self.metrics = Metrics(self.current, version())
        self.secret, store = _kept(state_dir, secret)
        self.loader = EmbeddedLoader(
            source,
            self.current,
            self.metrics,
            password_override=password_override,
            secret=self.secret,
            store=store,
            isolate_faults=isolate_faults,
            synchronizer=synchronizer,
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

    def reading(self) -> Reading:
        """The current content of the source.

        Raises:
            SourceError: the source cannot be read.
        """
        return self._source.read()

    def close(self) -> None:
        """Stops following the source, and closes that. Loaded rules stay."""
        self.loader.stop()
        self._source.close()


def engine_parts(current: CurrentSnapshots) -> tuple[str, DecisionService, DirectoryService]:
    """The parts of an engine over snapshots of this process."""
    decisions = DecisionService(current, Metrics(current, version()))
    return current.source, decisions, DirectoryService(current, version())


class Engine:
    """Decides by snapshots of this process like ``rightcall.Client`` by a server.

    Args:
        target: the place of the rules, in errors.
        decisions: decides.
        directory: searches.
    """

    def __init__(self, target: str, decisions: DecisionService, directory: DirectoryService) -> None:
        self._target = target
        self._service = decisions
        self._directory = directory

    def check(
        self, *, extension: str, caller: str = "", outcall: str = "", tenant: str = "", forwarded_by: str = ""
    ) -> Answer:
        """As ``rightcall.Client.check``."""
        request = wire.to_request(
            Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant, forwarded_by=forwarded_by)
        )
        with self._translated():
            return wire.to_answer(self._service.check_call(request))

    def explain(
        self, *, extension: str, caller: str = "", outcall: str = "", tenant: str = "", forwarded_by: str = ""
    ) -> Explanation:
        """As ``rightcall.Client.explain``."""
        request = wire.to_request(
            Call(extension=extension, caller=caller, outcall=outcall, tenant=tenant, forwarded_by=forwarded_by)
        )
        with self._translated():
            return wire.to_explanation(self._service.explain_call(v1.ExplainCallRequest(call=request)))

    def callers(
        self,
        *,
        extension: str,
        outcall: str = "",
        tenant: str = "",
        decisions: Iterable[Decision] = (),
        after: str = "",
        limit: int = 0,
    ) -> Iterator[CallerPage]:
        """As ``rightcall.Client.callers``."""
        request = directory.callers_request(extension, outcall, tenant, decisions, after, limit)
        with self._translated():
            yield from map(directory.to_page, self._directory.list_callers(request))

    def verdicts(self, *, extension: str, outcall: str, tenant: str) -> list[tuple[str, Verdict]]:
        """Each caller of a tenant with the verdict: what ``callers`` tells, without a message for each."""
        request = directory.callers_request(extension, outcall, tenant, (), "", 0)
        with self._translated():
            return self._directory.verdicts(request)[1]

    def reach(
        self,
        *,
        caller: str = "",
        outcall: str = "",
        tenant: str = "",
        by_permission: bool = False,
        max_patterns: int = 0,
    ) -> Reaches:
        """As ``rightcall.Client.reach``."""
        request = directory.reach_request(caller, outcall, tenant, max_patterns, by_permission=by_permission)
        with self._translated():
            return directory.to_reaches(self._directory.list_reach(request))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raises the server's errors inside the block as the errors of a client."""
        try:
            yield
        except CallError as error:
            raise wire.to_error(self._target, error.code, error.message, 0) from error


class LocalClient(Engine):
    """Decides by definitions like ``rightcall.Client`` by a server; faults are reported instead of an answer.

    Args:
        url: of definitions, or of published rules in Redis, which decide as they were published.
        options: the options for reading rules.

    Attributes:
        tenants: the rules.
        lookup: finds users, outcalls and tenants by name.
    """

    def __init__(self, url: str, options: RulesOptions = _NO_OPTIONS) -> None:
        current, self.tenants = _published(url, options) if names_redis(url) else _defined(url, options)
        self.lookup = Lookup(self.tenants)
        super().__init__(*engine_parts(current))

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


def _defined(path: str, options: RulesOptions) -> tuple[CurrentSnapshots, tuple[Tenant, ...]]:
    """The compiled rules of definitions, and the definitions.

    Raises:
        Failure: the definitions have faults.
    """
    # The search for a broken expectation needs answers from the rules that stay unpublished because of that.
    local = Local(path, synchronizer=partial(Synchronizer, prove=False), options=options)
    with closing(local):  # read once, and never again
        errors = local.load().errors
        tenants = local.reading().tenants
    if errors:
        message = f"{path} has faults, shown above; repair them, then ask again"
        raise Failure(message, ExitCode.FAULTY, tuple(map(str, errors)))
    return local.current, tenants


def _published(url: str, options: RulesOptions) -> tuple[CurrentSnapshots, tuple[Tenant, ...]]:
    """The published rules, and the definitions that they were compiled from, as far as these are known.

    Raises:
        Failure: Redis cannot be asked, or there are no such rules.
    """
    source = PublishedSource(url, options.scope, options.secret)
    try:
        snapshots = source.snapshots()
    except SourceError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    current = CurrentSnapshots(source.name)
    for snapshot in snapshots:
        current.replace(snapshot)
    return current, tuple(tenant_of(snapshot, numbering_table) for snapshot in snapshots)
