"""What is fuzzed of that which loader and server leave to each other in Redis, beside snapshots and deltas."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from given import ACME, BOLT, KEY

from fuzz.mutations import nearly
from fuzz.target import Target
from pdp.rules.errors import SnapshotError
from pdp.rules.model import Revision
from pdp.rules.publication.keys import Scope
from pdp.rules.publication.manifest import Listed, Manifest
from pdp.rules.publication.numbers import dump_followed, load_followed
from pdp.rules.publication.pointer import Pointer

if TYPE_CHECKING:
    from collections.abc import Callable

_HERE, _THERE = Scope("here:"), Scope("there:")
_KEYS = ((), (KEY,))
"""A server without a key, and one with."""


def _read(load: Callable[[], object], known: object) -> None:
    """Reads something of which only ``known`` was ever signed."""
    try:
        read = load()
    except SnapshotError:
        return
    assert read == known


def manifests() -> Target:
    """The list of tenants."""
    manifest = Manifest(_HERE, 9, 1_795_420_040_123, {ACME: Listed(7, "7-ab"), BOLT: Listed(0, "", 3)}, complete=True)
    foreign = Manifest(_THERE, 9, 1_795_420_040_123, {}, complete=False)

    def run(data: bytes) -> None:
        _read(lambda: Manifest.load(data, (KEY,), _HERE), manifest)
        with suppress(SnapshotError):
            Manifest.load(data, (), _HERE).dump(KEY)

    seeds = [one.dump(secret) for one in (manifest, foreign) for secret in (None, KEY, b"another key")]
    return Target(run, nearly(seeds))


def pointers() -> Target:
    """A tenant's pointer."""
    pointer = Pointer(ACME, 7, Revision(5, "ab" * 32), pinned=True, permissions=3)
    gone = Pointer.to_nothing(ACME, 9)

    def run(data: bytes) -> None:
        for scope in (None, _HERE):
            try:
                read = Pointer.load(ACME, data, (KEY,), scope)
            except SnapshotError:
                continue
            assert read in (pointer, gone)
        with suppress(SnapshotError):
            Pointer.load(ACME, data).dump(KEY, _HERE)

    seeds = [one.dump(secret, scope) for one in (pointer, gone) for secret in (None, KEY) for scope in (None, _HERE)]
    return Target(run, nearly(seeds))


def followed() -> Target:
    """The highest number that servers have followed."""
    number = 1_795_420_040_123

    def run(data: bytes) -> None:
        assert load_followed(data, (KEY,), _HERE) in (0, number)
        load_followed(data, (), _HERE)

    return Target(run, nearly([dump_followed(number, KEY, _HERE), dump_followed(number, None, _HERE)]))
