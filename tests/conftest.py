"""Fixtures of several test modules, the transports of those that run over each, and the order of files.

The fixtures of the adapter and of the SIP proxies are in ``support``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import server
from cores import EACH_TRANSPORT
from redis_server import RedisServer

from pdp.transports.choice import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ("agi_fixtures", "proxied_fixtures")

LONGEST = ("programs", "helm", "rules", "loader", "rightcall")
"""Folders whose files take longest. Started first, none of them is waited for at the end by idle processes."""


def pytest_configure(config: pytest.Config) -> None:
    """Names the marks."""
    config.addinivalue_line("markers", "every_transport: the module's tests run once over each transport")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs the tests of modules that are marked so over each transport."""
    if metafunc.definition.get_closest_marker("every_transport"):
        metafunc.parametrize("tested_transport", EACH_TRANSPORT, indirect=True, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first."""
    folders = {name: rank for rank, name in enumerate(LONGEST)}
    tests = Path(__file__).parent
    items.sort(key=lambda item: folders.get(item.path.relative_to(tests).parts[0], len(folders)))


@pytest.fixture(scope="module", autouse=True)
def tested_transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """What speaks gRPC where a test does not choose. A module's fixture that starts a server has to ask for it."""
    tested: Transport = getattr(request, "param", Transport.GRPCIO)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "TRANSPORT", tested)
        yield tested


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, empty, which it may kill."""
    with RedisServer() as server:
        yield server
