"""Priorities of threads, for a busy processor."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

_NICENESS = 5
"""A third of the processor time of a thread that answers calls, where both compete: rules come late, but do come."""


def stand_back() -> None:
    """Lowers the calling thread's priority below other processes that answer calls.

    For threads that take new rules, which are less urgent than a dial tone. Not where threads of the same interpreter
    answer: those would wait for the interpreter's lock while the holder waits for the processor. Does nothing where
    threads have no separate priorities, as on anything but Linux, and never raises a priority.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):  # then it goes on as before
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
