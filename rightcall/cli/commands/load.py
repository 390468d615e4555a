"""``rightcall load``: the loader, which compiles definitions and publishes them to Redis."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import rich_click as click
import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from loader.cycle import DEFAULT_MAX_REMOVAL, RemovalGuard, Synchronizer
from loader.errors import PublishError
from loader.metrics.registry import LoaderMetrics
from loader.publishing.lease import Lease
from loader.publishing.publish import DEFAULT_KEEP, RedisPublisher
from loader.sources import RECHECK_SECONDS
from pdp.errors import ListenError
from pdp.rules.model import PasswordOverride
from pdp.runtime.http import HttpServer, Readiness
from pdp.runtime.version import version
from rightcall.cli.command import command, option
from rightcall.cli.options.common import (
    isolate_faults_option,
    log_options,
    password_override_option,
    scope_options,
    secret_option,
)
from rightcall.cli.options.sources import tenant_default_options, wazo_options
from rightcall.cli.options.tracing import tracing_options
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.redis_client import opened_redis
from rightcall.programs.reports import ReportLog
from rightcall.programs.sources import opened_source
from rightcall.programs.stopping import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loader.cycle import SyncReport
    from loader.sources import WazoOptions
    from loader.sources.defaults import TenantDefaults
    from pdp.rules.publication.keys import Scope
    from rightcall.cli.options.tracing import Traced

_log = structlog.get_logger()

_LONG = 5000
"""Number of users of a tenant above which compiling is slow enough to show progress."""

_LATE = 60.0
"""Seconds without a good cycle, on top of three rechecks, after which a leading loader is not ready."""

_STALE = 300.0
"""Seconds on top of those for which a change may be unread; the alert RightcallSourceStale comes before."""


class CompileProgress:
    """A bar for every tenant that takes long to compile, where a person looks.

    Args:
        console: draws the bar; draws nothing without a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None

    def __call__(self, tenant: str, done: int, total: int) -> None:
        """Shows how far a tenant is."""
        if self._bar is None:
            if total < _LONG or done >= total or not self._console.is_terminal:
                return
            columns = (
                TextColumn("compiling {task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.add_task(tenant, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done)
        if done >= total:
            self._bar.stop()
            self._bar = None


@command("rightcall load --source file:/etc/rightcall/definitions --redis redis://localhost:6379/0")
@option(
    "--source",
    required=True,
    metavar="URL",
    help="Where the rules are: file:PATH, confd+https://HOST/api/confd/1.1 or postgresql://USER@HOST/DATABASE.",
)
@option("--redis", required=True, metavar="URL", help="Where the compiled rules go.")
@option(
    "--http",
    default="127.0.0.1:9465",
    show_default=True,
    metavar="HOST:PORT",
    help="Address of metrics and health; port 0: one that is free; none: do without. With --once there is none.",
)
@option("--once", is_flag=True, help="Publish what there is, then end.")
@option(
    "--max-removal",
    type=click.FloatRange(min=0, max=1),
    default=DEFAULT_MAX_REMOVAL,
    metavar="FRACTION",
    help=(
        "Hold back what removes more than this of the tenants, or of a tenant's permissions, and what leaves nothing; "
        "1: nothing is held back."
    ),
)
@isolate_faults_option
@option("--accept-removal", is_flag=True, help="Confirm the removals that were held back; counts for the first cycle.")
@option(
    "--name",
    metavar="TEXT",
    show_default="host and process",
    help="What this loader is called where it leads and beside the revisions that it publishes.",
)
@option("--keep", type=click.IntRange(min=1), default=DEFAULT_KEEP, help="Revisions of each tenant to keep in Redis.")
@option(
    "--recheck",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    show_default="30",
    help="Look for changes at least this often, even if nobody told of any.",
)
@option(
    "--without-names",
    is_flag=True,
    help="Publish users without their names and extensions, which are for people alone; permissions keep theirs.",
)
@scope_options
@secret_option
@password_override_option
@tenant_default_options
@wazo_options
@log_options
@tracing_options("rightcall-loader")
def load(  # noqa: PLR0913 - each is an option
    *,
    source: str,
    redis: str,
    http: str,
    once: bool,
    max_removal: float,
    accept_removal: bool,
    isolate_faults: bool,
    name: str | None,
    keep: int,
    recheck: float | None,
    without_names: bool,
    scope: Scope,
    secrets: tuple[bytes, ...],
    password_override: str,
    wazo: WazoOptions | None,
    defaults: TenantDefaults | None,
    traced: Traced,
) -> None:
    """Compiles definitions and publishes them to Redis, now and whenever they change.

    Only tenants whose content changed are published. A tenant with faults keeps its last good rules. Any number of
    loaders may run: one leads, and another one takes over when it dies.
    """
    opened = opened_source(source, recheck, wazo, defaults, names=not without_names)
    client, redis_name = opened_redis(redis)
    secret = secrets[0] if secrets else None
    if secret is None:
        _log.warning("no_secret_key", advice="rules are not signed and passwords not published; give --secret-key-file")
    by = name or f"{socket.gethostname()}:{os.getpid()}"
    lease = Lease(client, redis_name, by, prefix=scope.prefix)
    publisher = RedisPublisher(client, redis_name, by=by, secret=secret, scope=scope, keep=keep, lease=lease)
    synchronizer = (traced.synchronizer or Synchronizer)(
        opened,
        publisher,
        secret=secret,
        password_override=PasswordOverride(password_override),
        guard=RemovalGuard(max_removal),
        accept_removal=accept_removal,
        isolate_faults=isolate_faults,
        progress=CompileProgress(Console(stderr=True)),
    )
    with client, closing(opened):
        if once:
            _load_once(synchronizer, lease)
        else:
            metrics = LoaderMetrics(version(), lambda: lease.leading, opened.stale_seconds)
            late = _LATE + 3 * (RECHECK_SECONDS if recheck is None else recheck)
            health = LoaderHealth(lease, metrics, late=late, stale=opened.stale_seconds, foreign=publisher.foreign)
            with _served(http, metrics, health) as address:
                _log.info("loading", version=version(), source=opened.name, redis=redis_name, loader=by, http=address)
                _load_until_stopped(synchronizer, lease, metrics)


class LoaderHealth:
    """The readiness of a loader. A loader that stands by is ready, too.

    Args:
        lease: the loader's claim to lead.
        metrics: the results of the loader's cycles.
        late: seconds after which the last good cycle is too old.
        stale: gives the seconds for which a change of the source may be unknown.
        foreign: why the loader could never publish, even without the leading one; empty if possible.
    """

    def __init__(
        self,
        lease: Lease,
        metrics: LoaderMetrics,
        *,
        late: float,
        stale: Callable[[], float] = lambda: 0.0,
        foreign: Callable[[], str] = lambda: "",
    ) -> None:
        self._lease = lease
        self._metrics = metrics
        self._late = late
        self._stale = stale
        self._foreign = foreign

    def __call__(self) -> Readiness:
        """Whether the loader is ready, and the reason."""
        lease, problem = self._lease, self._metrics.problem
        if not lease.leading:
            if lease.problem or not lease.leader:
                return Readiness(ready=False, reason=f"not ready: {lease.problem or 'nobody is known to lead yet'}")
            try:
                foreign = self._foreign()
            except PublishError as error:
                foreign = str(error)
            if foreign:
                return Readiness(ready=False, reason=f"not ready: {lease.leader} leads, and {foreign}")
            return Readiness(ready=True, reason=f"ready: standing by while {lease.leader} leads")
        age = time.time() - self._metrics.last_success
        if age > self._late:
            since = f"no good cycle for {age:.0f} s" if self._metrics.last_success else "no good cycle yet"
            return Readiness(ready=False, reason=f"not ready: leading, and {since}{problem and '; ' + problem}")
        stale = self._stale()
        if stale > self._late + _STALE:
            reason = f"not ready: leading, and edits of the last {stale:.0f} s may be unread"
            return Readiness(ready=False, reason=f"{reason}{problem and '; ' + problem}")
        return Readiness(ready=True, reason=f"ready: leading{problem and '; the last cycle failed: ' + problem}")


@contextmanager
def _served(http: str, metrics: LoaderMetrics, health: LoaderHealth) -> Iterator[str]:
    """Serves metrics and health, and yields the address; empty if not wanted."""
    if http == "none":  # an empty variable counts as one that is not set
        yield ""
        return
    try:
        server = HttpServer(http, metrics.registry, health)
    except ListenError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


def _load_once(synchronizer: Synchronizer, lease: Lease) -> None:
    try:
        if not lease.claim():
            message = f"another loader leads ({lease.leader}); it publishes what changes, or stop it first"
            raise Failure(message, ExitCode.UNREACHABLE)
        lease.start()  # reading or compiling may take longer than a lease stands
        report = synchronizer.sync()
    except PublishError as error:
        raise Failure(str(error), ExitCode.UNREACHABLE) from error
    finally:
        lease.stop()
    ReportLog()(report)
    _log.info("loaded", published=len(report.published), unchanged=len(report.unchanged), removed=len(report.removed))
    if report.source_failed:
        raise Failure(report.error, ExitCode.USAGE)
    if report.problems:
        raise Failure(report.error, ExitCode.UNREACHABLE)
    if report.errors:
        raise Failure("the definitions have faults, shown above; what is faulty was not published", ExitCode.FAULTY)
    if report.held_back:
        raise Failure(report.error, ExitCode.FAULTY)


def _load_until_stopped(synchronizer: Synchronizer, lease: Lease, metrics: LoaderMetrics) -> None:
    stopping, stop, defects = Stopping(), threading.Event(), list[BaseException]()
    tell = ReportLog()

    def note(report: SyncReport) -> None:
        metrics.note(report)
        tell(report)

    def work() -> None:
        try:
            synchronizer.run(stop, note, lease)
        except BaseException as error:  # noqa: BLE001 - any error that ends the thread ends the program
            defects.append(error)
        finally:
            stopping.ask()

    worker = threading.Thread(target=work, name="loader")
    lease.start()
    worker.start()
    stopping.wait()
    stop.set()
    worker.join()
    lease.stop()
    if defects:
        raise defects[0]
    _log.info("stopped")
