"""The end of a program: the exit code, and the message of a failure."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of commands."""

    DONE = 0
    """Done; for a check: the call is allowed."""
    NOT_ALLOWED = 1
    """The call is denied, or a password is required; for a comparison or a test: the condition to fail on holds."""
    USAGE = 2
    """Wrong usage: the command cannot run."""
    FAULTY = 3
    """The definitions have faults."""
    UNREACHABLE = 4
    """A server or Redis failed, or cannot be reached."""
    DEFECT = 70
    """A defect of Rightcall's own."""
    INTERRUPTED = 130
    """Ctrl-C, where nothing had to be ended in order."""


class Failure(Exception):
    """Ends a command with a message and an exit code.

    Args:
        message: the failure and the remedy.
        code: the exit code.
        details: lines for people before the message, such as the faults.
    """

    def __init__(self, message: str, code: ExitCode, details: tuple[str, ...] = ()) -> None:
        self.code = code
        self.details = details
        super().__init__(message)
