"""What the machine and its processes say of themselves, under /proc; and which core does what."""

from __future__ import annotations

import os
import platform
import re
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SERVER_CORE: Final = 0
CLIENT_CORE: Final = min(1, (os.cpu_count() or 1) - 1)
"""A core each, so that a server is not measured by how much of it the client takes."""
_ESTABLISHED, _LISTENING = "01", "0A"
_TICKS = os.sysconf("SC_CLK_TCK")


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


def shares(process: int) -> int:
    """Bytes of a process, where it is charged its share of what it has with others, its PSS."""
    return _kilobytes(Path(f"/proc/{process}/smaps_rollup"), "Pss") * 1024


def cpu_seconds(*processes: int) -> float:
    """Seconds of processor time that processes have had, without their children."""
    total = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def children(process: int) -> list[int]:
    """The processes that it started and that are still there."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
    return found


def listens(port: int, processes: list[int]) -> set[int]:
    """Those of the processes that listen on a port."""
    return {process for process, states in _sockets(port, processes).items() if _LISTENING in states}


def connections(port: int, processes: list[int]) -> dict[int, int]:
    """How many clients of a port each of the processes has."""
    return {process: states.count(_ESTABLISHED) for process, states in _sockets(port, processes).items()}


def listening(port: int) -> bool:
    """Whether anybody listens on a port."""
    return _LISTENING in _states(port).values()


def pin(core: int, process: int = 0) -> None:
    """Leaves one core to a process, and to all that it starts from now on; 0: this one."""
    os.sched_setaffinity(process, {core})


def _sockets(port: int, processes: list[int]) -> dict[int, list[str]]:
    """The states of the sockets with this port of their own that processes have open."""
    states = _states(port)
    found: dict[int, list[str]] = {}
    for process in processes:
        names = []
        with suppress(OSError):  # it ends meanwhile
            for number in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    names.append(str(number.readlink()))
        found[process] = [state for name in names if (state := states.get(name))]
    return found


def _states(port: int) -> dict[str, str]:
    """By a socket's name among a process's files, its state."""
    found: dict[str, str] = {}
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}"):
                found[f"socket:[{fields[9]}]"] = fields[3]
    return found


def _kilobytes(path: Path, field: str) -> int:
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(f"{path} has no {field}")
