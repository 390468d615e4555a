"""Reading YAML and JSON: as the usual readers read them; what cannot be read is one fault, never a crash."""

from __future__ import annotations

import json
from typing import Any

import definitions
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loader.definitions.document import check_document
from loader.definitions.text import json as json_text
from loader.definitions.text import yaml as yaml_text
from loader.definitions.text.locate import locate
from loader.definitions.text.tokens import Path, UnreadableError
from loader.faults import Severity

KEYS = st.sampled_from(
    ["tenants", "uuid", "name", "users", "groups", "call_permissions", "id", "extensions", "a b", ""]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


def paths_of(value: object, path: Path = ()) -> list[Path]:
    """The ways to everything in a value."""
    below: list[tuple[Any, object]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [path, *(each for step, inner in below for each in paths_of(inner, (*path, step)))]


@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize("path", sorted(definitions.CONFORMANCE.glob("*.json")), ids=lambda path: path.stem)
def test_the_conformance_definitions_are_read_without_an_error(path: Any, ending: str) -> None:
    """In both notations, to the same tenants."""
    raw = json.loads(path.read_text())["definitions"]
    text = json.dumps(raw) if ending == "json" else yaml.safe_dump(raw)
    checked = check_document(f"f.{ending}", text.encode())
    assert [str(fault) for fault in checked.faults if fault.severity is Severity.ERROR] == []
    assert [entry.tenant for entry in checked.entries] == [definitions.tenant_from(each) for each in raw["tenants"]]


@given(VALUES)
def test_yaml_is_read_as_pyyaml_reads_it(value: object) -> None:
    """Whatever the style that it is written in."""
    for flow in (True, False):
        text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
        assert yaml_text.parse(text.encode()).value == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text", ["yes", "No", "on", "~", "null", "", "0", "007", "08", "0x1F", "0b11", "1_000", "1:30", "+1", "-1", "1.5",
             "00.", "1e3", ".5", ".inf", "_00.", "+33", "1-2", "9", "118", "0o7", "1.0e+3"],
)  # fmt: skip
def test_a_scalar_without_quotes_is_what_pyyaml_takes_it_for(text: str) -> None:
    """So a file reads the same in other programs."""
    value = yaml_text.plain(text)
    assert (type(value), value) == (type(yaml.safe_load(text or "~")), yaml.safe_load(text or "~"))


@pytest.mark.parametrize("text", ["0x_", "1" * 5_000, "2024-99-99"])
def test_a_scalar_that_pyyaml_fails_on_is_no_text(text: str) -> None:
    """It becomes a fault where it stands."""
    assert not isinstance(yaml_text.plain(text), str)


@given(VALUES)
def test_the_lines_of_a_value_are_the_same_by_both_readers(value: object) -> None:
    """JSON that spreads over lines is YAML too."""
    text = json.dumps(value, indent=1, ensure_ascii=True).encode()
    paths = paths_of(value)
    lines = locate(json_text.tokens(text), paths)
    assert [lines.of(path) for path in paths] == sorted(line for path in paths if (line := lines.of(path)))
    if b"\\ud" not in text:  # halves of a pair, which libyaml does not join
        others = locate(yaml_text.tokens(text), paths)
        assert [lines.of(path) for path in paths] == [others.of(path) for path in paths]


@given(VALUES)
def test_no_value_makes_the_checks_fail(value: object) -> None:
    """They give faults, and nothing that is not whole."""
    checked = check_document("f.json", json.dumps(value).encode())
    assert checked.faults or checked.complete


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.sampled_from(["f.yaml", "f.json"]))
def test_no_bytes_make_the_readers_fail(data: bytes, file: str) -> None:
    """And no fault breaks a line of a log."""
    checked = check_document(file, data)
    assert checked.faults or checked.complete
    assert all(str(fault).isprintable() for fault in checked.faults)


@pytest.mark.parametrize(
    ("file", "data", "line", "words"),
    [
        ("f.yaml", b"", None, "holds no definitions"),
        ("f.yaml", b"# only a remark\n", None, "holds no definitions"),
        ("f.json", b" \n", None, "holds no definitions"),
        ("f.json", b"null", None, "holds no definitions"),
        ("f.yaml", b"- uuid: x", 1, "is no mapping with the key 'tenants'"),
        ("f.yaml", b"root: x:0:0\nsecret: word", 1, "is no mapping with the key 'tenants'"),
        ("f.json", b'{"keys": ["secret"]}', 1, "is no mapping with the key 'tenants'"),
        ("f.yaml", b"tenants: []\nx: \xff", 2, "no UTF-8"),
        ("f.yaml", b"tenants: []\n---\ntenants: []\n", 2, "more than one YAML document"),
        ("f.yaml", b"tenants: []\nx: \x01", 2, "control characters"),
        ("f.yaml", b"tenants:\n\t- x", 2, "is no valid YAML"),
        ("f.yaml", b"tenants: []\nx: 'open", 2, "is no valid YAML"),
        ("f.yaml", b"tenants: []\nx: !!python/object:os.system 1", 2, "the tag"),
        ("f.yaml", b"tenants: []\nx: !!binary [1]", 2, "the tag"),
        ("f.yaml", b"tenants: &a\n  - *a", 2, "'*a' without quotes stands for a value"),
        ("f.yaml", b"? [a]\n: 1", 1, "a key is no text"),
        ("f.yaml", b"[" * 65, 1, "more than 64 deep"),
        ("f.json", b"[" * 100_000, None, "more than 64 deep"),
        ("f.json", b'{"tenants": [\n' + b"[" * 65 + b"]" * 65 + b"]}", 2, "more than 64 deep"),
        ("f.json", b'{"tenants": [\n]', 2, "is no valid JSON: expecting ',' delimiter"),
        ("f.json", b'{"tenants": ' + b"9" * 5_000 + b"}", None, "thousands of digits"),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_read_is_one_fault(file: str, data: bytes, line: int | None, words: str) -> None:
    """With its line, and nothing is known of its tenants."""
    checked = check_document(file, data)
    (fault,) = checked.faults
    assert fault.line == line
    assert words in fault.problem
    assert (checked.entries, checked.complete) == ((), False)


def test_a_text_of_aliases_does_not_become_a_large_document() -> None:
    """Nine levels of nine would be half a milliard values."""
    levels = ['a0: &a0 ["x"]', *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    with pytest.raises(UnreadableError, match="aliases stand for more than"):
        yaml_text.parse("\n".join(levels).encode())


def test_an_alias_stands_for_the_value_that_has_its_anchor() -> None:
    """A list of users may be written once and used for many permissions."""
    value = yaml_text.parse(b"a: &u [1, {x: &k key}]\nb: *u\nc: *k\n").value
    assert value == {"a": [1, {"x": "key"}], "b": [1, {"x": "key"}], "c": "key"}


@pytest.mark.parametrize("file", ["f.yaml", "f.json"])
def test_a_byte_order_mark_is_passed_over(file: str) -> None:
    """Editors of Windows write one."""
    assert check_document(file, b'\xef\xbb\xbf{"tenants": []}').faults == ()
