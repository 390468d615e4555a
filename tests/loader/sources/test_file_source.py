"""Files as a source: what a reading holds, what it leaves out, and when a watch yields."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from edited_texts import FORMS, STEPS, texts_of
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.errors import SourceError
from loader.faults import Severity
from loader.sources import Reading, Source, open_source
from loader.sources import file as file_module

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE = "10000000-1f4b-4ae4-8730-638062fbe521"
TWO = "20000000-1f4b-4ae4-8730-638062fbe521"
THREE = "30000000-1f4b-4ae4-8730-638062fbe521"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
NEVER = 3600.0
PATIENCE = 10.0


def definition(uuid: str, name: str = "", user: str = "") -> str:
    """A YAML file of one tenant."""
    users = f"    users:\n      - uuid: {user}\n" if user else ""
    return f"tenants:\n  - uuid: {uuid}\n    name: '{name or uuid[:1]}'\n{users}"


def names(reading: Reading) -> list[str]:
    """The names of the tenants that may be published."""
    return [tenant.name for tenant in reading.tenants]


def errors(reading: Reading) -> list[str]:
    """The errors as a person reads them."""
    return [str(fault) for fault in reading.faults if fault.severity is Severity.ERROR]


def long_ago(path: Path) -> None:
    """Makes the file older than the time in which a change may go unnoticed."""
    os.utime(path, ns=(10**18, 10**18))


def save_by_rename(path: Path, text: str) -> None:
    """Saves as editors do: a new file beside the old one, then renamed."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.rename(path)


@contextmanager
def watching(source: Source) -> Iterator[threading.Semaphore]:
    """Watches in a thread; the semaphore is released for each time that the watch yields."""
    stop, changes = threading.Event(), threading.Semaphore(0)

    def follow() -> None:
        for _ in source.watch(stop):
            changes.release()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield changes
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}", "file://localhost{}"])
def test_a_source_is_named_by_a_path_or_a_file_url(tmp_path: Path, form: str) -> None:
    """All forms name the same file."""
    path = tmp_path / "a.yaml"
    path.write_text(definition(ONE))
    source = open_source(form.format(path))
    assert source.name == str(path)
    assert names(source.read()) == ["1"]


def test_the_escapes_of_a_file_url_are_undone(tmp_path: Path) -> None:
    """Those of a path are not: there is no escape in a path."""
    (tmp_path / "a b.yaml").write_text(definition(ONE))
    assert names(open_source(f"file://{tmp_path}/a%20b.yaml").read()) == ["1"]
    assert open_source("file:a%20b.yaml").name == "a%20b.yaml"


@pytest.mark.parametrize("url", ["", "file:", "redis://user:secret@host/", "file://host/x.yaml", "mysql://h"])
def test_a_url_that_names_no_source_is_refused_with_advice(url: str) -> None:
    """Without the credentials that may be in it."""
    with pytest.raises(SourceError, match=r"write file:PATH") as refused:
        open_source(url)
    assert "secret" not in str(refused.value)


def test_a_path_that_does_not_exist_is_a_source_error(tmp_path: Path) -> None:
    """Nothing at all can be read."""
    with pytest.raises(SourceError, match="check the path"):
        open_source(str(tmp_path / "none.yaml")).read()


def test_the_files_of_a_directory_are_read_together(tmp_path: Path) -> None:
    """Not hidden ones, not backups, not those below it; tenants are sorted by UUID."""
    (tmp_path / "b.yaml").write_text(definition(ONE))
    (tmp_path / "a.YML").write_text(definition(TWO))
    (tmp_path / "c.json").write_text(f'{{"tenants": [{{"uuid": "{THREE}", "name": "3"}}]}}')
    for ignored in (".hidden.yaml", "b.yaml~", "notes.txt"):
        (tmp_path / ignored).write_text("no definitions")
    below = tmp_path / "below"
    below.mkdir()
    (below / "d.yaml").write_text("no definitions")
    reading = open_source(str(tmp_path)).read()
    assert names(reading) == ["1", "2", "3"]
    assert (reading.faults, reading.faulty, reading.complete) == ((), frozenset(), True)


