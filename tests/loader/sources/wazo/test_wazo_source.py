"""The Wazo source against a simulated stack: what is read, and what happens when reading goes wrong."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from definitions import tenant_from
from given import ACME, ALICE, BOB, BOLT
from structlog.testing import capture_logs
from wazo_platform import MASTER, WazoPlatform
from wazo_simulator import WazoSimulator

from loader.errors import SourceError
from loader.sources.wazo.rest.settings import WazoOptions, settings_from
from loader.sources.wazo.rest.source import WazoSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loader.sources.base import Reading

RESOURCES = ("tenants", "callpermissions", "users", "groups", "outcalls")


@pytest.fixture
def simulator() -> Iterator[WazoSimulator]:
    """A stack with the tenants acme (users Alice and Bob) and bolt."""
    platform = WazoPlatform()
    platform.add_tenant("acme", uuid=ACME)
    platform.add_tenant("bolt", uuid=BOLT)
    platform.add_user(ACME, uuid=ALICE, password="4242")
    platform.add_user(ACME, uuid=BOB)
    with WazoSimulator(platform) as running:
        yield running


def opened(simulator: WazoSimulator, **changes: Any) -> WazoSource:
    """A source for the simulator; ``changes`` are settings."""
    options = WazoOptions(username=simulator.behaviour.username, password=simulator.behaviour.password)
    return WazoSource(replace(settings_from(simulator.url, options), **changes))


def read_once(simulator: WazoSimulator, **changes: Any) -> Reading:
    """What a source reads that is closed again."""
    with opened(simulator, **changes) as source:
        return source.read()


def names(reading: Reading) -> list[str]:
    """The names of the tenants of a reading."""
    return sorted(tenant.name for tenant in reading.tenants)


def counts(simulator: WazoSimulator) -> list[int]:
    """How often each list was read since the last time."""
    seen = [simulator.behaviour.requests[resource] for resource in RESOURCES]
    simulator.behaviour.requests.clear()
    return seen


def test_everything_that_the_rules_need_is_read(simulator: WazoSimulator) -> None:
    """Users, groups, outcalls and permissions come out as in the definitions format."""
    platform = simulator.platform
    sales, world = platform.add_group(ACME, "sales", enabled=False), platform.add_outcall(ACME, "world")
    platform.join(sales, BOB)
    platform.edit_user(ALICE, firstname="Alice", lastname="Doe")
    platform.edit_user(BOB, firstname="Bob", lastname=None)
    columns = {"password": "1234", "enabled": False, "description": "by contract"}
    number = platform.add_permission(ACME, "no-international", ["_00.", "118"], **columns)
    for kind, member in (("users", BOB), ("users", ALICE), ("groups", sales), ("outcalls", world)):
        platform.associate(number, kind, member)

    reading = read_once(simulator)

    expected = {
        "uuid": ACME,
        "name": "acme",
        "users": [
            {"uuid": ALICE, "id": 1, "name": "Alice Doe", "call_permission_password": "4242"},
            {"uuid": BOB, "id": 2, "name": "Bob"},
        ],
        "groups": [{"id": str(sales), "name": "sales", "enabled": False, "users": [BOB]}],
        "outcalls": [{"id": str(world), "name": "world"}],
        "call_permissions": [
            {
                "id": number,
                "name": "no-international",
                "description": "by contract",
                "mode": "deny",
                "password": "1234",
                "enabled": False,
                "extensions": ["118", "_00."],
                "users": [ALICE, BOB],
                "groups": [str(sales)],
                "outcalls": [str(world)],
            }
        ],
    }
    assert reading.tenants[0] == tenant_from(expected)
    assert names(reading) == ["acme", "bolt", "master"]
    assert (reading.faults, reading.faulty, reading.complete) == ((), frozenset(), True)


def test_members_that_are_called_through_a_local_channel_are_found(simulator: WazoSimulator) -> None:
    """A group shows such a member as an extension only; the user names the group."""
    sales = simulator.platform.add_group(ACME, "sales")
    simulator.platform.join(sales, ALICE, local=True)
    simulator.platform.join(sales, BOB)
    (group,) = read_once(simulator).tenants[0].groups
    assert group.users == (ALICE, BOB)


def test_an_invalid_pattern_is_a_fault_of_its_tenant_alone(simulator: WazoSimulator) -> None:
    """Wazo admits patterns that mean nothing; they are told as those in files are."""
    number = simulator.platform.add_permission(BOLT, "broken", ["_[1-"])
    reading = read_once(simulator)
    assert names(reading) == ["acme", "master"]
    assert (reading.faulty, reading.complete) == (frozenset({BOLT}), True)
    text = str(next(fault for fault in reading.faults if "_[1-" in str(fault)))
    assert text.startswith(f"{simulator.url}: tenant bolt, permission {number} (broken): pattern '_[1-', character 2:")


def test_what_is_of_another_tenant_is_left_out_with_a_warning(simulator: WazoSimulator) -> None:
    """Real wazo-confd takes it, so an error would let the administrator of one tenant hold up every other."""
    platform = simulator.platform
    sales = platform.add_group(BOLT, "sales")
    carol = platform.add_user(BOLT)
    number = platform.add_permission(BOLT, "stranger", ["118"])
    for user in (ALICE, carol):
        platform.join(sales, user)
        platform.associate(number, "users", user)
    reading = read_once(simulator)
    bolt = next(tenant for tenant in reading.tenants if tenant.uuid == BOLT)
    assert (bolt.groups[0].users, bolt.call_permissions[0].users) == ((carol,), (carol,))
    assert reading.faulty == frozenset()
    group, permission = (str(fault) for fault in reading.faults)
    assert f"tenant bolt: group {sales} (sales): the user '{ALICE}' is not of this tenant" in group
    assert f"permission {number} (stranger): the user '{ALICE}' is not of this tenant" in permission


def test_a_member_whose_user_is_gone_is_a_warning(simulator: WazoSimulator) -> None:
    """Such rows remain in Wazo's database; the group shows a member that is nobody."""
    sales = simulator.platform.add_group(ACME, "sales")
    simulator.platform.join(sales, BOB)
    simulator.platform.dangle(sales)
    reading = read_once(simulator)
    assert reading.tenants[0].groups[0].users == (BOB,)
    assert [f"group {sales} (sales): a user is gone" in fault.problem for fault in reading.faults] == [True]


