"""Jobs beside each other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from loader import jobs
from loader.jobs import Compilation, Jobs
from pdp.rules.model import CallPermission, Revision, Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

SLOW = 3


def job(number: int) -> Compilation:
    """A job of a tenant; the number tells it and the tenant's size."""
    permissions = tuple(CallPermission(id_ + 1) for id_ in range(number))
    return Compilation(tenant=Tenant(str(number), call_permissions=permissions), revision=Revision(1, "0" * 64))


def test_slow_jobs_hold_no_other_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """All quick ones end while more slow ones than there are lanes are at work or wait; then those do."""
    monkeypatch.setattr(jobs, "QUICK_SECONDS", -1.0)
    go_on, slow = threading.Event(), range(100, 100 + SLOW)

    def compile_job(one: Compilation, checkpoint: Callable[[], None]) -> None:
        if int(one.tenant.uuid) in slow:
            checkpoint()
            go_on.wait()
        one.blob = one.tenant.uuid.encode()

    compilations = Jobs("test", compile_job)
    for number in (*slow, *range(10)):
        compilations.begin(job(number))
    quick = [next(done) for done in [compilations.done()] for _ in range(10)]
    assert sorted(one.blob for one in quick) == [str(number).encode() for number in range(10)]
    assert list(compilations.done(0.0)) == []
    assert compilations.running == set(map(str, slow))
    go_on.set()
    assert sorted(one.blob for one in compilations.done()) == [str(number).encode() for number in slow]
    assert not compilations.running


def test_small_tenants_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that wait while another one is compiled."""
    monkeypatch.setattr(jobs, "_LANES", 1)
    begin, order = threading.Event(), list[str]()

    def compile_job(one: Compilation, _checkpoint: Callable[[], None]) -> None:
        begin.wait()
        order.append(one.tenant.uuid)

    compilations = Jobs("test", compile_job)
    for number in (5, 30, 10, 20):
        compilations.begin(job(number))
    begin.set()
    list(compilations.done())
    assert [one for one in order if one != "5"] == ["10", "20", "30"]


def test_an_error_is_the_jobs_own() -> None:
    """Others are compiled, and the next job of the tenant may work."""
    failing = {"1"}

    def compile_job(one: Compilation, _checkpoint: Callable[[], None]) -> None:
        if one.tenant.uuid in failing:
            raise ValueError(one.tenant.uuid)
        one.blob = b"good"

    compilations = Jobs("test", compile_job)
    compilations.begin(job(1))
    compilations.begin(job(2))
    done = {one.tenant.uuid: one for one in compilations.done()}
    assert isinstance(done["1"].error, ValueError)
    assert done["2"].blob == b"good"
    failing.clear()
    compilations.begin(job(1))
    assert [one.blob for one in compilations.done()] == [b"good"]
