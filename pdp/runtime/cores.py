"""The useful number of threads: the cores that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_V2 = Path("/sys/fs/cgroup/cpu.max")
_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def available_cores(v2: Path = _V2, v1: tuple[Path, Path] = _V1) -> int:
    """The cores that the scheduler gives to this process, at most the container's limit; at least 1.

    Args:
        v2: quota and period in one file, in cgroup v2's form.
        v1: files of quota and of period, in cgroup v1's form.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = v2.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = (path.read_text(encoding="ascii").strip() for path in v1)
        except OSError:
            return cores
    if quota.lstrip("-").isdigit() and period.isdigit() and int(quota) > 0 and int(period) > 0:
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    return cores
