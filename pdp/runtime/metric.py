"""The description of a metric, for the catalogues of all programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Description(NamedTuple):
    """A metric, for a scrape and for the manual.

    Attributes:
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: one sentence, which a scrape shows as well.
        labels: by name, the values with meanings ("": the name says enough); a text where there is no list of values.
        more: further text of the manual.
    """

    kind: str
    help: str
    labels: Mapping[str, Mapping[str, str] | str] = {}
    more: str = ""
