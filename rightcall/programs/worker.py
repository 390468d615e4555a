"""A worker of ``rightcall serve --workers N``: ``python -m rightcall.programs.worker FORMAT LEVEL SOCKET``."""

from __future__ import annotations

import sys


def command(log_format: str, level: str) -> tuple[str, ...]:
    """Runs a worker that logs like the supervisor, with the socket's number added."""
    return sys.executable, "-m", "rightcall.programs.worker", log_format, level


if __name__ == "__main__":
    from pdp.workers.worker import run_worker  # dependencies are installed for workers, not everywhere
    from rightcall.programs import logs  # who only wants to know the command needs no logs

    logs.configure(*sys.argv[1:3])
    run_worker(int(sys.argv[3]))