def test_a_bad_file_among_good_ones_is_one_fault(tmp_path: Path) -> None:
    """The good tenants are there; the reading is not complete, so that the bad file's tenants are not removed."""
    (tmp_path / "good.yaml").write_text(definition(ONE))
    (tmp_path / "bad.yaml").write_text("tenants: [")
    (tmp_path / "pipe.yaml").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "queue.yaml")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    reading = open_source(str(tmp_path)).read()
    assert names(reading) == ["1"]
    assert [Path(fault.file).name for fault in reading.faults] == ["bad.yaml", "gone.yaml", "pipe.yaml", "queue.yaml"]
    assert not reading.complete


def test_a_tenant_at_fault_is_left_out_and_named(tmp_path: Path) -> None:
    """The reading is complete: everybody knows which tenant it is."""
    (tmp_path / "a.yaml").write_text(definition(ONE) + f"  - uuid: {TWO.upper()}\n    nam: x\n")
    reading = open_source(str(tmp_path)).read()
    assert (names(reading), reading.faulty, reading.complete) == (["1"], frozenset([TWO]), True)


@pytest.mark.parametrize("content", [None, "a.txt"])
def test_a_directory_without_definitions_is_a_fault(tmp_path: Path, content: str | None) -> None:
    """An empty mount is a mistake more often than the wish to have no tenants."""
    if content:
        (tmp_path / content).touch()
    reading = open_source(str(tmp_path)).read()
    assert "holds no definitions; put files there whose names end in .yaml, .yml, .json" in errors(reading)[0]
    assert not reading.complete


def test_a_file_of_another_ending_is_a_fault(tmp_path: Path) -> None:
    """Nobody can tell what is in it."""
    path = tmp_path / "definitions.conf"
    path.write_text(definition(ONE))
    assert "give it a name that ends in .yaml" in errors(open_source(str(path)).read())[0]


