"""The records that a snapshot holds on its tenant, and on the permissions and groups of the tenant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdp.rules.errors import SnapshotCorrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.model import Mode
    from pdp.rules.snapshot.blob import Extent


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of entities in a snapshot."""

    users: int
    groups: int
    outcalls: int
    permissions: int
    patterns: int


@dataclass(frozen=True, slots=True)
class PermissionRecord:
    """A permission as a snapshot holds it; ``patterns`` are numbers for ``Snapshot.pattern``."""

    id: int
    name: str
    mode: Mode
    enabled: bool
    has_password: bool
    patterns: Sequence[int]


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A group as a snapshot holds it; ``permissions`` are slots for ``Snapshot.permission``."""

    id: str
    name: str
    enabled: bool
    permissions: Sequence[int]


_META_TYPES: dict[str, type | tuple[type, ...]] = {
    "tenant": str,
    "tenant_name": str,
    "number": int,
    "digest": str,
    "compiled_at": (int, float),
    "password_override": str,
    **dict.fromkeys(Counts.__slots__, int),
}


def read_meta(extent: Extent) -> dict[str, Any]:
    """The section META, with a value of the right type under each key."""
    meta = json.loads(bytes(extent.view))
    if not isinstance(meta, dict):
        raise SnapshotCorrupt("its description is no JSON object")
    for name, type_ in _META_TYPES.items():
        # A bool is an int to isinstance, and a count of True is none.
        if not isinstance(meta[name], type_) or isinstance(meta[name], bool):
            raise SnapshotCorrupt(f"its description holds a wrong {name}")
    # These are not in format 2.
    if type(meta.get("closed", 0)) is not int or not all(isinstance(one, str) for one in meta.get("emergency", ())):
        raise SnapshotCorrupt("its description holds wrong emergency numbers, or a wrong count of faults")
    return meta
