"""One thing that is fuzzed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Target:
    """Something that reads.

    Attributes:
        run: reads.
        make: what it is given, from a number.
    """

    run: Callable[[bytes], None]
    make: Callable[[int], bytes]
