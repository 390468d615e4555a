"""The end of a program: the exit code, and the message of a failure."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of commands."""

    DONE = 0
    """Done; for a check: the call is allowed."""
    NOT_ALLOWED = 1
    """The call is denied, or a password is asked for; of a comparison or a test: what it was told to fail on."""
    USAGE = 2
    """The command cannot do what it was told."""
    FAULTY = 3
    """The definitions have faults."""
    UNREACHABLE = 4
    """A server or Redis did not do its part."""
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
