"""Manifests, pointers and numbers: what is signed, and for which place."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from given import ACME, BOLT, KEY
from hypothesis import given
from hypothesis import strategies as st

from pdp.rules.errors import SnapshotCorrupt, SnapshotError, SnapshotForeign, SnapshotMisplaced, SnapshotUntrusted
from pdp.rules.model import Revision
from pdp.rules.publication.keys import Scope
from pdp.rules.publication.manifest import NUMBERS_END, Listed, Manifest
from pdp.rules.publication.numbers import dump_followed, least_number, load_followed
from pdp.rules.publication.pointer import Pointer

HERE, THERE, PARIS = Scope("here:"), Scope("there:"), Scope("here:", "paris")
TENANTS = {ACME: Listed(7, "7-abcdefabcdef"), BOLT: Listed(0, "", 3)}
MANIFEST = Manifest(HERE, 9, 1_795_420_040_123, TENANTS, complete=True)
POINTER = Pointer(ACME, 7, Revision(5, "ab" * 32), pinned=True, permissions=3)

listed = st.builds(Listed, st.integers(0, NUMBERS_END - 1), st.text(max_size=20), st.integers(0, 10**6))


@given(
    st.integers(1, NUMBERS_END - 1), st.dictionaries(st.uuids().map(str), listed, max_size=5), st.booleans(), st.text()
)
def test_a_manifest_is_read_as_it_was_written(
    sequence: int,
    tenants: dict[str, Listed],
    complete: bool,  # noqa: FBT001 - drawn
    deployment: str,
) -> None:
    """With a key and without, by any of the deployment's keys."""
    manifest = Manifest(Scope("x:", deployment), sequence, 5, tenants, complete)
    for secret, secrets in ((KEY, (b"another key of ours", KEY)), (None, ())):
        assert Manifest.load(manifest.dump(secret), secrets, manifest.scope) == manifest


@pytest.mark.parametrize(
    ("dumped", "scope", "error"),
    [
        (MANIFEST.dump(None), HERE, SnapshotUntrusted),
        (MANIFEST.dump(b"a key of the forger's"), HERE, SnapshotUntrusted),
        (MANIFEST.dump(KEY).replace(BOLT.encode(), ACME.encode()), HERE, SnapshotUntrusted),
        (MANIFEST.dump(KEY), THERE, SnapshotMisplaced),
        (MANIFEST.dump(KEY), PARIS, SnapshotMisplaced),
        (b"", HERE, SnapshotUntrusted),
    ],
)
def test_a_manifest_holds_for_its_key_and_its_place(dumped: bytes, scope: Scope, error: type[SnapshotError]) -> None:
    """Others are refused, each by its own kind of error."""
    with pytest.raises(error):
        Manifest.load(dumped, (KEY,), scope)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"version": 2}, SnapshotForeign),
        ({"sequence": 0}, SnapshotCorrupt),
        ({"sequence": NUMBERS_END}, SnapshotCorrupt),
        ({"sequence": "9"}, SnapshotCorrupt),
        ({"sequence": True}, SnapshotCorrupt),
        ({"complete": 1}, SnapshotCorrupt),
        ({"tenants": []}, SnapshotCorrupt),
        ({"tenants": {ACME: [1, "r"]}}, SnapshotCorrupt),
        ({"tenants": {ACME: [-1, "r", 0]}}, SnapshotCorrupt),
        ({"tenants": {ACME: ["1", "r", 0]}}, SnapshotCorrupt),
    ],
)
def test_a_manifest_of_something_else_is_refused(changed: dict[str, object], error: type[SnapshotError]) -> None:
    """Where no key is configured, nothing but its form can be looked at."""
    found = json.loads(MANIFEST.dump(None).partition(b"\n")[2])
    with pytest.raises(error):
        Manifest.load(b"-\n" + json.dumps(found | changed).encode(), (), HERE)


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 255))
def test_damage_raises_nothing_else(noise: bytes, at: int, byte: int) -> None:
    """Neither of manifests nor of pointers, whether there is a key or not."""
    for dumped, load in (
        (MANIFEST.dump(KEY), lambda raw, secrets: Manifest.load(raw, secrets, HERE)),
        (POINTER.dump(KEY, HERE), lambda raw, secrets: Pointer.load(ACME, raw, secrets, HERE)),
    ):
        at %= len(dumped)
        for raw in (noise, dumped[:at], dumped[:at] + bytes((byte,)) + dumped[at + 1 :], dumped[:at] + noise):
            for secrets in ((), (KEY,)):
                try:
                    found = load(raw, secrets)
                except SnapshotError:
                    continue
                assert not secrets or found in (MANIFEST, POINTER), "what was signed, and nothing else"


def test_a_pointer_holds_for_its_tenant_its_prefix_and_its_deployment() -> None:
    """Copied elsewhere it is refused, though the key is the same."""
    dumped = POINTER.dump(KEY, HERE)
    assert Pointer.load(ACME, dumped, (KEY,), HERE) == POINTER
    assert Pointer.load(ACME, dumped, (KEY,), HERE).bound
    for scope in (THERE, PARIS):
        with pytest.raises(SnapshotMisplaced, match="prefix"):
            Pointer.load(ACME, dumped, (KEY,), scope)
    with pytest.raises(SnapshotUntrusted):
        Pointer.load(BOLT, dumped, (KEY,), HERE)
    forged = json.loads(dumped) | {"scope": list(THERE)}
    with pytest.raises(SnapshotUntrusted, match="for this deployment and prefix"):
        Pointer.load(ACME, json.dumps(forged).encode(), (KEY,), THERE)


def test_a_pointer_that_does_not_say_its_place_is_one_of_release_0_1() -> None:
    """It is read, and not bound; so is one from which the place was taken away."""
    stripped = {
        name: value for name, value in json.loads(POINTER.dump(KEY, HERE)).items() if name not in ("scope", "bound")
    }
    for raw in (POINTER.dump(KEY), json.dumps(stripped).encode()):
        found = Pointer.load(ACME, raw, (KEY,), THERE)
        assert (found, found.bound) == (replace(POINTER), False)


def test_numbers_rise_whatever_one_clock_says() -> None:
    """Of two clocks the one that is behind counts, and neither where a higher number is known."""
    assert least_number(0, (1000, 2000)) == 1000
    assert least_number(0, (10**15, 2000)) == 2000
    assert least_number(5000, (1000, 2000)) == 5001


def test_what_servers_have_followed_is_believed_with_their_signature_alone() -> None:
    """Not from elsewhere, and never so high that no number is left."""
    assert load_followed(dump_followed(42, KEY, HERE), (b"another", KEY), HERE) == 42
    assert load_followed(dump_followed(42, None, HERE), (), HERE) == 42
    for raw in (None, b"", b"42", b"42 -", b"x y", dump_followed(42, b"forger", HERE), dump_followed(42, KEY, THERE)):
        assert load_followed(raw, (KEY,), HERE) == 0
    assert load_followed(dump_followed(NUMBERS_END - 1, KEY, HERE), (KEY,), HERE) == 0
