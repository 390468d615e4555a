"""Identity, emergency numbers, dialling, closed tenants and forwarded calls: the cases of an oracle, on every way."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from server import running_server
from ways import Told, every_way

from pdp.transports.choice import Transport
from rightcall import v1
from rightcall.programs.local import Local

if TYPE_CHECKING:
    from collections.abc import Mapping

CASES = sorted((Path(__file__).parents[2] / "cases" / "dialling").glob("dialling-*.json"))


def request_of(case: Mapping[str, Any]) -> v1.CheckCallRequest:
    """The request of a case."""
    names = ("caller", "extension", "outcall", "tenant", "forwarded_by")
    return v1.CheckCallRequest(**{name: case[name] for name in names if name in case})


def told_of(case: Mapping[str, Any]) -> Told:
    """What a case expects."""
    expected = case["expected"]
    if "error" in expected:
        return Told(expected["error"])
    return Told("", *(expected[name] for name in Told._fields[1:]))


@pytest.mark.parametrize("transport", [Transport.GRPCIO, Transport.NATIVE])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_way_answers_as_the_oracle(path: Path, transport: Transport, tmp_path: Path) -> None:
    """Definitions go through the loader, requests through a real server."""
    suite = json.loads(path.read_text(encoding="utf-8"))
    options = suite["options"]
    definitions = tmp_path / "definitions.json"
    definitions.write_text(json.dumps(suite["definitions"]), encoding="utf-8")
    settings = {name: options[name] for name in ("unknown_caller", "unknown_outcall") if name in options}
    settings["emergency"] = ",".join(options.get("emergency", ()))
    with closing(Local(str(definitions), isolate_faults=options.get("isolate_faults", False))) as local:
        local.load()
        with running_server(current=local.current, transport=transport, **settings) as running:
            found = every_way(running, [request_of(case) for case in suite["cases"]])
    wanted = [told_of(case) for case in suite["cases"]]

    for way, answers in found.items():
        wrong = [
            (way, case, answer._asdict())
            for case, answer, right in zip(suite["cases"], answers, wanted, strict=True)
            if answer != right
        ]
        assert wrong == []
