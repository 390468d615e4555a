"""Which threads wait for which, where there is less processor than there is to do."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

_NICENESS = 5
"""A third of the processor time of a thread that answers calls, where both want it: rules come late, but do come."""


def stand_back() -> None:
    """From now on the calling thread leaves the processor to other processes that answer calls.

    For threads that take new rules: nobody waits for those as somebody waits for a dial tone. Not where threads of the
    same interpreter answer, for they would wait for its lock while its holder waits for the processor. It does nothing
    where priorities are not a thread's own, as on anything but Linux, and never raises one.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):  # then it goes on as before
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