@pytest.mark.parametrize(
    "column", [{"id": "12"}, {"mode": 7}, {"extensions": "118"}, {"enabled": None}, {"name": []}, {"extensions": [7]}]
)
def test_values_of_the_wrong_kind_are_faults(simulator: WazoSimulator, column: dict[str, object]) -> None:
    """Whatever a stack answers, it ends no loader."""
    simulator.platform.edit_permission(simulator.platform.add_permission(BOLT, "odd", ["118"]), **column)
    reading = read_once(simulator)
    assert reading.faulty == {BOLT}


@pytest.mark.parametrize("wanted", [ACME.upper(), "Acme"])
def test_chosen_tenants_alone_are_read(simulator: WazoSimulator, wanted: str) -> None:
    """Tenants are chosen by UUID or name, whatever the case of their letters."""
    reading = read_once(simulator, tenants=(wanted,))
    assert names(reading) == ["acme"]
    assert reading.complete


def test_a_chosen_tenant_that_is_not_there_is_told(simulator: WazoSimulator) -> None:
    """It may have got another name, so it is not taken for gone."""
    reading = read_once(simulator, tenants=("acme", "amce"))
    assert names(reading) == ["acme"]
    assert not reading.complete
    assert "'amce' was asked for" in reading.faults[0].problem


def test_where_nothing_changed_each_list_is_read_once(simulator: WazoSimulator) -> None:
    """The first reading takes two rounds, the later ones one; users are named by a cheap list, and read by UUID."""
    with opened(simulator) as source:
        source.read()
        assert counts(simulator) == [2, 2, 3, 2, 2]
        source.read()
        assert counts(simulator) == [1, 1, 2, 1, 1]
        simulator.platform.add_user(BOLT)
        source.read()
        assert counts(simulator) == [2, 1, 3, 1, 1]
    queries = simulator.behaviour.queries
    assert all(query["recurse"] == "true" for _, query in queries)
    assert {query.get("view", "uuid" in query) for resource, query in queries if resource == "users"} == {
        "summary",
        True,
    }


def test_many_users_are_read_some_at_a_time(simulator: WazoSimulator) -> None:
    """Between two of these requests edits have their turn."""
    for _ in range(120):
        simulator.platform.add_user(BOLT)
    assert [len(tenant.users) for tenant in read_once(simulator).tenants] == [2, 120, 0]
    chunks = [query["uuid"].count(",") + 1 for _, query in simulator.behaviour.queries if "uuid" in query]
    assert chunks == [50, 50, 22]


