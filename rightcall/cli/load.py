"""``rightcall load``: the loader, which compiles definitions and publishes them to Redis."""

from __future__ import annotations

import threading

import rich_click as click
import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from loader.publish import DEFAULT_KEEP, RedisPublisher
from loader.sync import Synchronizer
from pdp.rules.model import PasswordOverride
from rightcall.cli.command import command, option
from rightcall.cli.exits import ExitCode, Failure
from rightcall.cli.options import (
    log_options,
    opened_redis,
    opened_source,
    password_override_option,
    redis_prefix_option,
    secret_option,
)
from rightcall.cli.reports import ReportLog
from rightcall.cli.stopping import Stopping

_log = structlog.get_logger()

_LONG = 5000
"""Users of a tenant from which on compiling takes long enough to show how it goes on."""


class CompileProgress:
    """A bar for every tenant that takes long to compile, where a person looks.

    Args:
        console: where it is drawn; nothing is, if that is no terminal.
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
    "--source", required=True, metavar="URL", help="Where the definitions are: file:PATH, of a file or a directory."
)
@option("--redis", required=True, metavar="URL", help="Where the compiled rules go.")
@option("--once", is_flag=True, help="Publish what there is, then end.")
@option("--keep", type=click.IntRange(min=1), default=DEFAULT_KEEP, help="Revisions of each tenant to keep in Redis.")
@option(
    "--recheck",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    show_default="30",
    help="Look for changes at least this often, even if nobody told of any.",
)
@redis_prefix_option
@secret_option
@password_override_option
@log_options
def load(
    *,
    source: str,
    redis: str,
    once: bool,
    keep: int,
    recheck: float | None,
    redis_prefix: str,
    secret: bytes | None,
    password_override: str,
) -> None:
    """Compiles definitions and publishes them to Redis, now and whenever they change.

    Only tenants whose content changed are published. A tenant with faults keeps its last good rules.
    """
    opened = opened_source(source, recheck)
    client, name = opened_redis(redis)
    if secret is None:
        _log.warning("no_secret_key", advice="rules are not signed and passwords not published; give --secret-key-file")
    synchronizer = Synchronizer(
        opened,
        RedisPublisher(client, name, secret=secret, prefix=redis_prefix, keep=keep),
        secret=secret,
        password_override=PasswordOverride(password_override),
        progress=CompileProgress(Console(stderr=True)),
    )
    with client:
        if once:
            _load_once(synchronizer)
        else:
            _log.info("loading", source=opened.name, redis=name)
            _load_until_stopped(synchronizer)


def _load_once(synchronizer: Synchronizer) -> None:
    report = synchronizer.sync()
    ReportLog()(report)
    _log.info("loaded", published=len(report.published), unchanged=len(report.unchanged), removed=len(report.removed))
    if report.source_failed:
        raise Failure(report.error, ExitCode.USAGE)
    if report.problems:
        raise Failure(report.error, ExitCode.UNREACHABLE)
    if report.errors:
        raise Failure("the definitions have faults, shown above; what is faulty was not published", ExitCode.FAULTY)


def _load_until_stopped(synchronizer: Synchronizer) -> None:
    stopping, stop, defects = Stopping(), threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            synchronizer.run(stop, ReportLog())
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread ends the program
            defects.append(error)
        finally:
            stopping.ask()

    worker = threading.Thread(target=work, name="loader")
    worker.start()
    stopping.wait()
    stop.set()
    worker.join()
    if defects:
        raise defects[0]
    _log.info("stopped")