def test_a_file_that_is_too_large_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not even parsed."""
    monkeypatch.setattr(file_module, "MAX_FILE_SIZE", 2**20)
    path = tmp_path / "a.yaml"
    path.write_bytes(b"#" * (2**20 + 1))
    assert "is larger than 1 MiB; split it" in errors(open_source(str(path)).read())[0]


def test_a_tenant_in_two_files_is_a_fault_of_both(tmp_path: Path) -> None:
    """Each names the other, with the line of the UUID; other tenants go on."""
    (tmp_path / "a.yaml").write_text(definition(ONE, "acme"))
    (tmp_path / "b.yaml").write_text("# later\n" + definition(ONE.upper(), "copy") + definition(TWO)[9:])
    reading = open_source(str(tmp_path)).read()
    assert [fault.line for fault in reading.faults] == [2, 3]
    assert f"tenant acme: the tenant {ONE} is defined in {tmp_path}/b.yaml, tenants[0] too" in errors(reading)[0]
    assert f"tenant copy: the tenant {ONE} is defined in {tmp_path}/a.yaml, tenants[0] too" in errors(reading)[1]
    assert (names(reading), reading.faulty, reading.complete) == (["2"], frozenset([ONE]), True)


def test_a_user_of_two_tenants_is_a_fault_of_both(tmp_path: Path) -> None:
    """Nobody could tell whose rules apply to the caller."""
    (tmp_path / "a.yaml").write_text(definition(ONE, "acme", ALICE))
    (tmp_path / "b.yaml").write_text(definition(TWO, "bell", ALICE.upper()))
    reading = open_source(str(tmp_path)).read()
    assert [fault.line for fault in reading.faults] == [5, 5]
    assert f"the user {ALICE} belongs to another tenant too: {tmp_path}/b.yaml, tenants[0]" in errors(reading)[0]
    assert (reading.tenants, reading.faulty) == ((), frozenset([ONE, TWO]))


def test_a_file_that_did_not_change_is_not_parsed_again(tmp_path: Path) -> None:
    """Its tenants are the very same objects; those of a changed file are new."""
    for name, uuid in (("a.yaml", ONE), ("b.yaml", TWO)):
        (tmp_path / name).write_text(definition(uuid))
        long_ago(tmp_path / name)
    source = open_source(str(tmp_path))
    first = source.read()
    assert source.read() is first
    save_by_rename(tmp_path / "b.yaml", definition(TWO, "new"))
    second = source.read()
    assert names(second) == ["1", "new"]
    assert second.tenants[0] is first.tenants[0]


def test_a_removed_file_takes_its_tenants_away(tmp_path: Path) -> None:
    """And the reading is complete: they are to be removed."""
    for name, uuid in (("a.yaml", ONE), ("b.yaml", TWO)):
        (tmp_path / name).write_text(definition(uuid))
    source = open_source(str(tmp_path))
    assert names(source.read()) == ["1", "2"]
    (tmp_path / "a.yaml").unlink()
    reading = source.read()
    assert (names(reading), reading.complete) == (["2"], True)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(sorted(FORMS)), STEPS, STEPS)
def test_after_any_edits_of_two_files_a_source_reads_what_a_new_source_reads(
    form: str, steps: list[Any], others: list[Any]
) -> None:
    """Tenants, faults with their lines, who is at fault, and whether the reading is complete."""
    file, write = FORMS[form]
    with tempfile.TemporaryDirectory() as directory:
        source = open_source(directory)
        for name, text in [
            *((f"a.{file}", text) for text in texts_of(write, steps)),
            *((f"b.{file}", text) for text in texts_of(write, others)),
            *((f"a.{file}", text) for text in texts_of(write, others)),
        ]:
            Path(directory, name).write_bytes(text.encode())
            assert source.read() == open_source(directory).read()


def test_a_watch_yields_when_a_file_changes(tmp_path: Path) -> None:
    """Written in place, renamed by an editor, added, removed; each time the new content is there."""
    path = tmp_path / "a.yaml"
    path.write_text(definition(ONE, "first"))
    source = open_source(str(tmp_path), recheck=NEVER)
    source.read()
    with watching(source) as changes:
        path.write_text(definition(ONE, "second"))
        assert changes.acquire(timeout=PATIENCE)
        save_by_rename(path, definition(ONE, "third"))
        assert changes.acquire(timeout=PATIENCE)
        (tmp_path / "b.yaml").write_text(definition(TWO))
        assert changes.acquire(timeout=PATIENCE)
        path.unlink()
        assert changes.acquire(timeout=PATIENCE)
    assert names(source.read()) == ["2"]


def test_a_watch_yields_for_what_changed_since_the_reading(tmp_path: Path) -> None:
    """Nothing is missed between the reading and the watch."""
    path = tmp_path / "a.yaml"
    path.write_text(definition(ONE))
    source = open_source(str(path), recheck=NEVER)
    source.read()
    path.write_text(definition(ONE, "changed"))
    with watching(source) as changes:
        assert changes.acquire(timeout=PATIENCE)


def test_a_watch_yields_when_a_config_map_is_swapped(tmp_path: Path) -> None:
    """Kubernetes writes a new directory and moves a symbolic link; the files themselves are links through it."""
    for version, name in (("..1", "old"), ("..2", "new")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(definition(ONE, name))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    source = open_source(str(tmp_path), recheck=NEVER)
    assert names(source.read()) == ["old"]
    with watching(source) as changes:
        (tmp_path / "..tmp").symlink_to("..2")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        assert changes.acquire(timeout=PATIENCE)
    assert names(source.read()) == ["new"]


def test_a_watch_outlives_a_path_that_goes_and_comes(tmp_path: Path) -> None:
    """Reading fails meanwhile; watching does not."""
    path = tmp_path / "mount" / "a.yaml"
    source = open_source(str(path.parent), recheck=NEVER)
    with watching(source) as changes:
        path.parent.mkdir()
        path.write_text(definition(ONE))
        assert changes.acquire(timeout=PATIENCE)
        path.unlink()
        path.parent.rmdir()
        assert changes.acquire(timeout=PATIENCE)
        with pytest.raises(SourceError):
            source.read()


def test_a_watch_yields_at_intervals_although_nothing_changed(tmp_path: Path) -> None:
    """A change that nobody noticed is found then."""
    path = tmp_path / "a.yaml"
    path.write_text(definition(ONE))
    source = open_source(str(path), recheck=0.05)
    source.read()
    with watching(source) as changes:
        assert all(changes.acquire(timeout=PATIENCE) for _ in range(3))