def test_a_user_with_several_extensions_is_one_user(simulator: WazoSimulator) -> None:
    """Wazo counts one for each extension of the line, and lists one in one view and all of them in another."""
    simulator.platform.extensions = {ALICE: 3}
    assert [user.uuid for user in read_once(simulator).tenants[0].users] == [ALICE, BOB]


def test_what_the_rules_do_not_need_is_no_change(simulator: WazoSimulator) -> None:
    """That the line of a user changes leads to no further round, and to the very same tenants."""
    with opened(simulator) as source:
        before = source.read()
        counts(simulator)
        simulator.platform.edit_user(ALICE, lines=[{"id": 7}])
        after = source.read()
        assert counts(simulator) == [1, 1, 2, 1, 1]
    assert all(one is other for one, other in zip(before.tenants, after.tenants, strict=True))


def test_a_change_in_the_midst_of_a_reading_does_no_harm(simulator: WazoSimulator) -> None:
    """A user that goes after the permissions were read, and before the users are, leaves no reference to nothing."""
    number = simulator.platform.add_permission(ACME, "no", ["118"])
    simulator.platform.associate(number, "users", BOB)

    def go(resource: str) -> None:
        if resource == "users" and BOB in simulator.platform.users:
            simulator.platform.delete_user(BOB)

    simulator.behaviour.before = go
    reading = read_once(simulator)
    acme = reading.tenants[0]
    assert [user.uuid for user in acme.users] == [ALICE]
    assert acme.call_permissions[0].users == ()
    assert not reading.faulty


def test_a_tenant_that_never_rests_holds_up_no_other(simulator: WazoSimulator) -> None:
    """It is at fault until it rests, and not taken for gone; once read, it stays as it was."""

    def edit(resource: str) -> None:
        if resource == "callpermissions":
            simulator.platform.add_permission(BOLT, "again", [])

    simulator.behaviour.before = edit
    with opened(simulator) as source:
        reading = source.read()
        assert (names(reading), reading.faulty, reading.complete) == (["acme", "master"], frozenset({BOLT}), True)
        simulator.behaviour.before = lambda _: None
        rested = source.read()
        assert names(rested) == ["acme", "bolt", "master"]
        simulator.behaviour.before = edit
        assert source.read().tenants == rested.tenants


def test_a_tenant_of_which_a_list_cannot_be_read_holds_up_no_other(simulator: WazoSimulator) -> None:
    """A row whose user is gone makes wazo-confd fail at the list of all tenants; the tenant is found and told."""
    platform = simulator.platform
    number = platform.add_permission(BOLT, "no", ["118"])
    with opened(simulator, attempts=1) as source:
        before = source.read()
        platform.dangle_permission(number)
        platform.add_permission(ACME, "new", ["119"])
        platform.edit_permission(number, name="edited")
        reading = source.read()
        assert [len(tenant.call_permissions) for tenant in reading.tenants] == [1, 1, 0]
        assert reading.tenants[1] is before.tenants[1]
        (fault,) = (fault for fault in reading.faults if "fails" in fault.problem)
        assert (fault.tenant, "its callpermissions" in fault.problem) == ("bolt", True)
        platform.dangle_permission(number, mended=True)
        mended = source.read()
        assert mended.tenants[1].call_permissions[0].name == "edited"
        assert not [fault for fault in mended.faults if "fails" in fault.problem]
    platform.dangle_permission(number)
    fresh = read_once(simulator, attempts=1)
    assert (names(fresh), fresh.faulty, fresh.complete) == (["acme", "master"], frozenset({BOLT}), True)


def test_a_tenant_that_wazo_auth_has_deleted_is_gone(simulator: WazoSimulator) -> None:
    """Also while wazo-confd has not heard of it and keeps what was in it."""
    with opened(simulator) as source:
        source.read()
        simulator.platform.delete_tenant(BOLT, confd=False)
        reading = source.read()
    assert (names(reading), reading.complete, reading.faulty) == (["acme", "master"], True, frozenset())


