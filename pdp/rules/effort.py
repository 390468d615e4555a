"""The effort of long computations: who asked for one may end it at its next checkpoint."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _go_on() -> None:
    """The checkpoint of a computation without a limit."""


CHECKPOINT: ContextVar[Callable[[], None]] = ContextVar("checkpoint", default=_go_on)
"""Called within long computations, every few microseconds to milliseconds; an error that it raises ends them."""
