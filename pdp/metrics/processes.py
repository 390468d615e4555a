"""The resources of all the server's processes: the usual ``process_…`` metrics, workers included."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import Metric

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class ProcessesCollector(Collector):
    """The metrics of this process, with the resources of the processes started by this one.

    CPU time is that of all processes, ended ones included. Memory is this process' memory plus the unshared memory of
    each other one: rules count once. All else is this process' own.

    Args:
        others: the ids of the processes that run.
    """

    def __init__(self, others: Callable[[], Sequence[int]]) -> None:
        self._others = others
        self._own = ProcessCollector(registry=None)

    def collect(self) -> Iterable[Metric]:
        """The metrics, for prometheus_client."""
        others = self._others()
        for family in self._own.collect():
            if family.name == "process_cpu_seconds":
                seconds = family.samples[0].value + _ended() + sum(map(_cpu, others))
                text = "Total user and system CPU time spent in seconds, by worker processes too."
                yield CounterMetricFamily("process_cpu_seconds_total", text, value=seconds)
            elif family.name == "process_resident_memory_bytes":
                size = family.samples[0].value + sum(map(_memory, others))
                text = "Resident memory size in bytes, with what worker processes do not share."
                yield GaugeMetricFamily("process_resident_memory_bytes", text, value=size)
            else:
                yield family


def _ended() -> float:
    """CPU seconds of the children that have ended, so that the sum never goes back."""
    times = os.times()
    return times.children_user + times.children_system


def _cpu(process: int) -> float:
    """CPU seconds of a process; 0 after the process' end."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 - no file of ours
            user, system = stat.read().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0
    return (int(user) + int(system)) / _TICKS


def _memory(process: int) -> float:
    """Bytes of a process' unshared memory; 0 after the process' end."""
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as status:  # noqa: PTH123 - likewise
            sizes = [line.split()[1] for line in status if line.startswith("RssAnon:")]
    except OSError:
        return 0.0
    return sum(int(size) * 1024 for size in sizes)
