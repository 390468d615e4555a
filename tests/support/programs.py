"""The programs as a user runs them: processes of their own, real ports, logs read line by line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from waiting import until

if TYPE_CHECKING:
    import socket

ROOT = Path(__file__).parents[2]
_CALL = "from rightcall.cli import main; main(prog_name='rightcall')"
_END_SECONDS = 20


def environment(**variables: str) -> dict[str, str]:
    """The environment of a program: this one's, without what would change what a command does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RIGHTCALL_") and name != "ONCE"}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **variables}


def run_program(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, with standard input closed."""
    return subprocess.run(
        [sys.executable, "-c", _CALL, *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )


class Program:
    """A command that stays until it is told to stop, as a context manager; it logs JSON."""

    _call = _CALL
    _files: tuple[int, ...] = ()

    def __init__(self, *arguments: str, **variables: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._call, *arguments, "--log-format", "json"],
            cwd=ROOT,
            env=environment(**variables),
            pass_fds=self._files,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, event: str, **context: object) -> dict[str, Any]:
        """The first log line with this event and this context, once there is one."""
        until(lambda: self._find(event, context), f"{event} {context} among {self.events}")
        return self._find(event, context)[0]

    def send(self, number: int) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to stop.

        Returns:
            Its exit code.
        """
        self.send(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = self._process.wait(_END_SECONDS)
        self._reader.join(_END_SECONDS)
        return code

    def __enter__(self) -> Self:
        """The program itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kills it, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _find(self, event: str, context: dict[str, object]) -> list[dict[str, Any]]:
        return [line for line in self.events if line["event"] == event and context.items() <= line.items()]

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("{"):
                self.events.append(json.loads(line))
            else:
                self.events.append({"event": "text", "text": line.rstrip()})


class Activated(Program):
    """A program that is handed a listening socket, as systemd does it."""

    def __init__(self, listening: socket.socket, *arguments: str) -> None:
        number = listening.fileno()
        variables = "{'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}"
        self._call = f"import os; os.dup2({number}, 3); os.environ |= {variables}; {_CALL}"
        self._files = (number,)
        super().__init__(*arguments)
