"""Whatever happens to events and requests, what the source knows ends as what a fresh one reads."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wazo_stack import Stack, assert_equal, stack

if TYPE_CHECKING:
    from collections.abc import Callable


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_events_alone_are_enough(data: st.DataObject) -> None:
    """Where none is lost, nothing is read as a whole: also if they come twice, late and in another order."""
    with stack() as made:
        sweeps = made.source._keeper.swept
        for _ in range(data.draw(st.integers(1, 12), "steps")):
            made.edit(data)
            if data.draw(st.booleans(), "deliver"):
                held = data.draw(st.permutations(made.messages), "order")
                made.deliver(*held, *held[: data.draw(st.integers(0, len(held)), "twice")])
                made.messages.clear()
                made.read()
        made.deliver(*data.draw(st.permutations(made.messages), "the rest"))
        assert_equal(made.settled(), made.fresh())
        assert made.source._keeper.swept == sweeps


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_lost_is_found_after_the_next_connection(data: st.DataObject) -> None:
    """Events are lost, doubled and turned round, the bus goes away, and requests fail in every way."""
    with stack() as made:
        for _ in range(data.draw(st.integers(1, 12), "steps")):
            match data.draw(st.sampled_from(["edit", "edit", "edit", "read", "away", "back", "fail", "during"])):
                case "edit":
                    made.edit(data, silent=True)
                    arrives = data.draw(st.lists(st.integers(0, 9), max_size=4), "arrives")
                    made.deliver(*(made.messages[-1 - index] for index in arrives if index < len(made.messages)))
                case "read":
                    made.read()
                case "away":
                    made.disconnect()
                case "back":
                    made.connect()
                case "fail":
                    ways = st.sampled_from(["500", "503", "404", "truncate", "drop", "garbage"])
                    made.behaviour.failures = data.draw(st.lists(ways, max_size=6), "failures")
                case "during":
                    edit = _Once(made, made.plan(data, silent=True))
                    made.behaviour.before = edit
                    made.read()
                    with made.platform.lock:  # which a request that is being answered holds, too
                        edit("")  # where nothing was read
        made.behaviour.failures = []
        made.behaviour.before = lambda _: None
        made.connect()
        assert_equal(made.settled(), made.fresh())


class _Once:
    """An edit in the midst of a reading, if what it edits is still there; its events are lost."""

    def __init__(self, made: Stack, plan: Callable[[], object]) -> None:
        self._made = made
        self._plan: Callable[[], object] | None = plan
        self._lock = threading.Lock()

    def __call__(self, _resource: str) -> None:
        """Makes it, the first time."""
        with self._lock:
            plan, self._plan = self._plan, None
            if plan is not None:
                self._made.behaviour.before = lambda _: None
                with suppress(KeyError):
                    plan()
                self._made.messages.clear()
