"""Waiting for the end: no signal is lost, wherever the system delivers it and whenever it comes."""

from __future__ import annotations

import subprocess
import sys

from programs import ROOT
from server import DEADLINE

PROGRAM = """
import signal, threading
from rightcall.programs.stopping import Stopping

def elsewhere():
    waits.wait()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

waits = threading.Event()
stopping = Stopping()
thread = threading.Thread(target=elsewhere)
thread.start()
threading.Timer(0.2, waits.set).start()
stopping.wait()
thread.join()
print("stopped")
"""


def test_a_signal_that_interrupts_nobody_who_waits_is_noticed() -> None:
    """As one that comes when the main thread is about to wait, and does not yet: here another thread has it."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stdout.strip()) == (0, "stopped")


IGNORING = """
import os, signal
from rightcall.programs.stopping import Stopping

stopping = Stopping()
os.kill(os.getpid(), signal.SIGHUP)
print("goes on")
os.kill(os.getpid(), signal.SIGTERM)
stopping.wait()
print("stopped")
"""


def test_a_hangup_ends_nothing() -> None:
    """Process managers send it to have files read again, which are read as they change."""
    command = [sys.executable, "-c", IGNORING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stdout.split("\n")[:2]) == (0, ["goes on", "stopped"])