def test_a_reading_that_failed_goes_on_where_it_stopped(simulator: WazoSimulator) -> None:
    """Users that were read already are not asked for again."""
    for _ in range(120):
        simulator.platform.add_user(BOLT)
    asked = 0

    def fail(resource: str) -> None:
        nonlocal asked
        asked += resource == "users"
        simulator.behaviour.failures = ["drop"] if asked == 3 else []

    simulator.behaviour.before = fail
    with opened(simulator, attempts=1) as source:
        with pytest.raises(SourceError, match="cannot be reached"):
            source.read()
        simulator.behaviour.before = lambda _: None
        assert [len(tenant.users) for tenant in source.read().tenants] == [2, 120, 0]
    assert sum("uuid" in query for _, query in simulator.behaviour.queries) == 4


def test_a_tenant_that_is_gone_is_gone(simulator: WazoSimulator) -> None:
    """A complete reading without it says so."""
    with opened(simulator) as source:
        source.read()
        simulator.platform.delete_tenant(BOLT)
        reading = source.read()
    assert (names(reading), reading.complete, reading.faulty) == (["acme", "master"], True, frozenset())


def test_an_answer_without_tenants_is_none(simulator: WazoSimulator) -> None:
    """There is always the user's own tenant, so an empty list must not take away all rules."""
    simulator.platform.tenants.clear()
    simulator.platform.tenants[MASTER] = {"uuid": MASTER, "name": "master"}
    with opened(simulator) as source:
        source.read()
        simulator.platform.tenants.clear()
        with pytest.raises(SourceError, match="names no tenant"):
            source.read()


def test_one_session_serves_all_readings_and_is_revoked(simulator: WazoSimulator) -> None:
    """A user may have a hundred of them, and they do not end when a loader does."""
    with opened(simulator) as source:
        for _ in range(3):
            source.read()
        assert len(simulator.behaviour.live()) == 1
    assert simulator.behaviour.requests["POST token"] == 1
    assert simulator.behaviour.live() == []


def test_a_token_is_renewed_before_its_end(simulator: WazoSimulator) -> None:
    """The old session ends first, so that there are never two."""
    with opened(simulator) as source:
        source.read()
        source._session._renew_at = 0.0
        source.read()
    assert simulator.behaviour.requests["POST token"] == 2
    assert simulator.behaviour.sessions_peak == 1


def test_a_token_that_ends_in_the_midst_of_a_reading_is_replaced(simulator: WazoSimulator) -> None:
    """Somebody revoked it, or wazo-auth lost its sessions."""

    def revoke(resource: str) -> None:
        if resource == "groups":
            simulator.behaviour.before = lambda _: None
            simulator.behaviour.tokens.clear()

    simulator.behaviour.before = revoke
    assert names(read_once(simulator)) == ["acme", "bolt", "master"]
    assert simulator.behaviour.requests["POST token"] == 2


def test_too_many_sessions_are_told(simulator: WazoSimulator) -> None:
    """It is tried again, then said, and works once there is room."""
    simulator.behaviour.most_sessions = 0
    with opened(simulator, attempts=2) as source:
        with pytest.raises(SourceError, match="too many sessions"):
            source.read()
        assert simulator.behaviour.requests["POST token"] == 2
        simulator.behaviour.most_sessions = 1
        assert source.read().complete


def test_a_wrong_password_is_told_and_not_repeated(simulator: WazoSimulator) -> None:
    """The message names the user; to try again would only lock it out."""
    with pytest.raises(SourceError, match="refused the user 'rightcall'") as refused:
        read_once(simulator, password="not-this-one")
    assert "not-this-one" not in str(refused.value)
    assert simulator.behaviour.requests["POST token"] == 1


@pytest.mark.parametrize("failure", ["500", "503", "429", "truncate", "drop"])
def test_a_failure_in_passing_is_not_noticed(simulator: WazoSimulator, failure: str) -> None:
    """The request is made again."""
    with opened(simulator) as source:
        source.read()
        simulator.platform.add_user(ACME)
        simulator.behaviour.failures = [failure, failure]
        assert len(source.read().tenants[0].users) == 3


