"""What the machine and its processes say of themselves, under /proc; and which core does what."""

from __future__ import annotations

import os
import platform
import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SERVER_CORE: Final = 0
CLIENT_CORE: Final = min(1, (os.cpu_count() or 1) - 1)
"""A core each, so that a server is not measured by how much of it the client takes."""
_TICKS = os.sysconf("SC_CLK_TCK")
_LISTENING = "0A"
"""As /proc/net/tcp has it."""


def machine() -> dict[str, str]:
    """Where and with what it was measured."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "processor": found[1] if found else platform.machine(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": f"{platform.python_version()}, {platform.python_compiler()}",
        "huge pages": str("hugetlb" in os.environ.get("GLIBC_TUNABLES", "")).lower(),
        "grpcio": version("grpcio"),
        "rightcall": version("rightcall"),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What some work comes to, and the seconds that it takes."""
    begun = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begun


def free_memory() -> int:
    """Bytes that could be had."""
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable") * 1024


def resident(field: str, process: int | str = "self") -> int:
    """Bytes of memory of a process: ``VmRSS``, now; ``VmHWM``, at the most."""
    # Not getrusage: its maximum is inherited from the process that started this one.
    return _kilobytes(Path(f"/proc/{process}/status"), field) * 1024


def private(process: int) -> int:
    """Bytes that only this process has, its USS: what would be free if it ended."""
    rollup = Path(f"/proc/{process}/smaps_rollup")
    return sum(_kilobytes(rollup, field) for field in ("Private_Clean", "Private_Dirty")) * 1024


def cpu_seconds(*processes: int) -> float:
    """Seconds of processor time that processes have had, without their children."""
    total = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def listening(port: int) -> bool:
    """Whether anybody listens on a port."""
    return _LISTENING in _states(port)


def pin(core: int, process: int = 0) -> None:
    """Leaves one core to a process, and to all that it starts from now on; 0: this one."""
    os.sched_setaffinity(process, {core})


def _states(port: int) -> set[str]:
    """The states of the machine's sockets with this port of their own."""
    found: set[str] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}"):
                found.add(fields[3])
    return found


def _kilobytes(path: Path, field: str) -> int:
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(f"{path} has no {field}")
