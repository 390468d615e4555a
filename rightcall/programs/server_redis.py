"""``rightcall serve --redis``: a server of the rules that a loader publishes."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import structlog

from pdp.challenges.attempts import Limits
from pdp.challenges.attempts_redis import RedisAttempts
from pdp.challenges.delays import Paces
from pdp.challenges.delays_redis import RedisDelays
from pdp.metrics.registry import Metrics
from pdp.runtime.version import version
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.disk import SnapshotStore, StateError
from pdp.snapshots.follower import DEFAULT_RECHECK, Follower
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.redis_client import opened_redis
from rightcall.programs.serving import Served, serve_until_stopped
from rightcall.redis_url import ANSWER_TIMEOUT, open_redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.rules.publication.keys import Scope
    from pdp.settings import ServerSettings
    from rightcall.programs.history import History
    from rightcall.programs.serving import OpenLog, Serving

_log = structlog.get_logger()

_COUNTING_TIMEOUT = 1.0
"""Seconds; a caller who has just dialled a password waits for Redis to count the attempt."""


class Trust(NamedTuple):
    """The conditions for trusting rules from Redis.

    Attributes:
        scope: deployment and prefix that rules must have been published for.
        secrets: the deployment's keys, of which one must have signed; none: signatures are not required.
        require_manifest: whether rules without a manifest are rejected.
        most_age: seconds after which a manifest is too old for a starting server; 0: no limit.
    """

    scope: Scope
    secrets: tuple[bytes, ...]
    require_manifest: bool
    most_age: float


def serve_redis(
    settings: ServerSettings,
    url: str,
    serving: Serving,
    *,
    trust: Trust,
    recheck: float | None,
    state_dir: Path | None,
    decision_log: OpenLog,
) -> None:
    """Serves the rules in a Redis until a signal asks for a stop; follows changes until the last response.

    Args:
        settings: the server's.
        url: of Redis.
        serving: how calls are served.
        trust: the conditions for trusting rules.
        recheck: seconds between two checks of all pointers; None: the default.
        state_dir: directory for the last good rules; None: not kept.
        decision_log: opens the decision log.

    Raises:
        Failure: the state directory cannot be used, or the server cannot listen.
    """
    client, name = opened_redis(url)
    secrets = trust.secrets
    if not secrets:
        _log.warning("rules_unsigned", advice="whoever can write to Redis can change them; give --secret-key-file")
    current = CurrentSnapshots(name)
    metrics = Metrics(current, version())
    follower = Follower(
        client,
        current,
        metrics,
        scope=trust.scope,
        secrets=secrets,
        recheck=DEFAULT_RECHECK if recheck is None else recheck,
        store=_opened_store(state_dir, secrets),
        require_manifest=trust.require_manifest,
        most_age=trust.most_age,
        patience=ANSWER_TIMEOUT,
    )
    counting = open_redis(url, answer_timeout=_COUNTING_TIMEOUT)
    limits = Limits(settings.challenge_attempts, settings.lockout_seconds)
    prefix = trust.scope.prefix
    attempts = RedisAttempts(counting, limits, prefix=prefix)
    delays = RedisDelays(counting, Paces(settings.pin_guesses), prefix=prefix) if settings.pin_guesses else None
    with client, counting:
        log = decision_log(metrics)
        with _following(follower) as begun:
            server = serving.server(
                settings,
                current,
                metrics,
                served=lambda: Served(_history(url, trust)),
                secrets=secrets,
                attempts=attempts,
                delays=delays,
                decision_log=log,
            )
            serve_until_stopped(server, name, begun.result)


@contextmanager
def _following(follower: Follower) -> Iterator[Future[None]]:
    """Starts the follower in parallel to the block: reading large rules and making a server take a second each.

    Returns:
        A future that is done when all rules on disk are loaded.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="stored-rules") as aside:
        begun = aside.submit(follower.start)
        try:
            yield begun
        finally:
            wait([begun])
            follower.stop()


def _history(url: str, trust: Trust) -> History:
    """The revisions in Redis, over a connection of their own: pages may wait, and nothing else does."""
    from rightcall.programs.history import PublishedHistory  # noqa: PLC0415 - a loader, which Redis needs not

    client, name = opened_redis(url)
    return PublishedHistory(client, name, trust.scope, trust.secrets[0] if trust.secrets else None)


def _opened_store(directory: Path | None, secrets: tuple[bytes, ...]) -> SnapshotStore | None:
    try:
        return SnapshotStore(directory, secrets) if directory else None
    except StateError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
