"""``rightcall load``: the loader, which compiles definitions and publishes them to Redis."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import rich_click as click
import structlog
from rich.console import Console

from loader.cycle import Synchronizer
from loader.errors import PublishError
from loader.metrics.registry import LoaderMetrics
from loader.publishing.candidate_publisher import CandidatePublisher
from loader.publishing.dry_run import DryRun
from loader.publishing.lease import Lease
from loader.publishing.publish import DEFAULT_KEEP, Origin, RedisPublisher
from loader.publishing.revisions import Revisions
from loader.removal import DEFAULT_MAX_REMOVAL, RemovalGuard
from loader.sources import RECHECK_SECONDS
from pdp.errors import ListenError
from pdp.rules.model import PasswordOverride
from pdp.runtime.http import HttpServer
from pdp.runtime.version import version
from rightcall.cli.command import command, option
from rightcall.cli.options.assumptions import Assumptions
from rightcall.cli.options.common import (
    isolate_faults_option,
    log_options,
    password_override_option,
    scope_options,
    secret_option,
)
from rightcall.cli.options.sources import tenant_default_options, wazo_options
from rightcall.cli.options.tracing import tracing_options
from rightcall.cli.output import say
from rightcall.cli.preview import show_preview
from rightcall.cli.progress import CompileProgress
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.loader_health import LoaderHealth
from rightcall.programs.loader_watch import LoaderWatch
from rightcall.programs.redis_client import opened_redis
from rightcall.programs.reports import ReportLog
from rightcall.programs.sources import opened_source
from rightcall.programs.stopping import Stopping
from rightcall.redis_url import ANSWER_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.report import SyncReport
    from loader.sources import WazoOptions
    from loader.sources.defaults import TenantDefaults
    from pdp.rules.publication.keys import Scope
    from rightcall.cli.options.tracing import Traced

_log = structlog.get_logger()

_LATE = 60.0
"""Seconds without a good cycle, on top of three rechecks, after which a leading loader is not ready."""

_STALE = 300.0
"""Seconds on top of those, by default, for which edits may be unread; the alert RightcallSourceStale comes before."""


@command(
    "rightcall load --source file:/etc/rightcall/definitions --redis redis://localhost:6379/0",
    "rightcall load --source company.yaml --redis redis://localhost:6379/0 --dry-run",
)
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
    "--dry-run",
    is_flag=True,
    help="Publish nothing, and show whom what would be published lets dial more or less than what is; then end.",
)
@option(
    "--candidate",
    is_flag=True,
    help="Publish beside the current rules, which go on to decide: servers count what these would decide; then end.",
)
@option(
    "--message",
    default="",
    metavar="TEXT",
    help="With --once or --candidate: why, kept with the revisions that are published.",
)
@option(
    "--author",
    default="",
    metavar="NAME",
    help="With --once or --candidate: who made the edit, kept with them as well.",
)
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
    "--max-staleness",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    show_default="six minutes and three rechecks",
    help="Time for which edits may be unread after which /readyz of a leading loader fails; 0: it never does for that.",
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
    dry_run: bool,
    candidate: bool,
    message: str,
    author: str,
    max_removal: float,
    accept_removal: bool,
    isolate_faults: bool,
    name: str | None,
    keep: int,
    recheck: float | None,
    max_staleness: float | None,
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
    if (message or author) and not (once or candidate):
        raise click.UsageError("--message and --author are of one edit; give them with --once or --candidate.")
    if candidate and dry_run:
        raise click.UsageError("--dry-run publishes nothing, a --candidate neither; give one of them.")
    opened = opened_source(source, recheck, wazo, defaults, names=not without_names)
    client, redis_name = opened_redis(redis)
    secret = secrets[0] if secrets else None
    if secret is None:
        _log.warning("no_secret_key", advice="rules are not signed and passwords not published; give --secret-key-file")
    by = name or f"{socket.gethostname()}:{os.getpid()}"
    lease = Lease(client, redis_name, by, prefix=scope.prefix)
    origin = Origin(by, author, message)
    publisher = RedisPublisher(client, redis_name, origin=origin, secret=secret, scope=scope, keep=keep, lease=lease)
    dry, beside = DryRun(publisher), CandidatePublisher(publisher)
    revisions = Revisions(client, redis_name, secret=secret, scope=scope)
    synchronizer = (traced.synchronizer or Synchronizer)(
        opened,
        dry if dry_run else beside if candidate else publisher,
        secret=secret,
        password_override=PasswordOverride(password_override),
        guard=RemovalGuard(max_removal),
        accept_removal=accept_removal,
        isolate_faults=isolate_faults,
        progress=CompileProgress(Console(stderr=True)),
        published=revisions.snapshots,
        publish_patience=ANSWER_TIMEOUT,
    )
    with client, closing(opened):
        if dry_run:
            report = synchronizer.sync()
            ReportLog()(replace(report, published=(), removed=()))
            show_preview(dry, revisions, Assumptions(override=PasswordOverride(password_override)), secret)
            _raise_for(report)
        elif candidate:
            report = synchronizer.sync()
            ReportLog()(replace(report, published=(), removed=()))
            say(f"Candidates: {len(beside.proposed)}; see them with: rightcall shadow")
            _raise_for(report)
        elif once:
            _load_once(synchronizer, lease)
        else:
            watch = LoaderWatch(synchronizer)
            lease.fit = lambda: not watch.stuck
            metrics = LoaderMetrics(version(), lambda: lease.leading, opened.stale_seconds, lambda: watch.stuck)
            late = _LATE + 3 * (RECHECK_SECONDS if recheck is None else recheck)
            health = LoaderHealth(
                lease,
                metrics,
                late=late,
                stale=opened.stale_seconds,
                max_stale=late + _STALE if max_staleness is None else max_staleness,
                foreign=publisher.foreign,
            )
            with _served(http, metrics, health) as address:
                _log.info("loading", version=version(), source=opened.name, redis=redis_name, loader=by, http=address)
                _load_until_stopped(synchronizer, lease, metrics, watch)


@contextmanager
def _served(http: str, metrics: LoaderMetrics, health: LoaderHealth) -> Iterator[str]:
    """Serves metrics and health, and yields the address; empty if not wanted."""
    if http == "none":  # an empty variable counts as one that is not set
        yield ""
        return
    try:
        server = HttpServer(http, metrics.registry, health, alive=lambda: metrics.alive)
    except ListenError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


def _load_once(synchronizer: Synchronizer, lease: Lease) -> None:
    try:
        token = _claimed(lease)
        lease.start()  # reading or compiling may take longer than a lease stands
        report = synchronizer.sync()
        # A lease lapses where the whole process was paused. Unless another loader leads now, the rest is published.
        while report.problems and not report.source_failed and _claimed(lease) != token:
            token = lease.token
            report = synchronizer.sync()
    except PublishError as error:
        raise Failure(str(error), ExitCode.UNREACHABLE) from error
    finally:
        lease.stop()
    ReportLog()(report)
    _log.info("loaded", published=len(report.published), unchanged=len(report.unchanged), removed=len(report.removed))
    _raise_for(report)


def _raise_for(report: SyncReport) -> None:
    """Ends the command if something could not be published.

    Raises:
        Failure: that is so.
    """
    if report.source_failed:
        raise Failure(report.error, ExitCode.USAGE)
    if report.problems:
        raise Failure(report.error, ExitCode.UNREACHABLE)
    if report.errors:
        raise Failure("the definitions have faults, shown above; what is faulty is not published", ExitCode.FAULTY)
    if report.held_back:
        raise Failure(report.error, ExitCode.FAULTY)


def _claimed(lease: Lease) -> bytes:
    """The token of the claimed or renewed lead."""
    if not lease.claim():
        message = f"another loader leads ({lease.leader}); it publishes what changes, or stop it first"
        raise Failure(message, ExitCode.UNREACHABLE)
    return lease.token


def _load_until_stopped(synchronizer: Synchronizer, lease: Lease, metrics: LoaderMetrics, watch: LoaderWatch) -> None:
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
    with watch.over(worker):
        stopping.wait()
        stop.set()
        worker.join()
    lease.stop()
    if defects:
        raise defects[0]
    _log.info("stopped")
