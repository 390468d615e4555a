"""Watching a Wazo stack: over a real RabbitMQ, and by polling where there is none."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import urllib3
from given import ACME, ALICE, BOLT
from rabbitmq_server import RabbitmqServer, running_rabbitmq
from structlog.testing import capture_logs
from waiting import until
from wazo_platform import WazoPlatform
from wazo_simulator import WazoSimulator

from loader.errors import SourceError
from loader.sources.wazo.bus import Bus
from loader.sources.wazo.events import PART_EVENTS, TENANT_EVENTS, Kind, Part
from loader.sources.wazo.rest.pending import Pending
from loader.sources.wazo.rest.settings import WazoOptions, settings_from
from loader.sources.wazo.rest.source import WazoSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.sources.base import Reading
    from pdp.rules.model import User

rabbitmq = pytest.fixture(running_rabbitmq, scope="module", name="rabbitmq")


class Watcher:
    """Reads whenever a watch says so, as the loader does."""

    def __init__(self, source: WazoSource) -> None:
        self.source = source
        self.readings: list[Reading] = []
        self.errors: list[SourceError] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        for _ in self.source.watch(self.stop):
            try:
                self.readings.append(self.source.read())
            except SourceError as error:
                self.errors.append(error)

    def users(self, tenant: str) -> int:
        """How many users the tenant had when it was last read."""
        tenants = self.readings[-1].tenants if self.readings else ()
        return next((len(each.users) for each in tenants if each.uuid == tenant), 0)

    def user(self, uuid: str) -> User:
        """A user of the first tenant, as it was last read."""
        return next(user for user in self.readings[-1].tenants[0].users if user.uuid == uuid)

    def connected(self) -> bool:
        """Whether the bus is, and everything was read after it came to be."""
        bus = self.source._bus
        keeper = self.source._keeper
        return bus is not None and bus.connected and keeper.swept is not None and keeper.swept > bus.connected_since


@pytest.fixture
def simulator() -> Iterator[WazoSimulator]:
    """A stack with the tenants acme (user Alice) and bolt (none)."""
    platform = WazoPlatform()
    platform.add_tenant("acme", uuid=ACME)
    platform.add_tenant("bolt", uuid=BOLT)
    platform.add_user(ACME, uuid=ALICE)
    with WazoSimulator(platform) as running:
        yield running


@contextmanager
def watching(simulator: WazoSimulator, broker: RabbitmqServer | None = None, **changes: Any) -> Iterator[Watcher]:
    """A watcher that has read for the first time, and is connected where there is a broker."""
    options = WazoOptions(
        username=simulator.behaviour.username,
        password=simulator.behaviour.password,
        bus_url=broker.url if broker else "",
    )
    settings = replace(settings_from(simulator.url, options, poll_seconds=1000), **changes)
    watcher = Watcher(WazoSource(settings))
    watcher.thread.start()
    try:
        until(lambda: watcher.readings, "the first reading")
        if broker is not None:
            until(watcher.connected, "the bus is connected")
        yield watcher
    finally:
        watcher.stop.set()
        watcher.thread.join(10)
        assert not watcher.thread.is_alive()


def test_an_edit_costs_what_it_changes(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """Of a tenant with many users one request reads the permission that an event names, and another one the user."""
    for _ in range(60):
        simulator.platform.add_user(ACME)
    simulator.platform.publish = rabbitmq.publish
    with watching(simulator, rabbitmq) as watcher:
        simulator.behaviour.requests.clear()
        simulator.behaviour.queries.clear()
        number = simulator.platform.add_permission(ACME, "no", ["118"])
        until(lambda: watcher.readings[-1].tenants[0].call_permissions, "the permission is read")
        assert simulator.behaviour.queries == [("callpermissions", {"id": str(number), "recurse": "true"})]
        simulator.platform.edit_user(ALICE, call_permission_password="77")
        until(lambda: watcher.user(ALICE).call_permission_password == "77", "the user is read")
        assert simulator.behaviour.queries[1:] == [("users", {"uuid": ALICE, "recurse": "true"})]
        assert simulator.behaviour.requests.total() == 2


def test_members_come_and_go(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """By the group, by the user, with the end of a line, and through ``Local/`` channels."""
    platform = simulator.platform
    bob = platform.add_user(ACME)
    sales = platform.add_group(ACME, "sales")
    platform.publish = rabbitmq.publish
    with watching(simulator, rabbitmq) as watcher:

        def members() -> set[str]:
            return set(watcher.readings[-1].tenants[0].groups[0].users)

        platform.set_members(sales, [ALICE, bob])
        until(lambda: members() == {ALICE, bob}, "the group's members are read")
        platform.set_groups(bob, [])
        until(lambda: members() == {ALICE}, "the user has left")
        platform.set_groups(bob, [sales])
        until(lambda: members() == {ALICE, bob}, "the user is back")
        platform.end_line(bob)
        until(lambda: members() == {ALICE}, "the user without a line has left")
        platform.join(sales, bob, local=True)
        platform.edit_user(bob, firstname="Robert")
        until(lambda: members() == {ALICE, bob}, "the member through a Local channel is there")
        platform.set_members(sales, [])
        until(lambda: members() == {bob}, "those with lines have left")
        platform.set_extensions(sales)
        until(lambda: members() == set(), "the member through a Local channel has left")


def test_what_is_deleted_takes_its_associations_with_it(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """Wazo tells of the thing that is gone alone."""
    platform = simulator.platform
    sales, number = platform.add_group(ACME, "sales"), platform.add_permission(ACME, "no", ["118"])
    bob = platform.add_user(ACME)
    platform.join(sales, bob)
    for kind, member in (("users", ALICE), ("users", bob), ("groups", sales)):
        platform.associate(number, kind, member)
    platform.publish = rabbitmq.publish
    with watching(simulator, rabbitmq) as watcher:
        simulator.behaviour.requests.clear()
        platform.delete_user(bob)
        until(lambda: watcher.users(ACME) == 1, "the user is gone")
        platform.delete_group(sales)
        until(lambda: not watcher.readings[-1].tenants[0].groups, "the group is gone")
        permission = watcher.readings[-1].tenants[0].call_permissions[0]
        assert (permission.users, permission.groups) == ((ALICE,), ())
        assert watcher.readings[-1].faults == ()
        assert simulator.behaviour.requests["callpermissions"] == 0


def test_an_edit_is_read_while_everything_is_read(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """A platform that takes long to read again keeps no edit waiting, also not one of what was read already."""
    platform = simulator.platform
    for _ in range(500):
        platform.add_user(BOLT)
    platform.publish = rabbitmq.publish
    with watching(simulator, rabbitmq) as watcher:
        going, gate = threading.Event(), threading.Event()

        def hold(resource: str) -> None:
            if resource == "groups":
                going.set()
                platform.lock.release()
                gate.wait(20)
                platform.lock.acquire()

        simulator.behaviour.before = hold
        watcher.source._pending.mark_everything()
        assert going.wait(20)
        platform.edit_user(ALICE, call_permission_password="77")
        until(lambda: watcher.user(ALICE).call_permission_password == "77", "the edit is read")
        assert watcher.source._keeper.sweeping
        simulator.behaviour.before = lambda _: None
        gate.set()
        until(lambda: not watcher.source._keeper.sweeping, "everything is read")
        assert watcher.user(ALICE).call_permission_password == "77"


def test_a_tenant_that_wazo_fails_at_holds_up_no_other(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """Its edit is tried again, and in force once that works."""
    platform = simulator.platform
    number = platform.add_permission(BOLT, "no", ["118"])
    platform.publish = rabbitmq.publish
    with watching(simulator, rabbitmq) as watcher, capture_logs():
        platform.dangle_permission(number)
        platform.edit_permission(number, name="edited")
        platform.add_user(ACME)
        until(lambda: watcher.users(ACME) == 2, "the other tenant's edit is read")
        until(lambda: watcher.errors, "the failure is told")
        assert watcher.source.stale_seconds() > 0
        platform.dangle_permission(number, mended=True)
        until(lambda: watcher.readings[-1].tenants[1].call_permissions[0].name == "edited", "the edit is read")
        assert watcher.source.stale_seconds() == 0


def test_tenants_come_and_go(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """Also one whose first event is of something within it."""
    platform = simulator.platform
    with watching(simulator, rabbitmq) as watcher:
        coyote = platform.add_tenant("coyote")
        platform.publish = rabbitmq.publish
        platform.add_user(coyote)
        until(lambda: watcher.users(coyote) == 1, "the tenant's user is read")
        platform.delete_tenant(BOLT)
        until(lambda: BOLT not in {tenant.uuid for tenant in watcher.readings[-1].tenants}, "the tenant is gone")
        assert watcher.readings[-1].complete


def test_a_tenant_that_is_gone_before_it_is_read_again_is_gone(
    simulator: WazoSimulator, rabbitmq: RabbitmqServer
) -> None:
    """Wazo refuses to read it; then the tenants are read."""
    with watching(simulator, rabbitmq) as watcher, capture_logs():
        simulator.platform.delete_tenant(BOLT)
        rabbitmq.publish({"name": "user_deleted", "tenant_uuid": BOLT})
        until(lambda: BOLT not in {tenant.uuid for tenant in watcher.readings[-1].tenants}, "the tenant is gone")
        assert not watcher.errors


def test_a_storm_of_events_leads_to_few_requests(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """Ten thousand events about a few tenants, then an edit whose event comes last."""
    simulator.platform.edit_user(ALICE)
    storm = [
        {"name": "user_edited", "tenant_uuid": (ACME, BOLT)[turn % 2], "data": {"uuid": ALICE}}
        for turn in range(10_000)
    ]
    with watching(simulator, rabbitmq) as watcher:
        simulator.behaviour.requests.clear()
        rabbitmq.publish(*storm)
        simulator.platform.publish = rabbitmq.publish
        simulator.platform.add_user(BOLT)
        until(lambda: watcher.users(BOLT) == 1, "the edit is read")
        assert simulator.behaviour.requests.total() < 100


def test_after_a_lost_connection_everything_is_read(simulator: WazoSimulator) -> None:
    """Nobody tells of what happened while nobody listened, and Wazo does it though it answers 500."""
    number = simulator.platform.add_permission(ACME, "no", ["118"])
    simulator.platform.associate(number, "outcalls", simulator.platform.add_outcall(ACME, "world"))
    with RabbitmqServer() as broker, capture_logs() as logs, watching(simulator, broker) as watcher:
        simulator.platform.publish = broker.publish
        broker.kill()
        until(lambda: not watcher.connected(), "the loss is noticed")
        token = simulator.behaviour.live()[0]
        url = f"{simulator.base}/api/confd/1.1/users/{ALICE}/callpermissions/{number}"
        assert urllib3.request("PUT", url, headers={"X-Auth-Token": token}).status == 500
        broker.start()
        until(lambda: watcher.readings[-1].tenants[0].call_permissions[0].users == (ALICE,), "it is read", deadline=60)
        simulator.platform.add_user(BOLT)
        until(lambda: watcher.users(BOLT) == 1, "events arrive again")
    events = [entry["event"] for entry in logs]
    assert {"wazo_bus_connected", "wazo_bus_lost", "wazo_bus_unreachable"} <= set(events)
    assert "guest" not in str(logs)


def test_without_a_bus_changes_are_noticed_by_polling(simulator: WazoSimulator) -> None:
    """Each time everything is read."""
    with watching(simulator, poll_seconds=0.1) as watcher:
        assert watcher.source.stale_seconds() > 0
        simulator.platform.add_user(BOLT)
        until(lambda: watcher.users(BOLT) == 1, "the edit is read")


def test_a_bus_that_is_away_does_not_keep_from_polling(simulator: WazoSimulator) -> None:
    """Nobody listens at its address."""
    with capture_logs(), watching(simulator, poll_seconds=0.1, bus_url="amqp://guest:guest@127.0.0.1:1/") as watcher:
        simulator.platform.add_user(BOLT)
        until(lambda: watcher.users(BOLT) == 1, "the edit is read")


def test_while_a_bus_is_connected_nothing_is_read_without_need(
    simulator: WazoSimulator, rabbitmq: RabbitmqServer
) -> None:
    """Cycles go on, so that what was lost in Redis is published again; the stack is asked again after a while."""
    with watching(simulator, rabbitmq, poll_seconds=0.05) as watcher:
        until(lambda: len(watcher.readings) > 3, "a few readings")
        simulator.behaviour.requests.clear()
        count = len(watcher.readings)
        until(lambda: len(watcher.readings) > count + 5, "further readings")
        assert not simulator.behaviour.requests
        assert watcher.source.stale_seconds() == 0
        assert watcher.source._keeper.swept is not None
        watcher.source._keeper.swept -= 1000
        until(lambda: simulator.behaviour.requests, "a full reading")


def test_with_a_bus_everything_is_read_once_at_the_start(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """The bus is connected first, so nothing can have been missed."""
    with watching(simulator, rabbitmq, poll_seconds=0.05) as watcher:
        swept, count = watcher.source._keeper.swept, len(watcher.readings)
        until(lambda: len(watcher.readings) > count + 3, "further readings")
        assert (watcher.source._keeper.swept, watcher.source._keeper.sweeping) == (swept, False)
        assert watcher.source.stale_seconds() == 0


def test_a_loader_that_leads_again_publishes_nothing_old(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """What was known before another loader led is read again, also with a bus, before it counts."""
    options = WazoOptions(
        username=simulator.behaviour.username, password=simulator.behaviour.password, bus_url=rabbitmq.url
    )
    source = WazoSource(settings_from(simulator.url, options))
    assert len(source.read().tenants[0].users) == 1
    source.close()
    simulator.platform.add_user(ACME)
    assert len(source.read().tenants[0].users) == 2
    source.close()


def test_a_stop_ends_a_reading(simulator: WazoSimulator) -> None:
    """The first one of a large platform takes minutes."""
    options = WazoOptions(username=simulator.behaviour.username, password=simulator.behaviour.password)
    with WazoSource(settings_from(simulator.url, options)) as source:
        stop = threading.Event()
        stop.set()
        source.watch(stop)
        with pytest.raises(SourceError, match="ended"):
            source.read()


def test_a_stack_that_comes_back_is_read_soon(simulator: WazoSimulator) -> None:
    """After a failure nobody waits for the next poll."""
    with watching(simulator, poll_seconds=1000, attempts=1) as watcher:
        simulator.behaviour.failures = ["500", "500"]
        watcher.source._pending.mark_everything()
        until(lambda: len(watcher.errors) == 2, "two readings fail")
        until(lambda: len(watcher.readings) == 2, "one works")


def test_the_end_of_a_watch_ends_the_session(simulator: WazoSimulator) -> None:
    """It comes soon, and a watch may begin again."""
    with watching(simulator) as watcher:
        assert len(simulator.behaviour.live()) == 1
    assert simulator.behaviour.live() == []
    again = Watcher(watcher.source)
    assert again.source.read().complete
    again.thread.start()
    assert len(simulator.behaviour.live()) == 1
    again.stop.set()
    again.thread.join(10)
    assert simulator.behaviour.live() == []


def test_each_event_marks_what_it_names(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """All that Wazo publishes when something changes that the rules depend on, and none beside."""
    pending = Pending(0.0, 0.0)
    settings = settings_from(simulator.url, WazoOptions(username="u", password="p", bus_url=rabbitmq.url))
    expected: dict[str, set[Part]] = {}
    events: list[dict[str, Any]] = []
    for number, (name, named) in enumerate(PART_EVENTS.items(), start=1):
        tenant, value = str(uuid4()), str(uuid4()) if named.kind is Kind.USERS else number
        data: Any = value
        for key in reversed(named.keys):
            data = {key: data}
        events.append({"name": name, "tenant_uuid": tenant, "data": data})
        expected[tenant] = {Part(named.kind, str(value))}
    with Bus(settings.bus_url, settings.ca_file, pending) as bus:
        until(lambda: bus.connected, "the bus is connected")
        assert pending.take().everything is not None
        rabbitmq.publish({"name": "line_edited", "tenant_uuid": str(uuid4())}, *events)
        until(lambda: len(pending._parts) >= len(events), "all have arrived")
        wanted = pending.take()
        assert {tenant: set(parts) for tenant, parts in wanted.parts.items()} == expected
        assert (wanted.everything, wanted.tenants, wanted.whole) == (None, None, {})


def test_events_that_name_nothing_mark_more(simulator: WazoSimulator, rabbitmq: RabbitmqServer) -> None:
    """A tenant, the list of tenants, or everything: what is not understood is no reason to miss a change."""
    pending = Pending(0.0, 0.0)
    settings = settings_from(simulator.url, WazoOptions(username="u", password="p", bus_url=rabbitmq.url))
    with Bus(settings.bus_url, settings.ca_file, pending) as bus:
        until(lambda: bus.connected, "the bus is connected")
        pending.take()
        rabbitmq.publish({"name": "user_edited", "tenant_uuid": ACME, "data": {"uuid": "not one"}})
        rabbitmq.publish({"name": "call_permission_edited", "tenant_uuid": BOLT})
        until(lambda: len(pending._whole) == 2, "both have arrived")
        assert set(pending.take().whole) == {ACME, BOLT}
        for name in TENANT_EVENTS:
            rabbitmq.publish({"name": name, "tenant_uuid": ACME, "data": {"uuid": ACME}})
            until(lambda: pending._tenants, "it has arrived")
            assert pending.take().everything is None
        rabbitmq.publish({"name": "user_created", "data": {"uuid": ALICE}})
        until(lambda: pending._everything, "it has arrived")


def test_the_documented_rights_on_the_bus_suffice(rabbitmq: RabbitmqServer) -> None:
    """The user of docs/wazo.md can listen."""
    text = (Path(__file__).parents[4] / "docs" / "wazo.md").read_text(encoding="utf-8")
    rights = re.search(r"set_permissions rightcall '(.*)' '(.*)' '(.*)'", text)
    assert rights is not None
    rabbitmq.control("add_user", "rightcall", "s3cret")
    rabbitmq.control("set_permissions", "rightcall", *rights.groups())
    pending = Pending(0.0, 0.0)
    bus_url = rabbitmq.url.replace("guest:guest", "rightcall:s3cret")
    with Bus(bus_url, "", pending) as bus:
        until(lambda: bus.connected, "the bus is connected")
        rabbitmq.publish({"name": "user_edited", "tenant_uuid": ACME})
        until(lambda: ACME in pending._whole, "the event has arrived")


@pytest.mark.parametrize("url", ["http://u:s3cret@w", "amqp://u:s3cret@w:port", "s3cret"])
def test_a_bus_url_that_cannot_be_used_is_told(simulator: WazoSimulator, url: str) -> None:
    """The message repeats nothing secret."""
    settings = settings_from(simulator.url, WazoOptions(username="u", password="p", bus_url=url))
    with pytest.raises(SourceError, match="bus's URL cannot be read") as refused:
        WazoSource(settings)
    assert "s3cret" not in f"{refused.value!r} {refused.value.__cause__!r}"


def test_a_mark_is_due_after_a_silence_but_not_much_later() -> None:
    """Many marks are one change, and marks that never end are many."""
    pending = Pending(0.05, 0.3)
    part = Part(Kind.USERS, ALICE)
    assert not pending.wait(0.01)
    pending.mark(ACME, part)
    assert not pending.wait(0.0)
    stop = threading.Event()

    def storm() -> None:
        while not stop.wait(0.001):
            pending.mark(BOLT, None)

    thread = threading.Thread(target=storm)
    thread.start()
    assert pending.wait(10)
    stop.set()
    thread.join()
    since = pending.since()
    wanted = pending.take()
    assert (set(wanted.parts[ACME]), set(wanted.whole)) == ({part}, {BOLT})
    assert since is not None
    assert wanted.parts[ACME][part] <= since
    assert (pending.since(), pending.wait(0.01)) == (None, False)
    pending.mark_everything()
    pending.mark_tenants()
    assert pending.wait(10)
    wanted = pending.take()
    assert wanted.everything is not None
    assert wanted.tenants is not None
