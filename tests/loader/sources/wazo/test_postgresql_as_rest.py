"""The same Wazo Platform, once through its database and once through its REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from postgres_server import PostgresServer, running_postgres
from postgres_tables import WazoDatabase
from wazo_platform import WazoPlatform
from wazo_simulator import WazoSimulator

from loader.sources import open_source
from loader.sources.wazo.rest.settings import WazoOptions, settings_from
from loader.sources.wazo.rest.source import WazoSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.sources.base import Reading


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this module."""
    yield from running_postgres()


def _platform() -> WazoPlatform:
    """One of everything that the two roads might take for something else."""
    platform = WazoPlatform()
    acme, bolt = platform.add_tenant("acme"), platform.add_tenant("bolt")
    alice, bob = platform.add_user(acme, password="4242"), platform.add_user(acme)
    carol = platform.add_user(bolt, password="")
    platform.edit_user(bob, enabled=False, lastname=None)
    sales, closed = platform.add_group(acme, "sales"), platform.add_group(acme, "closed", enabled=False)
    platform.join(sales, alice)
    platform.join(sales, bob, local=True)
    platform.join(closed, bob)
    world = platform.add_outcall(acme, "world")
    international = platform.add_permission(acme, "no-international", ["_00.", "118", "_+!"], password="1234")
    disabled = platform.add_permission(acme, "off", ["*10"], enabled=False, mode="allow", description="for later")
    platform.add_permission(bolt, "of nobody", [])
    for group in (sales, closed):
        platform.associate(international, "groups", group)
    platform.associate(international, "outcalls", world)
    for user in (alice, bob):
        platform.associate(disabled, "users", user)
    everything = platform.add_permission(bolt, "all", ["_X."])
    for user in (carol, alice):
        platform.associate(everything, "users", user)
    platform.join(sales, carol)
    return platform


def _write(platform: WazoPlatform, database: WazoDatabase) -> None:
    """The platform's things as rows of Wazo's tables."""
    insert = database.insert
    insert("tenant", "uuid", [(uuid,) for uuid in platform.tenants])
    insert("auth_tenant", "uuid name", [(tenant["uuid"], tenant["name"]) for tenant in platform.tenants.values()])
    users = platform.users
    rows: list[tuple[object, ...]] = [
        (
            user["id"],
            uuid,
            user["tenant_uuid"],
            user["firstname"],
            user["lastname"] or "",
            user["call_permission_password"],
            int(not user["enabled"]),
        )
        for uuid, user in users.items()
    ]
    insert("userfeatures", "id uuid tenant_uuid firstname lastname rightcallcode commented", rows)
    groups = platform.groups
    rows = [(number, group["tenant_uuid"], group["name"], group["label"]) for number, group in groups.items()]
    insert("groupfeatures", "id tenant_uuid name label", rows)
    rows = [(group["name"], "group", int(not group["enabled"])) for group in groups.values()]
    insert("queue", "name category commented", rows)
    members = [(group, f"PJSIP/{user}", user) for group, user in platform._members]
    members += [(group, f"Local/{user}@default", user) for group, user in platform._local_members]
    rows = [(groups[group]["name"], channel, "user", users[user]["id"], "group") for group, channel, user in members]
    insert("queuemember", "queue_name interface usertype userid category", rows)
    rows = [(number, outcall["tenant_uuid"], outcall["name"]) for number, outcall in platform.outcalls.items()]
    insert("outcall", "id tenant_uuid name", rows)
    permissions = platform.callpermissions.values()
    rows = [
        (each["id"], each["tenant_uuid"], each["name"], each["description"], each["password"] or "", *_flags(each))
        for each in permissions
    ]
    insert("rightcall", "id tenant_uuid name description passwd authorization commented", rows)
    rows = [(each["id"], extension) for each in permissions for extension in each["extensions"]]
    insert("rightcallexten", "rightcallid exten", rows)
    rows = [
        (permission, kind[:-1], str(users[str(member)]["id"] if kind == "users" else member))
        for permission, kind, member in platform._associations
    ]
    insert("rightcallmember", "rightcallid type typeval", rows)


def _flags(permission: dict[str, Any]) -> tuple[int, int]:
    return int(permission["mode"] == "allow"), int(not permission["enabled"])


def _through_rest(platform: WazoPlatform) -> Reading:
    with WazoSimulator(platform) as simulator:
        behaviour = simulator.behaviour
        options = WazoOptions(username=behaviour.username, password=behaviour.password)
        with WazoSource(settings_from(simulator.url, options)) as source:
            return source.read()


def test_the_database_says_what_the_api_says(postgres: PostgresServer) -> None:
    """The very same tenants, so that a change from one source to the other publishes nothing."""
    platform = _platform()
    database = WazoDatabase(postgres, "wazo")
    _write(platform, database)
    through_rest, through_database = _through_rest(platform), open_source(database.url).read()
    assert len(through_rest.tenants) == 3
    assert through_rest.tenants == through_database.tenants
    assert [(fault.permission, fault.problem) for fault in through_rest.faults] == [
        (fault.permission, fault.problem) for fault in through_database.faults
    ]
