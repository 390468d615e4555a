"""The description of a metric, as the catalogues of all programs have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Description(NamedTuple):
    """A metric, as a scrape and the manual tell of it.

    Attributes:
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: one sentence, which a scrape shows as well.
        labels: by name, its values with their meanings ("": the name says it); a text where there is no list of values.
        more: further text of the manual.
    """

    kind: str
    help: str
    labels: Mapping[str, Mapping[str, str] | str] = {}
    more: str = ""