@pytest.mark.parametrize("failures", [[], ["truncate"]])
def test_an_answer_of_unknown_length_is_read_to_its_end(simulator: WazoSimulator, failures: list[str]) -> None:
    """A proxy may send it in chunks; one that breaks off is asked for again."""
    simulator.behaviour.chunked = True
    simulator.behaviour.failures = failures
    assert names(read_once(simulator)) == ["acme", "bolt", "master"]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ("500", "failed"),
        ("truncate", "broke off"),
        ("drop", "cannot be reached"),
        ("garbage", "something else than JSON"),
        ("slow", "too long"),
        ("403", "access auth.tenants.read"),
        ("404", "base of Wazo's API"),
        ("302", "base of Wazo's API"),
    ],
)
def test_a_failure_that_lasts_is_told_and_gone_after_it(simulator: WazoSimulator, failure: str, told: str) -> None:
    """Nothing is half read: the next reading that works has everything."""
    with opened(simulator, attempts=2, reply_seconds=0.5) as source:
        before = source.read()
        simulator.platform.add_user(ACME)
        simulator.behaviour.failures = [failure] * 2
        with pytest.raises(SourceError, match=told):
            source.read()
        simulator.behaviour.failures = []
        assert len(source.read().tenants[0].users) == 1 + len(before.tenants[0].users)


def test_a_stack_that_is_away_is_told(simulator: WazoSimulator) -> None:
    """The message says where it should be, and the source goes on once it is back."""
    with opened(simulator, attempts=2) as source:
        source.read()
        simulator.stop()
        source._client.close()  # what a stack that dies does to connections
        with pytest.raises(SourceError, match=f"{simulator.base}.* cannot be reached"):
            source.read()
        simulator.start()
        assert source.read().complete


def test_a_list_that_the_server_cuts_is_read_page_by_page(simulator: WazoSimulator) -> None:
    """Also where only a later page changes."""
    simulator.behaviour.largest_page = 1
    with opened(simulator) as source:
        assert len(source.read().tenants[0].users) == 2
        simulator.platform.edit_user(BOB, call_permission_password="77")
        assert source.read().tenants[0].users[1].call_permission_password == "77"


def test_a_list_that_changes_between_its_pages_is_not_taken(simulator: WazoSimulator) -> None:
    """Something could be missing, or there twice."""
    simulator.behaviour.largest_page = 1
    numbers = [simulator.platform.add_permission(ACME, name, ["118"]) for name in ("one", "two", "three")]
    seen = iter(range(100))

    def go(resource: str) -> None:
        if resource == "callpermissions" and next(seen) == 1:
            simulator.platform.delete_permission(numbers[0])

    simulator.behaviour.before = go
    with opened(simulator) as source:
        with pytest.raises(SourceError, match="changed between its pages"):
            source.read()
        assert [each.name for each in source.read().tenants[0].call_permissions] == ["two", "three"]


def test_nothing_secret_is_logged_raised_or_shown(simulator: WazoSimulator) -> None:
    """Neither password nor token, whatever goes wrong."""
    behaviour = simulator.behaviour
    said = []
    with capture_logs() as logs, opened(simulator, attempts=2) as source:
        source.read()
        for failure in ("500", "truncate", "drop", "garbage", "403", "401"):
            behaviour.failures = [failure] * 4
            with pytest.raises(SourceError) as raised:
                source.read()
            said.append(f"{raised.value!r} {raised.value.__cause__!r}")
        said.append(f"{source._settings!r} {source.name}")
        tokens = set(behaviour.tokens)
        simulator.stop()
    said += [str(entry) for entry in logs]
    assert logs
    for secret in (behaviour.password, "4242", *tokens):
        assert secret not in "\n".join(said)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody signed but itself, and its key, in one file."""
    path = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=wazo", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += ["-addext", "keyUsage=digitalSignature,keyCertSign"]
    subprocess.run([*command, "-keyout", path, "-out", tmp_path / "cert.pem"], capture_output=True, check=True)
    path.write_bytes(path.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return tmp_path / "cert.pem"


def test_certificates_are_checked(certificate: Path) -> None:
    """One of an unknown authority is refused; it can be trusted, and the check can be left out, which is told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.with_name("server.pem"))
    with WazoSimulator(WazoPlatform(), tls=context) as simulator:
        with pytest.raises(SourceError, match=r"not trusted.*ca_file"):
            read_once(simulator)
        assert names(read_once(simulator, ca_file=str(certificate))) == ["master"]
        with capture_logs() as logs:
            assert names(read_once(simulator, verify=False)) == ["master"]
        assert logs[0]["event"] == "certificates_not_checked"


def test_a_file_without_certificates_is_told(simulator: WazoSimulator, tmp_path: Path) -> None:
    """It is a mistake of the settings, found before anything is asked."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SourceError, match="check ca_file"):
            opened(simulator, ca_file=str(path))
