"""From a tenant's definitions of emergency numbers and dialling to the values that rules are compiled with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.numbering import emergency_numbers, numbering_table
from pdp.rules.model import Dialling

if TYPE_CHECKING:
    from loader.definitions.shapes import DiallingShape, EmergencyShape


def emergency_of(shape: EmergencyShape | None) -> tuple[str, ...]:
    """The emergency numbers, those of the country among them, sorted."""
    if shape is None:
        return ()
    listed = emergency_numbers(shape.country) if shape.country else ()
    return tuple(sorted({*shape.numbers, *listed}))


def dialling_of(shape: DiallingShape | None) -> Dialling | None:
    """The tenant's dialling; None: extensions are read unchanged."""
    if shape is None:
        return None
    country = shape.country or ""
    return Dialling(country, shape.outside_line, numbering_table(country, shape.outside_line))
