"""The limits of clients, counted in one place for calls that are answered in Rust and for those that are in Python."""

from __future__ import annotations

from pdp._core import Limits
from pdp.errors import TooManyCalls


class CoreLimits:
    """Counts the requests of each client, like ``security.limits.Limits``.

    Args:
        rate: tokens a second; 0: no limit.
        burst: tokens that a bucket holds; 0: those of one second, at least one.
        concurrency: calls at a time; 0: no limit.

    Attributes:
        buckets: the core's buckets.
    """

    def __init__(self, *, rate: float, burst: int, concurrency: int) -> None:
        self.buckets = Limits(rate=rate, burst=burst, concurrency=concurrency)
        self.leave = self.buckets.leave
        """Ends a call of a client."""
        self.wait_for = self.buckets.pace
        """Takes a token for one more call of a stream; 0, or the seconds after which to try again."""

    def enter(self, client: str, cost: int = 1) -> None:
        """Enters a call of a client; ``leave`` must follow.

        Raises:
            TooManyCalls: the client is over a limit; ``leave`` must not follow.
        """
        if (refused := self.buckets.enter(client, cost)) is not None:
            raise TooManyCalls(*refused)

    def charge(self, client: str, cost: int) -> None:
        """Charges a client for calls beyond those counted when the request entered."""
        self.buckets.charge(client, cost)
