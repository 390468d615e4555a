"""A state directory whose server ended in the middle of writing holds a whole state: the last one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from given import ACME, ALICE, KEY, denying

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.publication.pointer import Pointer
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.disk import SnapshotStore

if TYPE_CHECKING:
    from pathlib import Path


def saved(store: SnapshotStore, number: int, extension: str) -> None:
    """Keeps the rules that deny an extension, as a revision."""
    blob = Compiler(secret=KEY).compile(denying(extension), Revision(number, "ab" * 32), compiled_at=1.5e9)
    snapshot = decode(blob, secrets=(KEY,))
    pointer = Pointer.to(ACME, snapshot.revision, snapshot.counts.permissions)
    store.save(pointer, pointer.dump(KEY), blob)


@pytest.mark.parametrize("written", [0, 1])
def test_an_interrupted_save_leaves_the_rules_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """However many of the two files were written: no pointer leads to what is not there."""
    store = SnapshotStore(tmp_path, (KEY,))
    saved(store, 1, "0900")
    left = iter([None] * written)

    def full(descriptor: int) -> None:
        if next(left, "full") == "full":
            raise OSError(28, "No space left on device")
        del descriptor

    monkeypatch.setattr(os, "fsync", full)
    saved(store, 2, "0800")

    ((_, snapshot, error),) = store.load()
    assert error is None
    assert snapshot is not None
    assert snapshot.decide(ALICE, "0900", "").decision.name == "DENY"
