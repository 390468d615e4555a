"""A platform that is edited at random and a source that follows it, with the bus's messages in a test's hands."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pika
from hypothesis import strategies as st
from structlog.testing import capture_logs
from waiting import until
from wazo_editing import Edits
from wazo_platform import WazoPlatform
from wazo_simulator import WazoSimulator

from loader.errors import SourceError
from loader.sources.wazo.bus import Bus
from loader.sources.wazo.rest.settings import WazoOptions, settings_from
from loader.sources.wazo.rest.source import WazoSource
from pdp.rules.compiler.digest import content_digest
from pdp.rules.model import PasswordOverride

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loader.sources.base import Reading

TENANTS = ("11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000")
UNREACHED = "amqp://guest:guest@127.0.0.1:1/"


class Stack:
    """A platform that is edited at random, a source that follows it, and the messages between them."""

    def __init__(self, simulator: WazoSimulator) -> None:
        self.platform = simulator.platform
        self.behaviour = simulator.behaviour
        self.messages: list[dict[str, Any]] = []
        self.platform.publish = self.messages.append
        options = WazoOptions(username=self.behaviour.username, password=self.behaviour.password, bus_url=UNREACHED)
        self._settings = replace(
            settings_from(simulator.url, options), attempts=1, debounce_seconds=0.0, debounce_most_seconds=0.0
        )
        self.source = WazoSource(self._settings)
        self.source._keeper._retries._failures = _Forgetful()

    def edit(self, draw: st.DataObject, *, silent: bool = False) -> None:
        """One edit, as may be made in Wazo at any time; ``silent``: or by SQL."""
        with suppress(KeyError):  # what was to be associated is not there
            self.plan(draw, silent=silent)()

    def plan(self, draw: st.DataObject, *, silent: bool) -> Callable[[], object]:
        """An edit to be made now or later."""
        edits = Edits(self.platform, lambda values: draw.draw(st.sampled_from(values)), TENANTS[:1])
        return edits.plan(silent=silent)

    def deliver(self, *messages: dict[str, Any]) -> None:
        """Gives messages to the source as its connection would."""
        bus = self.source._bus
        assert bus is not None
        for message in messages:
            headers = {key: value for key, value in message.items() if key != "data"}
            bus._on_message(None, None, pika.BasicProperties(headers=headers), json.dumps(message).encode())

    def connect(self) -> None:
        """The bus is there, again."""
        bus = self.source._bus
        assert bus is not None
        bus._since = time.monotonic()
        bus._connected.set()
        self.source._pending.mark_everything()

    def disconnect(self) -> None:
        """The bus is away, and what it had is lost."""
        bus = self.source._bus
        assert bus is not None
        bus._connected.clear()
        self.messages.clear()

    def read(self) -> Reading | None:
        """A reading, if it works."""
        try:
            return self.source.read()
        except SourceError:
            return None

    def fresh(self) -> Reading:
        """What a source reads that knows nothing."""
        with WazoSource(self._settings) as source:
            return source.read()

    def settled(self) -> Reading:
        """What the source knows once it has read all that it means to."""
        keeper = self.source._keeper
        readings: list[Reading] = []

        def at_rest() -> bool:
            reading = self.read()
            if reading is not None:
                readings.append(reading)
            return reading is not None and self.source.stale_seconds() == 0 and not keeper.ready

        until(at_rest, "the source is at rest", deadline=120)
        return readings[-1]


class _Forgetful(dict[object, tuple[int, float]]):
    """Failures after which nothing waits, so that a run takes no longer than its requests."""

    def __setitem__(self, key: object, value: tuple[int, float]) -> None:
        super().__setitem__(key, (value[0], 0.0))


@contextmanager
def stack() -> Iterator[Stack]:
    """Two tenants with a user, a group and a permission each, read and listened to."""
    platform = WazoPlatform()
    for uuid in TENANTS:
        platform.add_tenant("tenant", uuid=uuid)
        user, group = platform.add_user(uuid), platform.add_group(uuid, "group")
        platform.join(group, user, local=True)
        platform.join(group, platform.add_user(uuid))
        platform.add_permission(uuid, "permission", ["118"])
    # its thread would look for a broker, and hypothesis does not like what that draws at random
    with capture_logs(), patch.object(Bus, "start"), WazoSimulator(platform) as simulator:
        made = Stack(simulator)
        try:
            made.source.read()
            made.connect()
            made.settled()
            yield made
        finally:
            made.source.close()


def digests(reading: Reading) -> dict[str, str]:
    """The tenants' digests, by UUID."""
    return {
        tenant.uuid: content_digest(tenant, secret=b"key", password_override=PasswordOverride.ALL)
        for tenant in reading.tenants
    }


def assert_equal(followed: Reading, fresh: Reading) -> None:
    """The same tenants, and the same of them."""
    assert followed.tenants == fresh.tenants
    assert digests(followed) == digests(fresh)
    assert (followed.faulty, followed.complete) == (fresh.faulty, fresh.complete)
