"""The adapter's metrics, in a separate registry. The list for people: docs/metrics.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from rightcall.agi.catalog import ENDS, METRICS, PIN_RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rightcall.agi.reasons import Verdict

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds of the histograms, in seconds."""


class AgiMetrics:
    """The adapter's counters. Any thread may write and read.

    Args:
        version: the adapter's own.

    Attributes:
        registry: the registry of ``/metrics``.
    """

    def __init__(self, version: str) -> None:
        # When a counter was made, a second series for each counter: that of the process is enough.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._calls = self._counter("rightcall_agi_calls_total")
        self._verdict_seconds = self._histogram("rightcall_agi_verdict_seconds")
        self._server_seconds = self._histogram("rightcall_agi_server_seconds")
        self._server_up = self._gauge("rightcall_agi_server_up")
        self._pins = self._counter("rightcall_agi_pins_total")
        self._sounds_missing = self._counter("rightcall_agi_sounds_missing_total")
        self._dialogues = self._gauge("rightcall_agi_dialogues")
        self._broken = self._counter("rightcall_agi_dialogues_broken_total")
        self._shadowed = self._counter("rightcall_agi_shadowed_total")
        self._stuck = self._gauge("rightcall_agi_stuck")
        self._gauge("rightcall_build_info").labels(version).set(1)
        for result in PIN_RESULTS:
            self._pins.labels(result)
        for cause in ENDS:
            self._broken.labels(cause)

    def watch(self, stuck: Callable[[], bool]) -> None:
        """Shows whether the adapter is stuck."""
        self._stuck.set_function(stuck)

    def verdict(self, verdict: Verdict, seconds: float | None) -> None:
        """Counts a call's verdict, and records the duration in seconds; None if a person took part."""
        self._calls.labels(verdict.word.lower(), verdict.reason.value).inc()
        if seconds is not None:
            self._verdict_seconds.observe(seconds)

    def answered(self, seconds: float) -> None:
        """Records the duration of a request to the server, in seconds, answered or not."""
        self._server_seconds.observe(seconds)

    def server_up(self, *, up: bool) -> None:
        """Records whether the server responds."""
        self._server_up.set(up)

    def pin(self, result: str) -> None:
        """Notes a PIN, by one of ``PIN_RESULTS``."""
        self._pins.labels(result).inc()

    def sound_missing(self) -> None:
        """Notes a prompt that could not be played."""
        self._sounds_missing.inc()

    def dialogues(self, held: int) -> None:
        """Notes how many dialogues there are."""
        self._dialogues.set(held)

    def broken(self, cause: str) -> None:
        """Counts a dialogue without a verdict, by one of ``ENDS``."""
        self._broken.labels(cause).inc()

    def shadowed(self, dialplan: str, server: str) -> None:
        """Notes a comparison, by two of ``SHADOWED``."""
        self._shadowed.labels(dialplan, server).inc()

    def _counter(self, name: str) -> Counter:
        return Counter(name, METRICS[name].help, tuple(METRICS[name].labels), registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        return Gauge(name, METRICS[name].help, tuple(METRICS[name].labels), registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        return Histogram(name, METRICS[name].help, registry=self.registry, buckets=BUCKETS)
