"""Wrong PINs of all callers together, in memory and in Redis: the same laws for both."""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING

import pytest
from clock import Clock
from given import ACME, BOLT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_server import RedisServer

from pdp.challenges.delays import MOST_REPEATED, RECORD_SECONDS, WRONG_SECONDS, Guess, Paces, client_key, mark_of
from pdp.challenges.delays_memory import MemoryDelays
from pdp.challenges.delays_redis import RedisDelays
from pdp.rules.snapshot.passwords import hash_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from pdp.challenges.delays import Delays, Look

    Make = Callable[..., Delays]

pytestmark = pytest.mark.every_transport

HOUR = 3600
CALLERS = 3400
RIGHT = "4321"


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    """A client of a Redis."""
    with RedisServer() as running, running.client() as client:
        yield client


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes delays of either kind."""
    if request.param == "memory":
        return lambda clock, guesses=100: MemoryDelays(Paces(guesses), now=clock)
    client = request.getfixturevalue("redis")
    client.flushall()
    return lambda clock, guesses=100: RedisDelays(client, Paces(guesses), prefix="test:", now=clock)


class Line:
    """A permission with a PIN, and those who dial one."""

    def __init__(self, make: Make) -> None:
        self.clock = Clock()
        self.delays = make(self.clock)
        self._wrong = count()

    def dial(
        self, caller: str, pin: str = "", *, client: str = "pbx", permission: str = "12", tenant: str = ACME
    ) -> Look:
        """A PIN, the next wrong one if none is given; what is right counts as such."""
        pin = pin or f"wrong {next(self._wrong)}"
        guess = Guess(tenant, permission, caller, client_key(client), pin)
        look = self.delays.take(guess)
        if not look.wait and pin == RIGHT:
            self.delays.succeed(guess, look)
        return look

    def opens(self, caller: str, client: str = "pbx") -> bool:
        """Whether the right PIN would be looked at."""
        return not self.dial(caller, RIGHT, client=client).wait

    def looked_at_now(self, caller: str) -> int:
        """How many wrong PINs of a caller are looked at before the first that is not."""
        return next(number for number in count() if self.dial(caller).wait)

    def attack(self, clients: list[str], *, seconds: int = HOUR, step: int = 60) -> int:
        """How many guesses of clients that walk through all callers are looked at; each asks until it is refused."""
        looked, callers = 0, count()
        for _ in range(0, seconds, step):
            for client in clients:
                while not self.dial(f"user {next(callers) % CALLERS}", client=client).wait:
                    looked += 1
            self.clock.now += step
        return looked


TWENTY = [f"attacker {number}" for number in range(20)]


def test_twenty_clients_that_walk_through_all_callers_get_less_than_a_hundred_guesses_an_hour(make: Make) -> None:
    """And callers of the telephone system get in, whether they did before or not."""
    line = Line(make)
    assert line.opens("alice")

    looked = line.attack(TWENTY)

    assert 60 <= looked <= 100
    assert line.opens("alice")
    assert line.opens("bob")


def test_a_client_without_a_record_gets_in_beside_twenty_attackers(make: Make) -> None:
    """It has three wrong PINs to itself, as each of them has."""
    line = Line(make)
    line.attack(TWENTY, seconds=60)

    assert line.opens("carol", "another pbx")


def test_guesses_behind_the_telephone_system_itself_leave_its_proven_callers_in(make: Make) -> None:
    """Telephones that guess share their client with all the others; a hundred guesses in all, with nineteen others."""
    line = Line(make)
    assert line.opens("alice")

    looked = line.attack(["pbx", *TWENTY[1:]])

    assert looked <= 100
    assert not line.opens("bob")
    assert line.opens("alice")


def test_who_can_be_any_caller_of_a_client_gets_its_lanes_and_no_more(make: Make) -> None:
    """With its credentials stolen, its own callers wait; those of another client do not."""
    line = Line(make)
    for number in range(CALLERS // 20):
        assert line.opens(f"user {number}")
    assert line.opens("alice", "another pbx")

    looked = line.attack(["pbx"])

    assert looked <= 45
    assert line.opens("alice", "another pbx")


def test_any_number_of_clients_without_a_record_gets_less_than_a_hundred_guesses(make: Make) -> None:
    """Addresses cost nothing."""
    line = Line(make)

    looked = line.attack([f"address {number}" for number in range(100)], step=600)

    assert 60 <= looked <= 100


@pytest.mark.parametrize(
    ("clients", "proven", "most"),
    [(["pbx"], 0, 3 + 9), (["pbx"], 1, 17 + 9), ([f"address {number}" for number in range(80)], 0, 71 + 9)],
)
def test_delays_grow(clients: list[str], proven: int, most: int) -> None:
    """As many as the manual says in the first hour, and in each later one a few."""
    line = Line(lambda clock: MemoryDelays(Paces(), now=clock))
    for number in range(proven):
        line.opens(f"proven {number}")

    first, *later = [line.attack(clients, step=15 if proven else 60) for _ in range(5)]

    assert most - 4 <= first <= most
    assert max(later) <= 16


def test_a_tenants_permissions_have_four_times_as_much_together(make: Make) -> None:
    """So that many permissions are not as many times the guesses; other tenants are apart."""
    line = Line(make)
    looked = sum(
        not line.dial("alice", client=client, permission=str(permission)).wait
        for permission in range(40)
        for client in ["one"] * 5
    )

    assert 4 * 3 <= looked <= 4 * (3 + 3)
    assert not line.dial("alice", client="one", tenant=BOLT).wait


def test_right_pins_cost_nothing_and_take_typing_errors_back(make: Make) -> None:
    """Hundreds who each mistype once are no attack."""
    line = Line(make)
    for number in range(300):
        caller = f"user {number % 100}"
        assert not line.dial(caller).wait
        assert line.opens(caller)
        line.clock.now += 1


def test_right_pins_go_through_at_once_while_delays_last(make: Make) -> None:
    """One that is right gives its place to the next."""
    line = Line(make)
    line.opens("alice")
    line.attack(["pbx"], seconds=1800)
    line.clock.now += 900

    assert [line.opens(f"user {number}") for number in range(20)] == [True] * 20


def test_a_pin_that_many_still_dial_after_it_was_changed_is_counted_once(make: Make) -> None:
    """By those who knew it; each other wrong PIN counts."""
    line = Line(make)
    for number in range(100):
        assert line.opens(f"user {number}")

    assert not any(line.dial(f"user {number}", "the old one").wait for number in range(100))
    assert line.opens("user 7")
    assert any(line.dial(f"newcomer {number}", "the old one").wait for number in range(100))


def test_a_right_pin_is_not_taken_for_a_wrong_one_again(make: Make) -> None:
    """What was in flight while it was right is forgotten."""
    line = Line(make)
    for _ in range(2):
        assert line.opens("alice")

    assert line.dial("alice", RIGHT).charges


def test_the_wrong_pins_that_are_remembered_are_bounded(make: Make) -> None:
    """Beyond some number it begins afresh, and the first one counts again."""
    line = Line(lambda clock: make(clock, 100_000))
    assert line.opens("alice")
    assert line.dial("alice", "the old one").charges
    assert not line.dial("alice", "the old one").charges
    for number in range(MOST_REPEATED):
        line.dial("alice", f"another {number}")

    assert line.dial("alice", "the old one").charges


def test_delays_are_listed_and_ended(make: Make) -> None:
    """Of one permission, with those of its whole tenant; other permissions and tenants keep theirs."""
    line = Line(make)
    for permission, tenant in (("12", ACME), ("13", ACME), ("12", BOLT)):
        for number in range(8):
            line.dial(f"user {number}", permission=permission, tenant=tenant)

    def listed() -> set[tuple[str, str, str]]:
        return {(one.tenant, one.permission, one.lane) for one in line.delays.delayed()}

    everything = {
        (tenant, permission, lane)
        for tenant, permission in ((ACME, "12"), (ACME, "13"), (BOLT, "12"))
        for lane in ("strange", "common")
    }
    assert listed() == everything
    assert line.delays.end(ACME, "12")
    assert not line.delays.end(ACME, "12")
    assert listed() == {one for one in everything if one[:2] != (ACME, "12")}
    assert not line.dial("alice").wait


def test_records_end_after_ninety_days(make: Make) -> None:
    """Then a caller is as any other."""
    line = Line(make)
    line.opens("alice")
    line.clock.now += RECORD_SECONDS + 1
    line.attack(["pbx"], seconds=60)

    assert not line.opens("alice")


def test_unknown_callers_have_no_record_and_take_nothing_back(make: Make) -> None:
    """They are all one, so the right PIN of one must not excuse the guesses of another."""
    line = Line(make)
    line.opens("")
    before = [line.dial("").wait for _ in range(7)]
    assert line.opens("")

    assert before == [0] * 7
    assert line.looked_at_now("") == 1 + 3


def test_a_right_pin_takes_only_the_typing_errors_of_the_last_quarter_of_an_hour_back(make: Make) -> None:
    """Those before stay until they are forgotten, one in a quarter of an hour."""
    line = Line(make)
    line.opens("bob")
    for _ in range(3):
        line.dial("alice")
    line.clock.now += 880
    assert line.opens("bob")
    line.clock.now += 21
    assert line.opens("alice")

    assert line.looked_at_now("carol") == 6 + 3


def test_memory_forgets() -> None:
    """So that what is held stays bounded."""
    clock = Clock()
    delays = MemoryDelays(Paces(), now=clock)
    for number in range(1000):
        guess = Guess(ACME, str(number), "alice", str(number), "x")
        delays.succeed(guess, delays.take(guess))
    clock.now += RECORD_SECONDS + 1
    delays.take(Guess(ACME, "1", "alice", "1", "x"))

    assert (len(delays._counts), len(delays._records)) == (4, 1)


def test_every_key_in_redis_expires_and_names_no_client_and_no_pin(redis: Redis) -> None:
    """Records after ninety days, wrong PINs after a day."""
    redis.flushall()
    delays = RedisDelays(redis, Paces(), prefix="test:")
    for caller in ("alice", "bob", ""):
        record = hash_password(b"key", "permission 12", RIGHT)
        guess = Guess(ACME, "12", caller, client_key("asterisk-paris"), mark_of(b"key", record, "9876"))
        delays.succeed(guess, delays.take(guess))
        delays.take(guess)
    keys = {key.decode(): redis.pttl(key) / 1000 for key in redis.scan_iter()}

    assert {key.partition("}")[0] for key in keys} == {f"test:attempts:{{{ACME}"}
    assert all(0 < life <= RECORD_SECONDS for life in keys.values())
    assert all(life <= WRONG_SECONDS + HOUR for key, life in keys.items() if ":record/" not in key)
    dumped = "".join(keys) + str([redis.hgetall(key) for key in keys])
    assert "paris" not in dumped
    assert "9876" not in dumped
    assert RIGHT not in dumped


def test_a_scale_of_its_own() -> None:
    """Twice as many for a large office, or few."""

    def looked(guesses: int) -> int:
        line = Line(lambda clock: MemoryDelays(Paces(guesses), now=clock))
        return line.attack(TWENTY)

    assert looked(50) < looked(100) < looked(200)
    assert looked(1) <= 20


STEPS = st.tuples(
    st.integers(0, 1200),
    st.sampled_from(["alice", "bob", "carol", ""]),
    st.sampled_from(["pbx", "other"]),
    st.sampled_from(["12", "13"]),
    st.sampled_from([RIGHT, "", "", "", "the old one"]),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=20, max_size=60))
def test_redis_counts_as_memory_does(redis: Redis, steps: list[tuple[int, str, str, str, str]]) -> None:
    """Whatever is dialled, by whom and when, the same PINs are looked at, after the same delays."""
    redis.flushall()
    lines = [
        Line(lambda clock: MemoryDelays(Paces(), now=clock)),
        Line(lambda clock: RedisDelays(redis, Paces(), prefix="test:", now=clock)),
    ]
    for seconds, caller, client, permission, pin in steps:
        waits = []
        for line in lines:
            line.clock.now += seconds
            waits.append(line.dial(caller, pin, client=client, permission=permission).wait)
        assert math.isclose(*waits, abs_tol=0.01)
