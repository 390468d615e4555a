"""A worker process: answers the hot methods from mapped snapshots, on the supervisor's commands.

A worker never reads definitions or Redis, and passes all other requests on to the supervisor.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import structlog

from pdp.challenges.answers import Challenges
from pdp.challenges.attempts import Limits, MemoryAttempts
from pdp.challenges.tokens import ChallengeSeal
from pdp.errors import ListenError
from pdp.metrics.registry import Metrics
from pdp.rules.errors import SnapshotError
from pdp.services.decisions import DecisionService
from pdp.services.fastpath import HotCalls
from pdp.settings import ServerSettings
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.emergency import EmergencyCalls
from pdp.snapshots.freshness import FreshRules
from pdp.transports.native_front import Front
from pdp.workers.pipe import Channel, Gone, close_file
from pdp.workers.shared_snapshots import opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.snapshots.current import Held
    from pdp.workers.pipe import Message

_log = structlog.get_logger()

_TELL_SECONDS = 0.5
"""Seconds between two reports of counters."""
_SWITCH_SECONDS = 0.001
"""Seconds after which a thread busy with many requests lets the thread for single ones run."""


class Worker:
    """The program of a worker process.

    Args:
        channel: to the supervisor.
        given: the supervisor's first message.
    """

    def __init__(self, channel: Channel, given: Mapping[str, Any]) -> None:
        self._channel = channel
        self._fallback: str = given["fallback"]
        self._settings = ServerSettings(**given["settings"])
        self._current = CurrentSnapshots(given["source"])
        self._metrics = Metrics(self._current, given["version"])
        secrets = [bytes.fromhex(secret) for secret in given["secrets"]]
        self._hot = self._answers(secrets)
        self._front: Front | None = None
        self._told = ""
        self._leaving: Held | None = None
        """The snapshot just replaced, kept so that a call being decided does not have to free the memory."""

    def run(self) -> None:
        """Carries out the supervisor's commands until told to end, or until the supervisor ends."""
        try:
            self._channel.send("up")
            due = 0.0
            while (message := self._channel.receive(_TELL_SECONDS)) is None or self._do(message):
                if message is None:
                    self._leaving = None
                if time.monotonic() >= due:
                    self._tell()
                    due = time.monotonic() + _TELL_SECONDS
        except Gone:  # without its supervisor it would never hear of a change
            _log.warning("supervisor_gone", advice="this worker ends as well; look for why the supervisor ended")
            if self._front:
                self._front.refuse()
        if self._front:
            self._front.close()

    def _do(self, message: Message) -> bool:
        """Carries out one command; False after the last one."""
        kind, fields, file = message
        if kind == "replace":
            self._replace(fields, file)
        elif kind == "remove":
            self._current.remove(fields["tenant"])
        elif kind == "incomplete":
            self._current.set_incomplete(fields["why"])
        elif kind == "serve":
            self._serve()
        elif kind == "refuse":  # one that has only just come up as well: it is not waited for then
            if self._front:
                self._front.refuse()
            self._tell()
            self._channel.send("refused")
        return kind != "close"

    def _replace(self, fields: Mapping[str, Any], file: int) -> None:
        self._leaving = self._current.get(fields["tenant"])
        try:
            self._current.replace(opened(file), fields["origin"])
        except (SnapshotError, OSError, ValueError):
            _log.exception("shared_rules_refused", tenant=fields["tenant"], advice="please report this")
        finally:
            close_file(file)
        self._channel.send("has", {"tenant": fields["tenant"], "since": fields.get("since", 0.0)})

    def _serve(self) -> None:
        gc.collect()
        gc.freeze()  # the objects of now stay: the collector need not walk all of them again and again
        sys.setswitchinterval(_SWITCH_SECONDS)
        try:
            front = Front(self._settings, self._hot, self._metrics, fallback=self._fallback, shared=True)
        except ListenError as error:
            self._channel.send("failed", {"problem": str(error)})
            return
        front.start()
        self._front = front
        self._channel.send("listening", {"address": front.address})

    def _tell(self) -> None:
        """Reports that the worker answers, and new counts."""
        if self._front is not None and self._front.answers:
            self._channel.send("alive")
        counted = self._metrics.tallies.total().dump()
        if str(counted) != self._told:
            self._told = str(counted)
            self._channel.send("counted", {"tally": counted})

    def _answers(self, secrets: list[bytes]) -> HotCalls:
        settings, current, metrics = self._settings, self._current, self._metrics
        rules = FreshRules(current.resolve, seconds=settings.freshness_wait, waiters=settings.threads // 2)
        emergency = EmergencyCalls(current, settings.emergency_numbers)
        challenges = None
        if secrets and settings.challenge_attempts:
            # Challenges are made here and answered in the supervisor, so nothing is ever counted here.
            attempts = MemoryAttempts(Limits(settings.challenge_attempts, settings.lockout_seconds))
            seal = ChallengeSeal(secrets, seconds=settings.challenge_seconds)
            challenges = Challenges(seal, attempts, rules, secrets=secrets, emergency=emergency, metrics=metrics)
        decisions = DecisionService(
            current,
            metrics,
            policy=settings.policy,
            emergency=emergency,
            rules=rules,
            challenges=challenges,
            max_calls=settings.max_calls,
        )
        return HotCalls(
            decisions,
            current,
            metrics.tallies,
            challenge=challenges.make if challenges is not None else None,
            emergency=emergency,
            dialable_only=settings.policy.dialable_only,
            max_message_size=settings.max_message_size,
            max_calls=settings.max_calls,
        )


def run_worker(number: int) -> None:
    """Runs a worker with the supervisor's socket, by file descriptor."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # meant for the supervisor, which says what to do
        signal.signal(ignored, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=number))
    try:
        first = channel.receive(None)  # its supervisor may read rules for minutes before
    except Gone:
        return
    if first is not None and first.kind == "begin":
        Worker(channel, first.fields).run()


if __name__ == "__main__":
    run_worker(int(sys.argv[1]))
