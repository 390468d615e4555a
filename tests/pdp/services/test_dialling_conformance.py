"""Identity, emergency numbers, dialling, closed tenants and forwarded calls: the cases of an oracle, on every way."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cores import EACH_TRANSPORT
from followers import publisher_to, replica
from given import KEY
from redis_server import running_redis
from server import running_server
from waiting import until
from ways import Told, every_way, told

from loader.cycle import Synchronizer
from loader.sources.file import FileSource
from pdp.errors import CallError
from pdp.rules.model import Decision, PasswordOverride
from pdp.rules.snapshot.ruling import Policy
from pdp.services.decisions import DecisionService
from pdp.snapshots.emergency import EmergencyCalls
from rightcall import v1
from rightcall.programs.local import Local

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from redis_server import RedisServer

    from pdp.transports.choice import Transport

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


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
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


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A Redis."""
    yield from running_redis()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_over_redis_all_is_decided_as_the_oracle_does(path: Path, redis: RedisServer, tmp_path: Path) -> None:
    """What a loader publishes is what a server that follows decides by; and the passwords open what they should."""
    suite = json.loads(path.read_text(encoding="utf-8"))
    options, cases = suite["options"], suite["cases"]
    definitions = tmp_path / "definitions.json"
    definitions.write_text(json.dumps(suite["definitions"]), encoding="utf-8")
    redis.client().flushall()
    for override in PasswordOverride:
        Synchronizer(
            FileSource(str(definitions)),
            publisher_to(redis),
            secret=KEY,
            password_override=override,
            isolate_faults=options.get("isolate_faults", False),
        ).sync()
        with replica(redis.url) as following:
            current = following.current
            count = len(suite["definitions"]["tenants"])
            until(lambda: len(current.held()) == count and not current.incomplete, "all are here")
            service = DecisionService(
                current,
                following.metrics,
                policy=Policy(
                    deny_unknown_callers=options.get("unknown_caller") == "deny",
                    deny_unknown_outcalls=options.get("unknown_outcall") == "deny",
                ),
                emergency=EmergencyCalls(current, options.get("emergency", ())),
            )
            for case in cases:
                assert (case, _answer(service, case)) == (case, told_of(case))
                password = case["expected"].get("password", {}).get(override.value)
                if password is not None:
                    snapshot = current.resolve(case["caller"], case["outcall"], case.get("tenant", ""))
                    assert snapshot is not None
                    number = snapshot.match(case["caller"], case["extension"], case["outcall"])
                    assert snapshot.verdict(number).decision is Decision.CHALLENGE
                    assert snapshot.opens(number, case["caller"], password, (KEY,))
                    assert not snapshot.opens(number, case["caller"], password + "0", (KEY,))


def _answer(service: DecisionService, case: Mapping[str, Any]) -> Told:
    try:
        return told(service.check_call(request_of(case)))
    except CallError as error:
        return Told(error.code.name)
