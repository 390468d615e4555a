"""The step that a loader's cycle is at, for those who watch over its thread."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Waiting:
    """How long the current step may wait; to be read by any thread.

    Attributes:
        patience: the longest wait that is not stuck but slow, in seconds.
    """

    patience = 0.0

    @contextmanager
    def __call__(self, patience: float) -> Iterator[None]:
        """A step that may wait for so many seconds."""
        self.patience = patience
        try:
            yield
        finally:
            self.patience = 0.0
