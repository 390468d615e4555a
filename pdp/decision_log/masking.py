"""Extensions as logs may show them."""

from __future__ import annotations

from typing import Final

_MASK: Final = "x"


def masked(extension: str, last: int) -> str:
    """An extension with the last characters hidden; the length stays visible."""
    hidden = min(last, len(extension))
    return extension[: len(extension) - hidden] + _MASK * hidden
